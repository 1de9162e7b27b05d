//! `highwater compare`: what a command takes under several allocators.

pub mod args;
mod judge;
mod opened;
mod streams;
mod subject;
mod tree;
mod watch;
mod words;

use std::{
    cell::{Cell, RefCell},
    env,
    process::ExitCode,
};

use serde::Serialize;

use self::{
    args::CompareArgs,
    subject::{Plan, Subject, Told, metrics},
};
use crate::{
    allocators::{self, Found},
    failure::{Failure, short},
    interrupt::{self, Second},
    lab::{self, Case, Contest, Findings, Lab, Warming, chart::Bars},
    output,
};

/// What only a comparison of programs has to tell.
#[derive(Serialize)]
struct Details {
    program: Vec<String>,
    prepare: Option<String>,
    /// How the peak of all processes was found.
    tree: &'static str,
    sample_interval_ms: u64,
    allocators: Vec<Told>,
    missing: Vec<String>,
}

/// Does what the command line says.
pub fn run(args: &CompareArgs) -> Result<ExitCode, Failure> {
    lab::check(&args.lab)?;
    if let Some(dir) = &args.output {
        streams::check(dir)
            .map_err(|error| Failure::asked(format!("cannot write to {}: {error}", dir.display())))?;
    }
    let found = allocators::find(&args.allocators.0, args.malloc_lib.as_deref())?;
    found.tell();
    interrupt::install(Second::Exits)?;
    let (findings, failed) = measure(args, found)?;
    // The command's status is this one's.
    lab::deliver(findings, &args.lab).map_err(|failure| Failure {
        status: failed.map_or(failure.status, |failed| failed.status),
        message: failure.message,
    })
}

/// What was found, and how the command failed if it did under some of the allocators.
fn measure(args: &CompareArgs, found: Found) -> Result<(Findings, Option<Failure>), Failure> {
    adopt();
    let baseline = found.allocators.iter().find(|allocator| allocator.is_system());
    let baseline = baseline.map(|allocator| allocator.name.clone());
    let program: Vec<_> = args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let title = short(&program.join(" "));
    let plan = Plan {
        command: args.command.clone(),
        prepare: args.prepare.clone(),
        ignore_failure: args.ignore_failure,
        output: args.output.clone(),
        peak: Cell::new(0),
        stop: RefCell::new(None),
        failed: RefCell::new(None),
    };
    let root = args.command.first().and_then(|name| subject::program(name));
    let new = |allocator| Subject::new(allocator, root.as_deref());
    let mut subjects: Vec<_> = found.allocators.into_iter().map(new).collect();
    let (runs, warmup) = args.lab.size((5, 1), (3, 0));
    let lab = Lab::new("compare", &args.lab, runs, warmup, subjects.len());
    // Each run warms the machine itself, once it is known how much memory one takes.
    let mut contest = Contest::new("command", &title, metrics(), Warming::Once(0));
    for subject in &mut subjects {
        let plan = &plan;
        contest.contender(subject.allocator.name.clone(), move || subject.run(plan));
    }
    if let Some(baseline) = &baseline {
        contest.baseline(baseline);
    }
    let mut case = contest.run(&lab)?;
    drop(lab);
    if let Some(failure) = plan.stop.take() {
        return Err(failure);
    }
    let failed = plan.failed.take();
    if case.rows.iter().all(|row| row.figures.is_empty())
        && let Some(failure) = failed
    {
        return Err(failure);
    }
    for (row, subject) in case.rows.iter_mut().zip(&subjects) {
        row.reason = if row.figures.is_empty() { row.reason.take() } else { subject.note() };
    }
    let mut findings =
        Findings::new("compare", &format!("highwater compare: {title}"), command_line(), args.lab.quick);
    findings.words = said(&case, &subjects);
    findings.pictures = pictures(&case)?;
    findings.details = Some(
        serde_json::to_value(Details {
            program,
            prepare: args.prepare.as_ref().map(|prepare| prepare.to_string_lossy().into_owned()),
            tree: "the largest sampled sum of the resident sets of all processes, and not less than the \
                   largest process",
            sample_interval_ms: u64::try_from(watch::INTERVAL.as_millis()).unwrap_or(u64::MAX),
            allocators: subjects.iter().map(Subject::told).collect(),
            missing: found.missing,
        })
        .map_err(Failure::during)?,
    );
    findings.push(case);
    Ok((findings, failed))
}

/// Processes that outlive their parents become children of this one, so that a run's memory is all of it.
fn adopt() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        output::note(&format!("processes that outlive their parents will not be counted: {error}"));
    }
}

fn said(case: &Case, subjects: &[Subject]) -> Vec<String> {
    let versions: Vec<_> = subjects
        .iter()
        .map(|subject| {
            let allocator = &subject.allocator;
            let path =
                allocator.library.as_ref().map_or(String::new(), |path| format!(" ({})", path.display()));
            format!("{}: {}{path}", allocator.name, allocator.version)
        })
        .collect();
    let is_sampled = subjects.iter().all(Subject::is_sampled);
    let metrics = ["wall", "cpu", "peak-process", "peak-tree"];
    let mut words = words::of(case, if is_sampled { &metrics } else { &metrics[..3] });
    words.push(format!(
        "all processes: resident sets added up, sampled every {} ms; shared pages count for each{}",
        watch::INTERVAL.as_millis(),
        if is_sampled { "" } else { "; the runs are too short for that to say much" }
    ));
    words.push(versions.join("\n"));
    words
}

/// Three: of wall time, of processor time, and of memory, where the largest process and all of them are a group each.
fn pictures(case: &Case) -> Result<Vec<lab::chart::Picture>, Failure> {
    let charts: [(&str, &str, &[&str]); 3] = [
        ("wall", "wall time", &["wall"]),
        ("cpu", "processor time", &["cpu"]),
        ("memory", "peak memory", &["peak-process", "peak-tree"]),
    ];
    let mut pictures = Vec::new();
    for (name, what, metrics) in charts {
        let mut whole: Option<Bars> = None;
        for metric in metrics {
            let title = format!("highwater compare: {what}");
            let Some(mut bars) = Bars::of_cases(name, &title, [case], metric, metrics.len() > 1) else {
                continue;
            };
            if metrics.len() > 1 {
                bars.groups
                    .iter_mut()
                    .for_each(|group| group.name = format!("{}, {}", group.name, bars.what));
                bars.what = what.into();
            }
            match &mut whole {
                Some(whole) => whole.groups.append(&mut bars.groups),
                None => whole = Some(bars),
            }
        }
        pictures.extend(whole.map(|bars| bars.draw()).transpose()?);
    }
    Ok(pictures)
}

/// What repeats this, for a shell.
fn command_line() -> String {
    let words = env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    std::iter::once("highwater".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        assert_eq!(quoted("make"), "make");
        assert_eq!(quoted("-j2"), "-j2");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a;b"), "'a;b'");
    }
}
