//! `highwater grow`: fill an arena, and say what that cost.

mod aim;
mod alloc;
mod arena;
pub mod args;
mod child;
mod compare;
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
mod trace;
mod words;

use std::process::ExitCode;

use self::{
    aim::Aim,
    args::{Allocator, GrowArgs},
    child::Ended,
    index::IndexJob,
    job::Job,
    measure::{Plan, measure},
    nodes::Nodes,
    preflight::needs_of_one,
    report::{Options, Run},
    settings::Settings,
    trace::Trace,
};
use crate::{
    failure::Failure,
    inject,
    interrupt::{self, Second},
    output, warm,
};

/// Does what the command line says.
pub fn run(args: &GrowArgs) -> Result<ExitCode, Failure> {
    interrupt::install(if args.measure.is_some() { Second::IsIgnored } else { Second::Exits })?;
    let aim = Aim::decide(&args.aim)?;
    inject::from_environment()?;
    let settings = Settings::new(args, needs_of_one(&aim, args));
    if let Some(allocator) = args.measure {
        // The parent has asked whether all this can be.
        let run = one(allocator, &aim, &settings, args)?;
        return output::print(&json(&run)?, ExitCode::from(report::status(run.partial)));
    }
    preflight::check(&aim, &settings, args)?;
    if args.compare {
        return compare::run(&aim, args);
    }
    let run = if args.warm {
        // What warms the machine has a peak of its own.
        warm_up(Allocator::Highwater, &aim, preflight::needs_of_all(&aim, false))?;
        if interrupt::requested() {
            return Err(Failure::interrupted());
        }
        match child::measure(Allocator::Highwater)? {
            Ended::Well(run) => *run,
            Ended::Badly { status: Some(status), .. } => return Ok(ExitCode::from(status)),
            Ended::Badly { reason, .. } => return Err(Failure::during(format!("the run {reason}"))),
        }
    } else {
        one(Allocator::Highwater, &aim, &settings, args)?
    };
    let text = if args.json { json(&run)? } else { table::of_run(&run) };
    output::print(&text, ExitCode::from(report::status(run.partial)))
}

/// One run in this process.
fn one(allocator: Allocator, aim: &Aim, settings: &Settings, args: &GrowArgs) -> Result<Run, Failure> {
    let plan = Plan {
        settings,
        threads: args.threads.into(),
        aim: args.aim.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        traced: args.plot.is_some() && allocator == Allocator::Highwater,
    };
    let (mut run, trace) = match aim {
        Aim::Bytes(bytes) => {
            on(allocator, &Nodes { bytes: *bytes as u64, threads: args.threads.into() }, &plan)
        }
        Aim::Inputs(inputs) => on(allocator, &IndexJob::new(inputs), &plan),
    }?;
    if allocator == Allocator::Highwater {
        run.engine = Some(highwater::engine().to_string());
        run.options = Some(options(args));
    }
    if let (Some(trace), Some(file)) = (trace, &args.plot) {
        plot::draw(file, &run, &trace)
            .map_err(|error| Failure::during(format!("cannot draw {}: {error}", file.display())))?;
        run.plot = Some(file.display().to_string());
    }
    Ok(run)
}

fn on<J: Job>(allocator: Allocator, job: &J, plan: &Plan<'_>) -> Result<(Run, Option<Trace>), Failure> {
    let name = allocator.name();
    match allocator {
        Allocator::Highwater => measure::<highwater::Arena, _>(name, job, plan),
        Allocator::Bumpalo => measure::<bumpalo::Bump, _>(name, job, plan),
        Allocator::BumpScope => measure::<bump_scope::Bump, _>(name, job, plan),
        Allocator::VecOfBoxes => measure::<peers::Boxes, _>(name, job, plan),
        Allocator::Malloc => measure::<peers::Malloc, _>(name, job, plan),
    }
}

fn options(args: &GrowArgs) -> Options {
    Options {
        growth: args.growth.text.clone(),
        reserve: args.reserve.as_ref().map_or("default".into(), |given| given.text.clone()),
        head: args.head.text.clone(),
        huge_pages: match args.huge_pages {
            args::HugePages::Advise => "advise".into(),
            args::HugePages::Never => "never".into(),
        },
        backing: args.backing.text.clone(),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::during)
}

/// Makes the machine ready for a timed run of this aim.
fn warm_up(allocator: Allocator, aim: &Aim, bytes: u64) -> Result<(), Failure> {
    output::note(&format!("{}: warming the machine up first", allocator.name()));
    if let Aim::Inputs(inputs) = aim {
        warm::files(inputs.files.iter().map(|input| &input.path));
    }
    warm::memory_for(bytes)
}
