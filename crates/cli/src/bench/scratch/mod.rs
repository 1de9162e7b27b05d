//! `highwater bench scratch`: typical uses of arenas, on this project's and on peers.

mod blink;
mod child;
mod jobs;
mod storage;

use std::process::ExitCode;

use clap::{Args, ValueEnum as _};

use self::{
    child::{ScratchAllocator, ScratchPlan, ScratchReport},
    jobs::ScratchJobKind,
};
use crate::{
    failure::Failure,
    interrupt,
    lab::{
        Case, Contest, Findings, Lab, LabArgs, Metric, RatioVerdict, RunSample, Unit, Warming,
        chart::BarChart, process, unit::three_digits,
    },
};

const NAME: &str = "scratch";

const LONG: &str = "\
Runs typical uses of arenas, on this project's arenas, on those of other crates and on malloc.

There are four jobs, each in cycles of building something, using it and discarding it: binary trees; the words of a \
text and lines joined from them; hash maps (hashbrown) of lists that all grow while they are filled; and thousands of \
request scopes. Each run is a separate process, on a machine that is warmed up before it. The times are wall time and \
processor time (which other programs affect less) of a cycle, with the creation and destruction of the allocator divided \
between the cycles; the memory is the process's peak. The results are checked by checksums, which must be equal for all \
allocators.";

const AFTER: &str = "\
Examples:
  highwater bench scratch --quick
  highwater bench scratch --quick --job trees --job requests --runs 3 --json
  highwater bench scratch --quick --job strings --charts charts --csv scratch.csv

Arenas are reset after each cycle; with \"highwater, Scope\" each cycle has a scope. typed-arena holds values of one \
type and has no reset: it does the trees and the strings, with a new arena for each cycle. With malloc every value is \
owned (Box, Vec, HashMap) and freed when its owner is dropped. All use the lists of allocator-api2 and the maps of \
hashbrown. Highwater asks for huge pages, the others do not; one row shows highwater without them.

Exit status: 0 done; 1 failed on the way (also if results differ); 2 refused; 130 interrupted by Ctrl-C, after showing \
the result so far.";

/// Run trees, strings, hash maps and request scopes on arenas and on malloc.
#[derive(Args, Default)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater bench scratch --quick")]
pub struct ScratchArgs {
    /// Only this job; can be repeated [default: all]
    #[arg(long = "job", value_name = "JOB", value_enum)]
    pub jobs: Vec<ScratchJobKind>,

    /// Internal: the child that does this.
    #[arg(long, hide = true, value_name = "JSON", value_parser = ScratchPlan::parse)]
    child: Option<ScratchPlan>,

    #[command(flatten)]
    pub lab: LabArgs,
}

impl ScratchArgs {
    fn jobs(&self) -> Vec<ScratchJobKind> {
        ScratchJobKind::value_variants()
            .iter()
            .copied()
            .filter(|job| self.jobs.is_empty() || self.jobs.contains(job))
            .collect()
    }

    fn command(&self) -> String {
        let jobs: String = self.jobs.iter().map(|job| format!(" --job {}", job.name())).collect();
        self.lab.command(&format!("bench {NAME}{jobs}"))
    }
}

/// Runs as the child, if this process is one.
pub fn child(args: &ScratchArgs) -> Option<Result<ExitCode, Failure>> {
    args.child.as_ref().map(child::run)
}

/// Measures everything, or as much as there was before Ctrl-C.
pub fn measure(args: &ScratchArgs) -> Result<Findings, Failure> {
    let jobs = args.jobs();
    let quick = args.lab.quick;
    let contests: Vec<_> = jobs.iter().map(|job| contest(*job, quick)).collect();
    let all = contests.iter().map(Contest::len).sum();
    let lab = Lab::new("bench scratch", &args.lab, args.lab.size(7, 3), args.lab.size(1, 0), all);
    let title = "Typical uses of arenas: time and memory of building, using and discarding";
    let mut findings = Findings::new(NAME, title, args.command(), quick);
    for contest in contests {
        findings.push(contest.run(&lab)?);
        if interrupt::requested() {
            findings.partial = true;
            break;
        }
    }
    findings.words = findings.cases.iter().filter_map(sentence).collect();
    let pictures = [
        ("time", "Time of a cycle"),
        ("cpu", "Processor time of a cycle"),
        ("peak-rss", "Peak memory of the process"),
    ];
    for (metric, title) in pictures {
        let title =
            format!("{title}: build, use, discard{}", if findings.partial { " (partial)" } else { "" });
        findings.pictures.extend(
            BarChart::of_cases(metric, &title, &findings.cases, metric, true)
                .map(|bars| bars.draw())
                .transpose()?,
        );
    }
    Ok(findings)
}

fn contest<'a>(job: ScratchJobKind, quick: bool) -> Contest<'a> {
    let metrics = vec![
        Metric::new("time", "time of a cycle", Unit::Ns),
        Metric::new("cpu", "processor time of a cycle", Unit::Ns),
        Metric::new("peak-rss", "peak RSS", Unit::Bytes),
    ];
    let (size, cycles) = job.extent(quick);
    let memory = job.memory(quick);
    let warming = if quick { Warming::Once(memory) } else { Warming::EachRun(memory) };
    let mut contest = Contest::new(job.name(), job.title(size), metrics, warming);
    for allocator in ScratchAllocator::value_variants().iter().copied() {
        if allocator == ScratchAllocator::TypedArena && !job.has_one_type() {
            contest.absent(allocator.name(), "its arenas hold values of one type");
            continue;
        }
        let plan = ScratchPlan { allocator, job, size, cycles };
        contest.contender(allocator.name(), move || run_child(&plan));
    }
    contest
}

fn run_child(plan: &ScratchPlan) -> Result<RunSample, String> {
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    let mut command =
        process::this_command(["bench", NAME, "--child", &text]).map_err(|error| error.to_string())?;
    let report: ScratchReport = process::json(&mut command)?;
    let each = |ns: u64| Some(ns as f64 / plan.cycles as f64);
    let figures = [each(report.ns), each(report.cpu_ns), report.peak_rss.map(|bytes| bytes as f64)];
    Ok(RunSample::of_some(figures).with_checksum(report.checksum))
}

/// A sentence: the fastest allocator, and how far behind the others are.
fn sentence(case: &Case) -> Option<String> {
    let median = |allocator: ScratchAllocator| case.median(allocator.name(), "cpu");
    let all = ScratchAllocator::value_variants().iter().copied();
    let fastest = |ours: bool| {
        let some = all
            .clone()
            .filter(|allocator| allocator.is_ours() == ours && *allocator != ScratchAllocator::Malloc);
        some.filter(|allocator| median(*allocator).is_some())
            .min_by(|a, b| f64::total_cmp(&median(*a).unwrap_or(0.0), &median(*b).unwrap_or(0.0)))
    };
    let (ours, peer) = (fastest(true)?, fastest(false)?);
    let compare_to = |allocator: ScratchAllocator| {
        let ratio = case.ratio(allocator.name(), ours.name(), "cpu")?;
        Some(match ratio.verdict {
            RatioVerdict::Tie => format!("{} ties with it", allocator.name()),
            verdict => {
                format!(
                    "{} takes {} times as long{}",
                    allocator.name(),
                    three_digits(ratio.times),
                    verdict.doubt()
                )
            }
        })
    };
    let mut text =
        format!("{}: by processor time the fastest of this project's is {}", case.key, ours.name());
    for comparison in [compare_to(peer), compare_to(ScratchAllocator::Malloc)].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(&comparison);
    }
    text.push('.');
    Some(text)
}
