//! From what the children tell to tables, charts and sentences.

use super::{
    LOOPS, Repeats,
    args::MalloctestArgs,
    plan::{Plan, Shape, Told, Write},
};
use crate::{
    allocators::{Allocator, AllocatorKind},
    failure::Failure,
    lab::{
        Case, Findings, Metric, Sample, Unit, Verdict,
        chart::{Axis, BarChart, ChartLine, LineChart, Picture},
        unit::three_digits,
    },
};

/// Of each run.
pub fn metrics() -> Vec<Metric> {
    vec![
        Metric::new("pair", "time per pair", Unit::Ns),
        Metric::new("cpu", "user + system time", Unit::Ns),
        Metric::new("peak-rss", "peak RSS", Unit::Bytes),
        Metric::new("page-faults", "page faults", Unit::Count),
    ]
}

/// The figures of one run.
pub fn sample(plan: &Plan, told: &Told) -> Result<Sample, String> {
    if told.repeat_ns.len() != plan.shape.repeats {
        return Err(format!("{} repeats of {} were done", told.repeat_ns.len(), plan.shape.repeats));
    }
    let figures = [
        Some(told.thread_ns as f64 / plan.shape.pairs() as f64),
        Some((told.user_ns + told.system_ns) as f64),
        told.peak_rss.map(|bytes| bytes as f64),
        Some(told.page_faults as f64),
    ];
    Ok(Sample::of_some(figures).with_checksum(told.asked))
}

/// All that is told about the runs.
pub fn of(
    case: Case,
    repeats: &Repeats,
    shape: &Shape,
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
        let words = words(case, args.write, allocators);
        findings.pictures = pictures;
        findings.words = words;
    }
    Ok(findings)
}

fn command(shape: &Shape, args: &MalloctestArgs) -> String {
    let mut command = format!("highwater bench malloctest {shape}");
    match args.write {
        Write::Nothing => {}
        Write::First => command.push_str(" --write first"),
        Write::All => command.push_str(" --write all"),
    }
    if let Some(names) = &args.allocators {
        command.push_str(&format!(" --allocators {}", names.join(",")));
    }
    if let Some(runs) = args.lab.runs {
        command.push_str(&format!(" --runs {runs}"));
    }
    command
}

fn pictures(case: &Case, repeats: &Repeats, shape: &Shape) -> Result<Vec<Picture>, Failure> {
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

/// What the first repeat pays for, and what the others find.
fn by_repeat(case: &Case, repeats: &Repeats, shape: &Shape) -> LineChart {
    let line = |name: &String| {
        let times = repeats.get(name)?.iter().enumerate();
        let points = times.map(|(at, ns)| ((at + 1) as f64, *ns as f64 / shape.iterations as f64));
        Some(ChartLine { name: name.clone(), points: points.collect() })
    };
    LineChart {
        name: "by-repeat".into(),
        title: format!("malloctest {shape}: each repeat"),
        subtitle: "everybody's last run; from the first thread's start to the last one's end, over the blocks of one"
            .into(),
        x: Axis::linear("repeat", Unit::Count),
        y: Axis::log("time per pair", Unit::Ns),
        lines: case.rows.iter().filter_map(|row| line(&row.contender)).collect(),
    }
}

fn words(case: &Case, write: Write, allocators: &[Allocator]) -> Vec<String> {
    let mut words = Vec::new();
    let is_ours = |allocator: &&Allocator| matches!(allocator.kind, AllocatorKind::Highwater(_));
    let others = allocators.iter().filter(|allocator| !is_ours(allocator));
    let versions: Vec<_> = others.map(|other| format!("{} is {}", other.name, other.version)).collect();
    words.push(format!("{}.", versions.join(", ")));
    let fastest = |of: &dyn Fn(&&Allocator) -> bool| {
        allocators
            .iter()
            .filter(|allocator| of(allocator))
            .filter_map(|allocator| Some((allocator.name.as_str(), case.median(&allocator.name, "pair")?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let peer = fastest(&|allocator| !is_ours(allocator));
    if let Some((name, time)) = peer {
        words.push(format!("The fastest of the others is {name}, {} a pair.", Unit::Ns.show(time)));
    }
    for ours in allocators.iter().filter(is_ours) {
        words.extend(peer.and_then(|(peer, _)| against(case, &ours.name, peer)));
    }
    for arena in super::ARENAS.map(|(name, _)| name) {
        words.extend(peer.and_then(|(peer, _)| against(case, arena, peer)));
    }
    if let Some(time) = case.median(LOOPS, "pair") {
        words.push(format!(
            "Of every time {} are the loops that the benchmark consists of.",
            Unit::Ns.show(time)
        ));
    }
    if write == Write::Nothing {
        words.push(
            "Nothing was written to the blocks: who keeps nothing between them touched no memory for them, which \
             --write first or all would have shown."
                .into(),
        );
    }
    words
}

/// `bump: 12.1 ns a pair, 0.31 times mimalloc's, with 0.9 times its memory.`
fn against(case: &Case, name: &str, peer: &str) -> Option<String> {
    let time = case.ratio(name, peer, "pair")?;
    let said = match time.verdict {
        Verdict::Tie => format!("a tie with {peer}"),
        Verdict::TooFewRuns => {
            format!("{} times {peer}'s (too few runs to be sure)", three_digits(time.times))
        }
        Verdict::Less | Verdict::More => format!("{} times {peer}'s", three_digits(time.times)),
    };
    let memory = case.ratio(name, peer, "peak-rss").map_or(String::new(), |memory| {
        format!(", with {} times its peak memory", three_digits(memory.times))
    });
    Some(format!("{name}: {} a pair, {said}{memory}.", Unit::Ns.show(case.median(name, "pair")?)))
}
