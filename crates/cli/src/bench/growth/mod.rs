//! `highwater bench growth`: all strategies of growth, by size.

mod charts;
mod child;
mod sentences;
mod strategy;

use std::process::ExitCode;

use clap::Args;

use self::{
    child::{GrowthPlan, GrowthReport, RssTrace},
    strategy::{GrowthStrategy, QUICK_STEPS, STEPS, step_name},
};
use crate::{
    failure::Failure,
    interrupt,
    lab::{Case, Contest, Findings, Lab, LabArgs, Metric, RunSample, Unit, Warming, process},
    machine,
    size::{self, human},
    warm,
};

const NAME: &str = "growth";
const MIB: usize = 1 << 20;
const SIZES: [usize; 4] = [MIB, 16 * MIB, 128 * MIB, 1024 * MIB];
const QUICK_SIZES: [usize; 2] = [MIB, 4 * MIB];

const LONG: &str = "\
Fills memory word by word until a size is reached, by every strategy of growth.

default: the library's defaults. upfront: everything is committed at the start, and the kernel pages it in (physical: \
the reservation is as large as the machine's memory). fixed, geometric: a write past the frontier faults, and a step \
is committed; populated: its pages are populated at once. explicit: no faults; a branch before each write compares \
with the frontier and commits one more step. The peers are Vec (push), bumpalo (alloc), and malloc of one block of the \
known size. huge pages: the kernel is advised to use transparent huge pages.

Each run is a separate process, on a machine that is warmed up before it. Measured are the wall time and processor \
time from the first word to the last, the kernel's page faults, the number of growth steps, the process's peak memory, \
and the overshoot: the bytes committed (or obtained from the system) and not used, which for upfront is the rest of the \
reservation, although none of it is resident.";

const AFTER: &str = "\
Examples:
  highwater bench growth --quick
  highwater bench growth --sizes 4MiB,16MiB --only geometric --only malloc --runs 3
  highwater bench growth --quick --only upfront --charts charts --json growth.json

Sizes that do not fit in the machine's memory are refused. --sizes 8GiB takes some minutes.

Exit status: 0 done; 1 failed on the way (also if the contents are wrong); 2 refused; 130 interrupted by Ctrl-C, after \
showing the result so far.";

/// Compare growth policies, Vec, bumpalo and malloc, over several sizes.
#[derive(Args, Default)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater bench growth --quick")]
pub struct GrowthArgs {
    /// Sizes to fill [default: 1MiB,16MiB,128MiB,1GiB]
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',', value_parser = size::parse_positive)]
    pub sizes: Vec<usize>,

    /// Only strategies whose names contain this; can be repeated
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,

    /// Internal: the child that does this.
    #[arg(long, hide = true, value_name = "JSON", value_parser = GrowthPlan::parse)]
    child: Option<GrowthPlan>,

    #[command(flatten)]
    pub lab: LabArgs,
}

impl GrowthArgs {
    /// The sizes, the smallest first.
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
            // A vector that moves needs more, and some memory must stay free.
            Some(available) if available.bytes / 5 * 2 < largest => Err(Failure::refused(format!(
                "filling {} by every strategy takes up to 2.5 times as much: more than the {} {} has available",
                human(largest),
                human(available.bytes),
                available.source
            ))),
            _ => Ok(sizes),
        }
    }

    fn strategies(&self) -> Result<Vec<GrowthStrategy>, Failure> {
        let mut strategies = GrowthStrategy::all(if self.lab.quick { &QUICK_STEPS } else { &STEPS });
        if !self.only.is_empty() {
            strategies
                .retain(|strategy| self.only.iter().any(|text| strategy.name().contains(text.as_str())));
        }
        if strategies.is_empty() {
            return Err(Failure::refused(format!(
                "--only {}: no strategy has this in its name",
                self.only.join(", ")
            )));
        }
        Ok(strategies)
    }

    fn command(&self) -> String {
        let sizes: Vec<_> = self.sizes.iter().map(|size| step_name(*size).replace(' ', "")).collect();
        let sizes = if sizes.is_empty() { String::new() } else { format!(" --sizes {}", sizes.join(",")) };
        let only: String = self.only.iter().map(|text| format!(" --only '{text}'")).collect();
        self.lab.command(&format!("bench {NAME}{sizes}{only}"))
    }
}

