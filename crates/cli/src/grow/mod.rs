//! `highwater grow`: fill an arena, and report what that cost.

mod alloc;
mod arena;
pub mod args;
mod child;
mod comparison;
mod index;
mod inputs;
mod job;
mod measure;
mod nodes;
mod peers;
mod plot;
mod preflight;
mod progress;
mod report;
mod settings;
mod table;
mod tokenizer;
mod trace;
mod workload;

use std::process::ExitCode;

use self::{
    args::{CandidateKind, GrowArgs},
    child::ChildOutcome,
    index::IndexJob,
    job::GrowJob,
    measure::{GrowPlan, measure},
    nodes::Nodes,
    preflight::estimate_per_arena,
    report::{ArenaOptions, GrowRun},
    settings::HugePagesOption,
    trace::FrontierTrace,
    workload::Workload,
};
use crate::{
    failure::Failure,
    inject,
    interrupt::{self, SecondCtrlC},
    output, warm,
};

/// Runs the subcommand.
pub fn run(args: &GrowArgs) -> Result<ExitCode, Failure> {
    interrupt::install(if args.measure.is_some() { SecondCtrlC::Ignore } else { SecondCtrlC::Exit })?;
    let workload = Workload::parse(&args.workload)?;
    inject::from_environment()?;
    let settings = args.settings(estimate_per_arena(&workload, args));
    if let Some(allocator) = args.measure {
        // The parent has made the checks.
        let run = measure_here(allocator, &workload, &settings, args)?;
        return output::print(&json(&run)?, ExitCode::from(report::status(run.partial)));
    }
    preflight::check(&workload, &settings, args)?;
    if args.compare {
        return comparison::run(&workload, args);
    }
    let run = if args.warm {
        // A separate process has a peak that does not include the warm-up.
        warm_up(CandidateKind::Highwater, &workload, preflight::estimate_in_total(&workload, false))?;
        if interrupt::requested() {
            return Err(Failure::interrupted());
        }
        match child::measure(CandidateKind::Highwater)? {
            ChildOutcome::Completed(run) => *run,
            ChildOutcome::Failed { status: Some(status), .. } => return Ok(ExitCode::from(status)),
            ChildOutcome::Failed { reason, .. } => return Err(Failure::runtime(format!("the run {reason}"))),
        }
    } else {
        measure_here(CandidateKind::Highwater, &workload, &settings, args)?
    };
    let text = if args.json { json(&run)? } else { table::of_run(&run) };
    output::print(&text, ExitCode::from(report::status(run.partial)))
}

/// One run in this process.
fn measure_here(
    allocator: CandidateKind,
    workload: &Workload,
    settings: &settings::ArenaSettings,
    args: &GrowArgs,
) -> Result<GrowRun, Failure> {
    let plan = GrowPlan {
        settings,
        threads: args.threads.into(),
        workload: args.workload.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        traced: args.plot.is_some() && allocator == CandidateKind::Highwater,
    };
    let (mut run, trace) = match workload {
        Workload::Bytes(bytes) => {
            measure_on(allocator, &Nodes { bytes: *bytes as u64, threads: args.threads.into() }, &plan)
        }
        Workload::Inputs(inputs) => measure_on(allocator, &IndexJob::new(inputs), &plan),
    }?;
    if allocator == CandidateKind::Highwater {
        run.engine = Some(highwater::default_engine().to_string());
        run.options = Some(options(args));
    }
    if let (Some(trace), Some(file)) = (trace, &args.plot) {
        plot::draw(file, &run, &trace)
            .map_err(|error| Failure::runtime(format!("cannot draw {}: {error}", file.display())))?;
        run.plot = Some(file.display().to_string());
    }
    Ok(run)
}

fn measure_on<J: GrowJob>(
    allocator: CandidateKind,
    job: &J,
    plan: &GrowPlan<'_>,
) -> Result<(GrowRun, Option<FrontierTrace>), Failure> {
    let name = allocator.name();
    match allocator {
        CandidateKind::Highwater => measure::<highwater::Arena, _>(name, job, plan),
        CandidateKind::Bumpalo => measure::<bumpalo::Bump, _>(name, job, plan),
        CandidateKind::BumpScope => measure::<bump_scope::Bump, _>(name, job, plan),
        CandidateKind::VecOfBoxes => measure::<peers::BoxPeer, _>(name, job, plan),
        CandidateKind::Malloc => measure::<peers::MallocPeer, _>(name, job, plan),
    }
}

fn options(args: &GrowArgs) -> ArenaOptions {
    ArenaOptions {
        growth: args.growth.text.clone(),
        reserve: args.reserve.as_ref().map_or("default".into(), |option| option.text.clone()),
        head: args.head.text.clone(),
        huge_pages: match args.huge_pages {
            HugePagesOption::Advise => "advise".into(),
            HugePagesOption::Never => "never".into(),
        },
        backing: args.backing.text.clone(),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::runtime)
}

/// Warms the machine up for a timed run of this workload.
fn warm_up(allocator: CandidateKind, workload: &Workload, bytes: u64) -> Result<(), Failure> {
    output::note(&format!("{}: warming the machine up first", allocator.name()));
    if let Workload::Inputs(inputs) = workload {
        warm::files(inputs.files.iter().map(|input| &input.path));
    }
    warm::memory_for(bytes)
}
