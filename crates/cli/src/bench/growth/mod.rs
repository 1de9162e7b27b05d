//! `highwater bench growth`: every way in which memory can grow, by size.

mod charts;
mod child;
mod way;
mod words;

use std::process::ExitCode;

use clap::Args;

use self::{
    child::{Plan, Told, Trace},
    way::{QUICK_STEPS, STEPS, Way, step_name},
};
use crate::{
    failure::Failure,
    interrupt,
    lab::{Case, Contest, Findings, Lab, LabArgs, Metric, Sample, Unit, Warming, process},
    machine,
    size::{self, human},
    warm,
};

const NAME: &str = "growth";
const MIB: usize = 1 << 20;
const SIZES: [usize; 4] = [MIB, 16 * MIB, 128 * MIB, 1024 * MIB];
const QUICK_SIZES: [usize; 2] = [MIB, 4 * MIB];

const LONG: &str = "\
Fills memory word by word until a size is reached, in every way in which it can grow.

default: what the library does where nothing is asked for. upfront: everything is accessible from the start, and the kernel pages it in (physical: with as much reserved as the \
machine has memory). fixed, geometric: a write past the committed end faults, and a step is committed; populated: with \
its pages. explicit: no faults; a branch before each write compares with the committed end and asks for a step more. \
Beside them: Vec (push), bumpalo (alloc), and malloc of one block whose size is known. With huge pages: transparent \
huge pages are asked for, where the system gives them.

Each run is a process of its own, on a machine that is warmed before it. Measured are the time from the first word to \
the last, on the wall and of the processor; the kernel's page faults; how often the frontier moved; the process's peak \
memory, all of it; and the overshoot: what was committed (or taken from the system) and not used, which for upfront is \
the rest of the reservation, though none of it is in memory.";

const AFTER: &str = "\
Examples:
  highwater bench growth --quick
  highwater bench growth --sizes 4MiB,16MiB --only geometric --only malloc --runs 3
  highwater bench growth --quick --only upfront --charts charts --json growth.json

More than fits into the machine's memory is refused. --sizes 8GiB takes some minutes.

Exit status: 0 done, 1 failed on the way (also where what was written is not what is read), 2 refused, 130 \
interrupted by Ctrl-C, after showing what there was.";

/// All engines and policies of growth, and Vec, bumpalo and malloc, over several sizes.
#[derive(Args, Default)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater bench growth --quick")]
pub struct GrowthArgs {
    /// Sizes to fill [default: 1MiB,16MiB,128MiB,1GiB]
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',', value_parser = size::parse_positive)]
    pub sizes: Vec<usize>,

    /// Only ways whose names contain this; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,

    /// Be the process that does this.
    #[arg(long, hide = true, value_name = "JSON", value_parser = Plan::parse)]
    child: Option<Plan>,

    #[command(flatten)]
    pub lab: LabArgs,
}

impl GrowthArgs {
    /// In whole words, the smallest first.
    fn sizes(&self) -> Result<Vec<usize>, Failure> {
        let mut sizes = match (&self.sizes[..], self.lab.quick) {
            ([], true) => QUICK_SIZES.to_vec(),
            ([], false) => SIZES.to_vec(),
            (sizes, _) => sizes.to_vec(),
        };
        sizes.sort_unstable();
        sizes.dedup();
        if let Some(size) = sizes.iter().find(|size| !size.is_multiple_of(4096)) {
            return Err(Failure::refused(format!(
                "--sizes {size}: not a whole number of pages of 4096 bytes"
            )));
        }
        let largest = sizes.last().copied().unwrap_or_default() as u64;
        match machine::available() {
            // What a vector takes while it moves, and what stays free.
            Some(available) if available.bytes / 5 * 2 < largest => Err(Failure::refused(format!(
                "filling {} in every way takes up to 2.5 times as much: more than the {} {} has available",
                human(largest),
                human(available.bytes),
                available.source
            ))),
            _ => Ok(sizes),
        }
    }

    fn ways(&self) -> Result<Vec<Way>, Failure> {
        let mut ways = Way::all(if self.lab.quick { &QUICK_STEPS } else { &STEPS });
        if !self.only.is_empty() {
            ways.retain(|way| self.only.iter().any(|text| way.name().contains(text.as_str())));
        }
        if ways.is_empty() {
            return Err(Failure::refused(format!(
                "--only {}: no way has that in its name",
                self.only.join(", ")
            )));
        }
        Ok(ways)
    }

