//! `highwater compare`: the time and memory of a command under several allocators.

pub mod args;
mod judge;
mod open_watch;
mod sentences;
mod streams;
mod subject;
mod tree;
mod watcher;

use std::{
    cell::{Cell, RefCell},
    process::ExitCode,
};

use serde::Serialize;

use self::{
    args::CompareArgs,
    subject::{AllocatorReport, AllocatorRuns, ComparePlan, metrics},
};
use crate::{
    allocators::{self, AllocatorSet},
    failure::{Failure, short},
    interrupt::{self, SecondCtrlC},
    lab::{self, Case, Contest, Findings, Lab, Warming, chart::BarChart},
    output, shell,
};

/// The details in JSON that only this bench has.
#[derive(Serialize)]
struct CompareDetails {
    program: Vec<String>,
    prepare: Option<String>,
    /// How the peak of all processes was determined.
    tree: &'static str,
    sample_interval_ms: u64,
    allocators: Vec<AllocatorReport>,
    missing: Vec<String>,
}

/// Runs the subcommand.
pub fn run(args: &CompareArgs) -> Result<ExitCode, Failure> {
    lab::check(&args.lab)?;
    if let Some(dir) = &args.output {
        streams::check(dir)
            .map_err(|error| Failure::refused(format!("cannot write to {}: {error}", dir.display())))?;
    }
    let found = allocators::find(&args.allocators.0, args.malloc_lib.as_deref())?;
    found.print_missing();
    interrupt::install(SecondCtrlC::Exit)?;
    let (findings, failed) = measure(args, found)?;
    // The status of the command is passed on.
    lab::deliver(findings, &args.lab).map_err(|failure| Failure {
        status: failed.map_or(failure.status, |failed| failed.status),
        message: failure.message,
    })
}

/// The findings, and the command's failure if it failed under some of the allocators.
fn measure(args: &CompareArgs, found: AllocatorSet) -> Result<(Findings, Option<Failure>), Failure> {
    become_subreaper();
    let baseline = found.allocators.iter().find(|allocator| allocator.is_system());
    let baseline = baseline.map(|allocator| allocator.name.clone());
    let program: Vec<_> = args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let title = short(&program.join(" "));
    let plan = ComparePlan {
        command: args.command.clone(),
        prepare: args.prepare.clone(),
        ignore_failure: args.ignore_failure,
        output: args.output.clone(),
        peak: Cell::new(0),
        stop: RefCell::new(None),
        failed: RefCell::new(None),
    };
    let root = args.command.first().and_then(|name| subject::program(name));
    let new = |allocator| AllocatorRuns::new(allocator, root.as_deref());
    let mut subjects: Vec<_> = found.allocators.into_iter().map(new).collect();
    let (runs, warmup) = args.lab.size((5, 1), (3, 0));
    let lab = Lab::new("compare", &args.lab, runs, warmup, subjects.len());
    // Each run warms the machine itself, since the memory of a run is known only after the first.
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
    let mut findings = Findings::new(
        "compare",
        &format!("highwater compare: {title}"),
        shell::command_line(),
        args.lab.quick,
    );
    findings.words = sentences(&case, &subjects);
    findings.pictures = pictures(&case)?;
    findings.details = Some(
        serde_json::to_value(CompareDetails {
            program,
            prepare: args.prepare.as_ref().map(|prepare| prepare.to_string_lossy().into_owned()),
            tree: "the largest sampled sum of the resident sets of all processes, and not less than the \
                   largest process",
            sample_interval_ms: u64::try_from(watcher::INTERVAL.as_millis()).unwrap_or(u64::MAX),
            allocators: subjects.iter().map(AllocatorRuns::report).collect(),
            missing: found.missing,
        })
        .map_err(Failure::runtime)?,
    );
    findings.push(case);
    Ok((findings, failed))
}

/// Makes orphaned descendants children of this process, so that the memory of a run includes them.
fn become_subreaper() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        output::note(&format!("processes that outlive their parents will not be counted: {error}"));
    }
}

fn sentences(case: &Case, subjects: &[AllocatorRuns]) -> Vec<String> {
    let versions: Vec<_> = subjects
        .iter()
        .map(|subject| {
            let allocator = &subject.allocator;
            let path =
                allocator.library.as_ref().map_or(String::new(), |path| format!(" ({})", path.display()));
            format!("{}: {}{path}", allocator.name, allocator.version)
        })
        .collect();
    let is_sampled = subjects.iter().all(AllocatorRuns::is_sampled);
    let metrics = ["wall", "cpu", "peak-process", "peak-tree"];
    let mut sentences = sentences::of_case(case, if is_sampled { &metrics } else { &metrics[..3] });
    sentences.push(format!(
        "all processes: the sum of resident sets, sampled every {} ms; shared pages count for each{}",
        watcher::INTERVAL.as_millis(),
        if is_sampled { "" } else { "; the runs are too short for this to be meaningful" }
    ));
    sentences.push(versions.join("\n"));
    sentences
}

/// Three charts: wall time, processor time, and memory with a group each for the largest process and for all processes.
fn pictures(case: &Case) -> Result<Vec<lab::chart::Picture>, Failure> {
    let charts: [(&str, &str, &[&str]); 3] = [
        ("wall", "wall time", &["wall"]),
        ("cpu", "processor time", &["cpu"]),
        ("memory", "peak memory", &["peak-process", "peak-tree"]),
    ];
    let mut pictures = Vec::new();
    for (name, what, metrics) in charts {
        let mut whole: Option<BarChart> = None;
        for metric in metrics {
            let title = format!("highwater compare: {what}");
            let Some(mut bars) = BarChart::of_cases(name, &title, [case], metric, metrics.len() > 1) else {
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