/// Runs as the child, if this process is one.
pub fn child(args: &GrowthArgs) -> Option<Result<ExitCode, Failure>> {
    args.child.as_ref().map(child::run)
}

/// Measures everything, or as much as there was before Ctrl-C.
pub fn measure(args: &GrowthArgs) -> Result<Findings, Failure> {
    let (sizes, strategies) = (args.sizes()?, args.strategies()?);
    let contests: Vec<_> = sizes.iter().map(|size| contest(*size, &strategies, args.lab.quick)).collect();
    let all = contests.iter().map(Contest::len).sum();
    let lab = Lab::new("bench growth", &args.lab, args.lab.size(5, 3), 0, all);
    let title = "Filling memory word by word, by every strategy of growth";
    let mut findings = Findings::new(NAME, title, args.command(), args.lab.quick);
    for contest in contests {
        findings.push(contest.run(&lab)?);
        if interrupt::requested() {
            findings.partial = true;
            break;
        }
    }
    findings.words = findings.cases.iter().flat_map(|case| sentences::of_case(case, &strategies)).collect();
    if let (Some(case), Some(size)) = (findings.cases.last(), sizes.get(findings.cases.len().wrapping_sub(1)))
    {
        let mut pictures = charts::by_step(case, &strategies)?;
        pictures.extend(charts::by_size(&findings.cases, &sizes, &strategies)?);
        pictures.extend(charts::over_time(*size, &traces(*size, &strategies)?)?);
        findings.pictures = pictures;
    }
    findings.partial |= interrupt::requested();
    Ok(findings)
}

fn contest<'a>(size: usize, strategies: &[GrowthStrategy], quick: bool) -> Contest<'a> {
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
    for strategy in strategies.iter().copied() {
        if strategy.needs_faults() && highwater::engine() != highwater::Engine::Fault {
            contest.absent(strategy.name(), "this build has no fault engine");
            continue;
        }
        contest.contender(strategy.name(), move || {
            run_child(GrowthPlan { strategy, size, traced: false }).map(sample)
        });
    }
    contest
}

fn run_child(plan: GrowthPlan) -> Result<GrowthReport, String> {
    let text = serde_json::to_string(&plan).map_err(|error| error.to_string())?;
    let mut command =
        process::this_command(["bench", NAME, "--child", &text]).map_err(|error| error.to_string())?;
    process::json(&mut command)
}

fn sample(report: GrowthReport) -> RunSample {
    let number = |number: u64| Some(number as f64);
    let figures = [
        number(report.ns),
        number(report.cpu_ns),
        number(report.page_faults),
        report.steps.and_then(number),
        report.peak_rss.and_then(number),
        number(report.overshoot),
    ];
    RunSample::of_some(figures).with_checksum(report.checksum)
}

/// The memory over time of some strategies, each in a run that is not one of the measured ones.
fn traces(size: usize, strategies: &[GrowthStrategy]) -> Result<Vec<(GrowthStrategy, RssTrace)>, Failure> {
    let mut traces = Vec::new();
    for strategy in charts::traced() {
        let is_possible = !strategy.needs_faults() || highwater::engine() == highwater::Engine::Fault;
        if !is_possible || !strategies.contains(&strategy) || interrupt::requested() {
            continue;
        }
        warm::memory_for(size as u64)?;
        match run_child(GrowthPlan { strategy, size, traced: true }) {
            Ok(report) if !interrupt::requested() => traces.push((strategy, report.trace)),
            // It is not drawn; the measured run shows why it failed.
            _ => {}
        }
    }
    Ok(traces)
}

/// The median of a strategy's figure.
fn median(case: &Case, strategy: GrowthStrategy, metric: &str) -> Option<f64> {
    case.median(&strategy.name(), metric)
}
