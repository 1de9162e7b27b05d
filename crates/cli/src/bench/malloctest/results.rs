//! Makes tables, charts and sentences of the reports of the children.

use super::{
    LOOPS, RepeatTimes,
    args::MalloctestArgs,
    plan::{MalloctestPlan, MalloctestReport, WorkShape, WriteMode},
};
use crate::{
    allocators::{Allocator, AllocatorKind},
    failure::Failure,
    lab::{
        Case, Findings, Metric, RatioVerdict, RunSample, Unit,
        chart::{Axis, BarChart, ChartLine, LineChart, Picture},
        unit::three_digits,
    },
};

/// The metrics of each run.
pub fn metrics() -> Vec<Metric> {
    vec![
        Metric::new("pair", "time per pair", Unit::Ns),
        Metric::new("cpu", "user + system time", Unit::Ns),
        Metric::new("peak-rss", "peak RSS", Unit::Bytes),
        Metric::new("page-faults", "page faults", Unit::Count),
    ]
}

/// The figures of one run.
pub fn sample(plan: &MalloctestPlan, report: &MalloctestReport) -> Result<RunSample, String> {
    if report.repeat_ns.len() != plan.shape.repeats {
        return Err(format!("{} of {} repeats were done", report.repeat_ns.len(), plan.shape.repeats));
    }
    let figures = [
        Some(report.thread_ns as f64 / plan.shape.pairs() as f64),
        Some((report.user_ns + report.system_ns) as f64),
        report.peak_rss.map(|bytes| bytes as f64),
        Some(report.page_faults as f64),
    ];
    Ok(RunSample::of_some(figures).with_checksum(report.asked))
}

/// The findings of all runs.
pub fn findings(
    case: Case,
    repeats: &RepeatTimes,
    shape: &WorkShape,
    args: &MalloctestArgs,
    allocators: &[Allocator],
) -> Result<Findings, Failure> {
    let mut findings = Findings::new(
        "malloctest",
        &format!(
            "malloctest {shape}: in {}, {} times an array of {} blocks of {} to {} bytes, filled and emptied; {}",
            if shape.threads == 1 { "1 thread".into() } else { format!("{} threads", shape.threads) },
            shape.repeats,
            shape.iterations,
            shape.lower,
            shape.upper - 1,
            args.write,
        ),
        command(shape, args),
        args.lab.quick,
    );
    findings.push(case);
    if let Some(case) = findings.cases.first() {
        let pictures = pictures(case, repeats, shape)?;
        let sentences = sentences(case, args.write, allocators);
        findings.pictures = pictures;
        findings.words = sentences;
    }
    Ok(findings)
}

fn command(shape: &WorkShape, args: &MalloctestArgs) -> String {
    let mut command = format!("highwater bench malloctest {shape}");
    match args.write {
        WriteMode::Nothing => {}
        WriteMode::First => command.push_str(" --write first"),
        WriteMode::All => command.push_str(" --write all"),
    }
    if let Some(names) = &args.allocators {
        command.push_str(&format!(" --allocators {}", names.join(",")));
    }
    if let Some(runs) = args.lab.runs {
        command.push_str(&format!(" --runs {runs}"));
    }
    command
}

fn pictures(case: &Case, repeats: &RepeatTimes, shape: &WorkShape) -> Result<Vec<Picture>, Failure> {
    let mut pictures = Vec::new();
    let title = format!("malloctest {shape}: execution time");
    if let Some(mut bars) = BarChart::of_cases("time", &title, [case], "pair", false) {
        bars.what = "execution time of a thread".into();
        let pairs = (shape.repeats * shape.iterations) as f64;
        for bar in bars.groups.iter_mut().flat_map(|group| &mut group.bars) {
            bar.value *= pairs;
            bar.ends = (bar.ends.0 * pairs, bar.ends.1 * pairs);
        }
        pictures.push(bars.draw()?);
    }
    let title = format!("malloctest {shape}: peak memory");
    if let Some(bars) = BarChart::of_cases("peak-rss", &title, [case], "peak-rss", false) {
        pictures.push(bars.draw()?);
    }
    if shape.repeats > 1 && !repeats.is_empty() {
        pictures.push(by_repeat(case, repeats, shape).draw()?);
    }
    Ok(pictures)
}

