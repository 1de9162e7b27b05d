//! `highwater bench malloctest`: arrays of random blocks, filled and emptied again.

mod args;
mod child;
mod plan;
mod results;
mod sizes;
mod subject;
mod usage;
mod work;

use std::{cell::RefCell, collections::BTreeMap, path::Path};

pub use self::{
    args::MalloctestArgs,
    child::{ChildArgs, SUBCOMMAND, run as child},
};
use self::{
    plan::{Plan, Subject, Told},
    results::metrics,
};
use crate::{
    allocators::{self, Allocator, AllocatorSet},
    failure::Failure,
    lab::{Contest, Findings, Lab, Warming, process},
};

/// The contenders that are no library, as tables call them.
const ARENAS: [(&str, Subject); 3] = [
    ("highwater::Arena", Subject::Arena),
    ("highwater::Scope", Subject::Scope),
    ("bumpalo", Subject::Bumpalo),
];
/// What remains without an allocator.
const LOOPS: &str = "the loops alone";
/// Whom ratios are to.
const SYSTEM: &str = "system";

/// Runs it on everybody.
pub fn measure(args: &MalloctestArgs) -> Result<Findings, Failure> {
    let shape = args.shape()?;
    let found = find(args)?;
    found.print_missing();
    let plan = |subject| Plan { shape, write: args.write, subject };
    // Of everybody's last run: how long each repeat took.
    let repeats = RefCell::new(Repeats::new());
    let done = |name: &str, plan: &Plan, allocator: Option<&Allocator>| {
        let told = one(plan, allocator)?;
        repeats.borrow_mut().insert(name.to_owned(), told.repeat_ns.clone());
        results::sample(plan, &told)
    };
    let mut contest = Contest::new(
        "malloctest",
        format!("malloctest {shape}, {}", args.write),
        metrics(),
        Warming::EachRun(usize::try_from(shape.live_bytes()).unwrap_or(usize::MAX)),
    );
    contest.baseline(SYSTEM);
    // What arenas take they take from the system.
    let system = found.allocators.iter().find(|allocator| allocator.is_system());
    for allocator in &found.allocators {
        let plan = plan(Subject::Malloc);
        contest.contender(&allocator.name, move || done(&allocator.name, &plan, Some(allocator)));
    }
    for (name, subject) in ARENAS.into_iter().chain([(LOOPS, Subject::Nobody)]) {
        let plan = plan(subject);
        contest.contender(name, move || done(name, &plan, system));
    }
    let lab = Lab::new("malloctest", &args.lab, args.lab.size(5, 2), 0, contest.len());
    let case = contest.run(&lab)?;
    let repeats = repeats.take();
    results::of(case, &repeats, &shape, args, &found.allocators)
}

/// By contender.
type Repeats = BTreeMap<String, Vec<u64>>;

/// The system's allocator first, since ratios are to it. Ours only where it is, unless it was asked for.
fn find(args: &MalloctestArgs) -> Result<AllocatorSet, Failure> {
    let mut names = vec![SYSTEM.to_owned()];
    let mut missing = None;
    match &args.allocators {
        Some(asked) => names.extend(asked.iter().cloned()),
        None => {
            match allocators::library(args.malloc_lib.as_deref()) {
                Ok(_) => names.push("policies".into()),
                Err(failure) if args.malloc_lib.is_some() => return Err(failure),
                Err(failure) => missing = Some(failure.message),
            }
            names.push("peers".into());
        }
    }
    let mut found = allocators::find(&names, args.malloc_lib.as_deref())?;
    found.missing.extend(missing);
    Ok(found)
}

/// One run in a process of its own.
fn one(plan: &Plan, allocator: Option<&Allocator>) -> Result<Told, String> {
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    let mut command = process::this_command([SUBCOMMAND, &text]).map_err(|error| error.to_string())?;
    if let Some(allocator) = allocator {
        allocator.prepare(&mut command);
    }
    let told: Told = process::json(&mut command)?;
    if let Some(library) = allocator.and_then(|allocator| allocator.library.as_deref()) {
        came_from(library, told.malloc_from.as_deref())?;
    }
    Ok(told)
}

/// Whether the process ran on the library it was to run on.
fn came_from(library: &Path, malloc: Option<&str>) -> Result<(), String> {
    let malloc = malloc.ok_or("nobody says whose malloc the process had")?;
    if Path::new(malloc).canonicalize().is_ok_and(|malloc| malloc == library) {
        return Ok(());
    }
    Err(format!("the preload took no effect: malloc came from {malloc}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_malloc_it_was() {
        let own = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert_eq!(came_from(&own, own.to_str()), Ok(()));
        let why = came_from(&own, Some("/lib/libc.so.6")).unwrap_err();
        assert!(why.contains("no effect") && why.contains("/lib/libc.so.6"), "{why}");
        assert!(came_from(&own, None).is_err());
    }
}
