//! `highwater bench scratch`: what arena users do, on ours and on its peers.

mod blink;
mod child;
mod jobs;
mod place;

use std::process::ExitCode;

use clap::{Args, ValueEnum as _};

use self::{
    child::{Plan, Told, Who},
    jobs::What,
};
use crate::{
    failure::Failure,
    interrupt,
    lab::{
        Case, Contest, Findings, Lab, LabArgs, Metric, Sample, Unit, Verdict, Warming, chart::BarChart,
        process, unit::three_digits,
    },
};

const NAME: &str = "scratch";

const LONG: &str = "\
Does what arena users do, on this project's arenas, on other crates' and on malloc.

Four jobs, each in cycles of building something, using it and throwing it away: binary trees; the words of a text and \
lines joined from them; hash maps (hashbrown) of lists that all grow while they are filled; and thousands of request \
scopes. Each run is a process of its own, on a machine that is warmed before it. The time is that of a cycle, with \
the making and dropping of the allocator shared between them, on the wall and of the processor (which other programs \
disturb less); the memory is the process's peak, all of it. What was \
built is summed up, and must be the same for everybody.";

const AFTER: &str = "\
Examples:
  highwater bench scratch --quick
  highwater bench scratch --quick --job trees --job requests --runs 3 --json
  highwater bench scratch --quick --job strings --charts charts --csv scratch.csv

Arenas are reset after each cycle; with \"highwater, Scope\" each cycle has a scope. typed-arena holds values of one \
type and has no reset: it does the trees and the strings, with a new arena for each cycle. With malloc every value is \
owned (Box, Vec, HashMap) and freed when its owner is dropped. Lists and maps are allocator-api2's and hashbrown's for \
everybody. Highwater asks for huge pages, the others do not; one row shows what remains without.

Exit status: 0 done, 1 failed on the way (also where results differ), 2 refused, 130 interrupted by Ctrl-C, after \
showing what there was.";

/// Trees, strings, hash maps and request scopes, on arenas and on malloc.
#[derive(Args, Default)]
#[command(long_about = LONG, after_long_help = AFTER, after_help = "Example:\n  highwater bench scratch --quick")]
pub struct ScratchArgs {
    /// Only this job; may be given several times [default: all]
    #[arg(long = "job", value_name = "JOB", value_enum)]
    pub jobs: Vec<What>,

    /// Be the process that does this.
    #[arg(long, hide = true, value_name = "JSON", value_parser = Plan::parse)]
    child: Option<Plan>,

    #[command(flatten)]
    pub lab: LabArgs,
}

impl ScratchArgs {
    fn jobs(&self) -> Vec<What> {
        What::value_variants()
            .iter()
            .copied()
            .filter(|what| self.jobs.is_empty() || self.jobs.contains(what))
            .collect()
    }

    fn command(&self) -> String {
        let jobs: String = self.jobs.iter().map(|job| format!(" --job {}", job.name())).collect();
        self.lab.command(&format!("bench {NAME}{jobs}"))
    }
}

/// The part of a child, if this is one.
pub fn child(args: &ScratchArgs) -> Option<Result<ExitCode, Failure>> {
    args.child.as_ref().map(child::run)
}

/// All of it, or as much as there was before a Ctrl-C.
pub fn measure(args: &ScratchArgs) -> Result<Findings, Failure> {
    let jobs = args.jobs();
    let quick = args.lab.quick;
    let contests: Vec<_> = jobs.iter().map(|what| contest(*what, quick)).collect();
    let all = contests.iter().map(Contest::len).sum();
    let lab = Lab::new("bench scratch", &args.lab, args.lab.size(7, 3), args.lab.size(1, 0), all);
    let title = "What arena users do: time and memory of building, using and throwing away";
    let mut findings = Findings::new(NAME, title, args.command(), quick);
    for contest in contests {
        findings.push(contest.run(&lab)?);
        if interrupt::requested() {
            findings.partial = true;
            break;
        }
    }
    findings.words = findings.cases.iter().filter_map(words).collect();
    let pictures = [
        ("time", "Time of a cycle"),
        ("cpu", "Processor time of a cycle"),
        ("peak-rss", "Peak memory of the process"),
    ];
    for (metric, title) in pictures {
        let title =
            format!("{title}: build, use, throw away{}", if findings.partial { " (partial)" } else { "" });
        findings.pictures.extend(
            BarChart::of_cases(metric, &title, &findings.cases, metric, true)
                .map(|bars| bars.draw())
                .transpose()?,
        );
    }
    Ok(findings)
}

fn contest<'a>(what: What, quick: bool) -> Contest<'a> {
    let metrics = vec![
        Metric::new("time", "time of a cycle", Unit::Ns),
        Metric::new("cpu", "processor time of a cycle", Unit::Ns),
        Metric::new("peak-rss", "peak RSS", Unit::Bytes),
    ];
    let (size, cycles) = what.extent(quick);
    let memory = what.memory(quick);
    let warming = if quick { Warming::Once(memory) } else { Warming::EachRun(memory) };
    let mut contest = Contest::new(what.name(), what.title(size), metrics, warming);
    for who in Who::value_variants().iter().copied() {
        if who == Who::TypedArena && !what.has_one_type() {
            contest.absent(who.name(), "its arenas hold values of one type");
            continue;
        }
        let plan = Plan { who, what, size, cycles };
        contest.contender(who.name(), move || one(&plan));
    }
    contest
}

fn one(plan: &Plan) -> Result<Sample, String> {
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    let mut command =
        process::this_command(["bench", NAME, "--child", &text]).map_err(|error| error.to_string())?;
    let told: Told = process::json(&mut command)?;
    let each = |ns: u64| Some(ns as f64 / plan.cycles as f64);
    let figures = [each(told.ns), each(told.cpu_ns), told.peak_rss.map(|bytes| bytes as f64)];
    Ok(Sample::of_some(figures).with_checksum(told.checksum))
}

/// Who was the fastest, and how far behind the others are.
fn words(case: &Case) -> Option<String> {
    let median = |who: Who| case.median(who.name(), "cpu");
    let all = Who::value_variants().iter().copied();
    let fastest = |ours: bool| {
        let some = all.clone().filter(|who| who.is_ours() == ours && *who != Who::Malloc);
        some.filter(|who| median(*who).is_some())
            .min_by(|a, b| f64::total_cmp(&median(*a).unwrap_or(0.0), &median(*b).unwrap_or(0.0)))
    };
    let (ours, peer) = (fastest(true)?, fastest(false)?);
    let against = |who: Who| {
        let ratio = case.ratio(who.name(), ours.name(), "cpu")?;
        Some(match ratio.verdict {
            Verdict::Tie => format!("{} ties with it", who.name()),
            verdict => {
                format!(
                    "{} takes {} times its time{}",
                    who.name(),
                    three_digits(ratio.times),
                    verdict.doubt()
                )
            }
        })
    };
    let mut text = format!("{}: by processor time the fastest of ours is {}", case.key, ours.name());
    for said in [against(peer), against(Who::Malloc)].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(&said);
    }
    text.push('.');
    Some(text)
}