    fn command(&self) -> String {
        let sizes: Vec<_> = self.sizes.iter().map(|size| step_name(*size).replace(' ', "")).collect();
        let sizes = if sizes.is_empty() { String::new() } else { format!(" --sizes {}", sizes.join(",")) };
        let only: String = self.only.iter().map(|text| format!(" --only '{text}'")).collect();
        self.lab.command(&format!("bench {NAME}{sizes}{only}"))
    }
}

/// The part of a child, if this is one.
pub fn child(args: &GrowthArgs) -> Option<Result<ExitCode, Failure>> {
    args.child.as_ref().map(child::run)
}

/// All of it, or as much as there was before a Ctrl-C.
pub fn measure(args: &GrowthArgs) -> Result<Findings, Failure> {
    let (sizes, ways) = (args.sizes()?, args.ways()?);
    let contests: Vec<_> = sizes.iter().map(|size| contest(*size, &ways, args.lab.quick)).collect();
    let all = contests.iter().map(Contest::len).sum();
    let lab = Lab::new("bench growth", &args.lab, args.lab.size(5, 3), 0, all);
    let title = "Filling memory word by word, in every way in which it can grow";
    let mut findings = Findings::new(NAME, title, args.command(), args.lab.quick);
    for contest in contests {
        findings.push(contest.run(&lab)?);
        if interrupt::requested() {
            findings.partial = true;
            break;
        }
    }
    findings.words = findings.cases.iter().flat_map(|case| words::of(case, &ways)).collect();
    if let (Some(case), Some(size)) = (findings.cases.last(), sizes.get(findings.cases.len().wrapping_sub(1)))
    {
        let mut pictures = charts::by_step(case, &ways)?;
        pictures.extend(charts::by_size(&findings.cases, &sizes, &ways)?);
        pictures.extend(charts::over_time(*size, &traces(*size, &ways)?)?);
        findings.pictures = pictures;
    }
    findings.partial |= interrupt::requested();
    Ok(findings)
}

fn contest<'a>(size: usize, ways: &[Way], quick: bool) -> Contest<'a> {
    let metrics = vec![
        Metric::new("time", "time", Unit::Ns),
        Metric::new("cpu", "processor time", Unit::Ns),
        Metric::new("page-faults", "page faults", Unit::Count).plain(),
        Metric::new("steps", "steps", Unit::Count).plain(),
        Metric::new("peak-rss", "peak RSS", Unit::Bytes).plain(),
        Metric::new("overshoot", "overshoot", Unit::Bytes).plain(),
    ];
    let name = step_name(size);
    let title = format!("Filling {name} word by word");
    let warming = if quick { Warming::Once(size) } else { Warming::EachRun(size) };
    let mut contest = Contest::new(name.replace(' ', ""), title, metrics, warming);
    for way in ways.iter().copied() {
        if way.needs_faults() && highwater::engine() != highwater::Engine::Fault {
            contest.absent(way.name(), "this build's engine is explicit: nothing grows by being touched");
            continue;
        }
        contest.contender(way.name(), move || one(Plan { way, size, traced: false }).map(sample));
    }
    contest
}

fn one(plan: Plan) -> Result<Told, String> {
    let text = serde_json::to_string(&plan).map_err(|error| error.to_string())?;
    let mut command =
        process::this_command(["bench", NAME, "--child", &text]).map_err(|error| error.to_string())?;
    process::json(&mut command)
}

fn sample(told: Told) -> Sample {
    let number = |number: u64| Some(number as f64);
    let figures = [
        number(told.ns),
        number(told.cpu_ns),
        number(told.page_faults),
        told.steps.and_then(number),
        told.peak_rss.and_then(number),
        number(told.overshoot),
    ];
    Sample::of_some(figures).with_checksum(told.checksum)
}

/// Memory over time, of some that differ, in a run for each that is not among the figures: of those that can do it.
fn traces(size: usize, ways: &[Way]) -> Result<Vec<(Way, Trace)>, Failure> {
    let mut traces = Vec::new();
    for way in charts::traced() {
        let is_possible = !way.needs_faults() || highwater::engine() == highwater::Engine::Fault;
        if !is_possible || !ways.contains(&way) || interrupt::requested() {
            continue;
        }
        warm::memory_for(size as u64)?;
        match one(Plan { way, size, traced: true }) {
            Ok(told) if !interrupt::requested() => traces.push((way, told.trace)),
            // It is not drawn. What is measured says of itself why it failed.
            _ => {}
        }
    }
    Ok(traces)
}

/// A way's median of a metric.
fn median(case: &Case, way: Way, metric: &str) -> Option<f64> {
    case.median(&way.name(), metric)
}
