//! The charts of the growth bench.

use super::{
    child::RssTrace,
    median,
    strategy::{GrowthMethod, GrowthStrategy, QUICK_STEPS, STEPS, step_name},
};
use crate::{
    failure::Failure,
    lab::{
        Case, Unit,
        chart::{Axis, ChartLine, LineChart, Picture},
    },
};

/// Wall time, and processor time, which other programs affect less.
const METRICS: [(&str, &str); 2] = [("time", "time"), ("cpu", "processor time")];

/// A line over all step sizes: its name, and the strategy for a step size.
type StepSeries = (&'static str, fn(usize) -> GrowthStrategy);

const STEP_SERIES: [StepSeries; 6] = [
    ("fault, populated", |step| GrowthStrategy::new(GrowthMethod::Fixed(step), true, false)),
    ("fault, page by page", |step| GrowthStrategy::new(GrowthMethod::Fixed(step), false, false)),
    ("fault, populated, huge pages", |step| GrowthStrategy::new(GrowthMethod::Fixed(step), true, true)),
    ("fault, huge pages", |step| GrowthStrategy::new(GrowthMethod::Fixed(step), false, true)),
    ("explicit branch", |step| GrowthStrategy::new(GrowthMethod::Explicit(step), false, false)),
    ("explicit branch, huge pages", |step| GrowthStrategy::new(GrowthMethod::Explicit(step), false, true)),
];

/// Strategies without a fixed step, for comparison.
const WITHOUT_STEPS: [GrowthStrategy; 5] = [
    GrowthStrategy::DEFAULT,
    GrowthStrategy { engine: GrowthMethod::Geometric, populate: true, huge: false },
    GrowthStrategy { engine: GrowthMethod::Upfront, populate: false, huge: false },
    GrowthStrategy { engine: GrowthMethod::Upfront, populate: false, huge: true },
    GrowthStrategy { engine: GrowthMethod::Vec, populate: false, huge: false },
];

/// The strategies whose memory is drawn over time.
pub fn traced() -> Vec<GrowthStrategy> {
    let mut strategies = WITHOUT_STEPS.to_vec();
    let step = 64 << 10;
    strategies.push(GrowthStrategy::new(GrowthMethod::Fixed(step), true, false));
    strategies.extend(
        [GrowthMethod::Bumpalo, GrowthMethod::Malloc].map(|peer| GrowthStrategy::new(peer, false, false)),
    );
    strategies
}

/// Wall and processor time by step size.
pub fn by_step(case: &Case, strategies: &[GrowthStrategy]) -> Result<Vec<Picture>, Failure> {
    let mut steps = [STEPS.to_vec(), QUICK_STEPS.to_vec()].concat();
    steps.sort_unstable();
    steps.dedup();
    steps.retain(|step| {
        strategies.iter().any(|strategy| matches!(strategy.engine, GrowthMethod::Fixed(n) | GrowthMethod::Explicit(n) if n == *step))
    });
    let (Some(first), Some(last)) = (steps.first().copied(), steps.last().copied()) else {
        return Ok(Vec::new());
    };
    let mut pictures = Vec::new();
    for (metric, what) in METRICS {
        let of_series = |(name, strategy): &StepSeries| {
            let point = |step: &usize| Some((*step as f64, median(case, strategy(*step), metric)?));
            ChartLine { name: (*name).to_owned(), points: steps.iter().filter_map(point).collect() }
        };
        let level = |strategy: &GrowthStrategy| {
            let time = median(case, *strategy, metric)?;
            Some(ChartLine {
                name: format!("({})", strategy.name()),
                points: vec![(first as f64, time), (last as f64, time)],
            })
        };
        let lines = STEP_SERIES.iter().map(of_series).filter(|line| !line.points.is_empty());
        let lines: Vec<_> = lines.chain(WITHOUT_STEPS.iter().filter_map(level)).collect();
        let chart = LineChart {
            name: format!("{metric}-by-step"),
            title: format!("{}: {what} by the size of a step{}", case.title, partial(case.partial)),
            subtitle: format!(
                "medians of {} runs; in brackets: strategies without a fixed step; both axes logarithmic",
                case.rounds
            ),
            x: Axis::log("growth step", Unit::Bytes),
            y: Axis::log(what, Unit::Ns),
            lines,
        };
        pictures.extend((!chart.lines.is_empty()).then(|| chart.draw()).transpose()?);
    }
    Ok(pictures)
}

/// Wall and processor time for each KiB by the size that is filled.
pub fn by_size(
    cases: &[Case],
    sizes: &[usize],
    strategies: &[GrowthStrategy],
) -> Result<Vec<Picture>, Failure> {
    let mut pictures = Vec::new();
    for (metric, what) in METRICS {
        let line = |strategy: GrowthStrategy| {
            let point = |(case, size): (&Case, &usize)| {
                Some((*size as f64, median(case, strategy, metric)? / (*size as f64 / 1024.0)))
            };
            ChartLine { name: strategy.name(), points: cases.iter().zip(sizes).filter_map(point).collect() }
        };
        let lines = traced().into_iter().filter(|strategy| strategies.contains(strategy)).map(line);
        let lines: Vec<_> = lines.filter(|line| line.points.len() > 1).collect();
        if lines.is_empty() {
            continue;
        }
        let is_partial = cases.iter().any(|case| case.partial);
        let chart = LineChart {
            name: format!("{metric}-by-size"),
            title: format!("Filling memory word by word: {what} by size{}", partial(is_partial)),
            subtitle: format!("medians of {} runs, for each KiB of the size", cases[0].rounds),
            x: Axis::log("size that is filled", Unit::Bytes),
            y: Axis::linear(&format!("{what} for each KiB"), Unit::Ns),
            lines,
        };
        pictures.push(chart.draw()?);
    }
    Ok(pictures)
}

/// Memory over time.
pub fn over_time(size: usize, traces: &[(GrowthStrategy, RssTrace)]) -> Result<Option<Picture>, Failure> {
    let line = |(strategy, trace): &(GrowthStrategy, RssTrace)| ChartLine {
        name: strategy.name(),
        points: trace.iter().map(|(ns, rss)| (*ns as f64, *rss as f64)).collect(),
    };
    if traces.is_empty() {
        return Ok(None);
    }
    let chart = LineChart {
        name: "rss-over-time".into(),
        title: format!("Filling {} word by word: memory over time", step_name(size)),
        subtitle: "one run each, in addition to the measured ones: the process's resident memory after each 128th of the size"
            .into(),
        x: Axis::linear("time since the first word", Unit::Ns),
        y: Axis::linear("resident memory", Unit::Bytes),
        lines: traces.iter().map(line).collect(),
    };
    chart.draw().map(Some)
}

fn partial(is_partial: bool) -> &'static str {
    if is_partial { " (partial)" } else { "" }
}
