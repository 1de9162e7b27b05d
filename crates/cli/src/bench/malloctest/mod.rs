//! `highwater bench malloctest`: arrays of random blocks, filled and emptied.

mod allocator;
mod args;
mod child;
mod plan;
mod results;
mod sizes;
mod usage;
mod work;

use std::{cell::RefCell, collections::BTreeMap, path::Path};

pub use self::{
    args::MalloctestArgs,
    child::{ChildArgs, SUBCOMMAND, run as child},
};
use self::{
    plan::{AllocatorChoice, MalloctestPlan, MalloctestReport},
    results::metrics,
};
use crate::{
    allocators::{self, Allocator, AllocatorSet},
    failure::Failure,
    lab::{Contest, Findings, Lab, Warming, process},
};

/// The contenders in this program, with their names in tables.
const ARENAS: [(&str, AllocatorChoice); 3] = [
    ("highwater::Arena", AllocatorChoice::Arena),
    ("highwater::Scope", AllocatorChoice::Scope),
    ("bumpalo", AllocatorChoice::Bumpalo),
];
/// The name of the contender without an allocator.
const LOOPS: &str = "the loops alone";
/// The contender that ratios are to.
const SYSTEM: &str = "system";

/// Measures all contenders.
pub fn measure(args: &MalloctestArgs) -> Result<Findings, Failure> {
    let shape = args.shape()?;
    let found = find(args)?;
    found.print_missing();
    let plan = |allocator| MalloctestPlan { shape, write: args.write, allocator };
    // The times of the repeats in the last run of each contender.
    let repeats = RefCell::new(RepeatTimes::new());
    let measure = |name: &str, plan: &MalloctestPlan, allocator: Option<&Allocator>| {
        let report = run_child(plan, allocator)?;
        repeats.borrow_mut().insert(name.to_owned(), report.repeat_ns.clone());
        results::sample(plan, &report)
    };
    let mut contest = Contest::new(
        "malloctest",
        format!("malloctest {shape}, {}", args.write),
        metrics(),
        Warming::EachRun(usize::try_from(shape.live_bytes()).unwrap_or(usize::MAX)),
    );
    contest.baseline(SYSTEM);
    // Arenas run with the system's malloc.
    let system = found.allocators.iter().find(|allocator| allocator.is_system());
    for allocator in &found.allocators {
        let plan = plan(AllocatorChoice::Malloc);
        contest.contender(&allocator.name, move || measure(&allocator.name, &plan, Some(allocator)));
    }
    for (name, choice) in ARENAS.into_iter().chain([(LOOPS, AllocatorChoice::None)]) {
        let plan = plan(choice);
        contest.contender(name, move || measure(name, &plan, system));
    }
    let lab = Lab::new("malloctest", &args.lab, args.lab.size(5, 2), 0, contest.len());
    let case = contest.run(&lab)?;
    let repeats = repeats.take();
    results::findings(case, &repeats, &shape, args, &found.allocators)
}

/// The times of the repeats, by contender.
type RepeatTimes = BTreeMap<String, Vec<u64>>;

/// Finds the allocators: the system's first, since ratios are to it. By default this project's is optional.
fn find(args: &MalloctestArgs) -> Result<AllocatorSet, Failure> {
    let mut names = vec![SYSTEM.to_owned()];
    let mut missing = None;
    match &args.allocators {
        Some(list) => names.extend(list.iter().cloned()),
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

/// Does one run in a separate process.
fn run_child(plan: &MalloctestPlan, allocator: Option<&Allocator>) -> Result<MalloctestReport, String> {
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    let mut command = process::this_command([SUBCOMMAND, &text]).map_err(|error| error.to_string())?;
    if let Some(allocator) = allocator {
        allocator.prepare(&mut command);
    }
    let report: MalloctestReport = process::json(&mut command)?;
    if let Some(library) = allocator.and_then(|allocator| allocator.library.as_deref()) {
        check_library(library, report.malloc_from.as_deref())?;
    }
    Ok(report)
}

/// Checks that the process ran on the preloaded library.
fn check_library(library: &Path, malloc: Option<&str>) -> Result<(), String> {
    let malloc = malloc.ok_or("the loader does not report which file malloc comes from")?;
    if Path::new(malloc).canonicalize().is_ok_and(|malloc| malloc == library) {
        return Ok(());
    }
    Err(format!("the preload took no effect: malloc comes from {malloc}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_malloc_is_an_error() {
        let own = std::env::current_exe().unwrap().canonicalize().unwrap();
        assert_eq!(check_library(&own, own.to_str()), Ok(()));
        let error = check_library(&own, Some("/lib/libc.so.6")).unwrap_err();
        assert!(error.contains("no effect") && error.contains("/lib/libc.so.6"), "{error}");
        assert!(check_library(&own, None).is_err());
    }
}