/// The time of each repeat.
fn by_repeat(case: &Case, repeats: &RepeatTimes, shape: &WorkShape) -> LineChart {
    let line = |name: &String| {
        let times = repeats.get(name)?.iter().enumerate();
        let points = times.map(|(repeat, ns)| ((repeat + 1) as f64, *ns as f64 / shape.iterations as f64));
        Some(ChartLine { name: name.clone(), points: points.collect() })
    };
    LineChart {
        name: "by-repeat".into(),
        title: format!("malloctest {shape}: each repeat"),
        subtitle: "each contender's last run; from the start of the first thread to the end of the last, divided by the blocks of a thread"
            .into(),
        x: Axis::linear("repeat", Unit::Count),
        y: Axis::log("time per pair", Unit::Ns),
        lines: case.rows.iter().filter_map(|row| line(&row.contender)).collect(),
    }
}

fn sentences(case: &Case, write: WriteMode, allocators: &[Allocator]) -> Vec<String> {
    let mut sentences = Vec::new();
    let is_ours = |allocator: &&Allocator| matches!(allocator.kind, AllocatorKind::Highwater(_));
    let others = allocators.iter().filter(|allocator| !is_ours(allocator));
    let versions: Vec<_> = others.map(|other| format!("{} is {}", other.name, other.version)).collect();
    sentences.push(format!("{}.", versions.join(", ")));
    let fastest = |of: &dyn Fn(&&Allocator) -> bool| {
        allocators
            .iter()
            .filter(|allocator| of(allocator))
            .filter_map(|allocator| Some((allocator.name.as_str(), case.median(&allocator.name, "pair")?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let peer = fastest(&|allocator| !is_ours(allocator));
    if let Some((name, time)) = peer {
        sentences.push(format!("The fastest of the others is {name}, {} per pair.", Unit::Ns.show(time)));
    }
    for ours in allocators.iter().filter(is_ours) {
        sentences.extend(peer.and_then(|(peer, _)| compare_to(case, &ours.name, peer)));
    }
    for arena in super::ARENAS.map(|(name, _)| name) {
        sentences.extend(peer.and_then(|(peer, _)| compare_to(case, arena, peer)));
    }
    if let Some(time) = case.median(LOOPS, "pair") {
        sentences.push(format!(
            "Every time includes {} for the loops of the benchmark itself.",
            Unit::Ns.show(time)
        ));
    }
    if write == WriteMode::Nothing {
        sentences.push(
            "Nothing was written to the blocks: allocators that store nothing between them touched no memory, which \
             --write first or all would show."
                .into(),
        );
    }
    sentences
}

/// `bump: 12.1 ns per pair, 0.31 times mimalloc's, with 0.9 times its peak memory.`
fn compare_to(case: &Case, name: &str, peer: &str) -> Option<String> {
    let time = case.ratio(name, peer, "pair")?;
    let comparison = match time.verdict {
        RatioVerdict::Tie => format!("a tie with {peer}"),
        RatioVerdict::TooFewRuns => {
            format!("{} times {peer}'s (too few runs to be sure)", three_digits(time.times))
        }
        RatioVerdict::Less | RatioVerdict::More => format!("{} times {peer}'s", three_digits(time.times)),
    };
    let memory = case.ratio(name, peer, "peak-rss").map_or(String::new(), |memory| {
        format!(", with {} times its peak memory", three_digits(memory.times))
    });
    Some(format!("{name}: {} per pair, {comparison}{memory}.", Unit::Ns.show(case.median(name, "pair")?)))
}
