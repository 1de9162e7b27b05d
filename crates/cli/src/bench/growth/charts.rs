//! Pictures of growth.

use super::{
    child::Trace,
    median,
    way::{Engine, QUICK_STEPS, STEPS, Way, step_name},
};
use crate::{
    failure::Failure,
    lab::{
        Case, Unit,
        chart::{Axis, ChartLine, LineChart, Picture},
    },
};

/// On the wall, and of the processor, which other programs disturb less.
const METRICS: [(&str, &str); 2] = [("time", "time"), ("cpu", "processor time")];

/// Lines by step: what is told of them, and which they are.
type Family = (&'static str, fn(usize) -> Way);

const FAMILIES: [Family; 6] = [
    ("fault, populated", |step| Way::new(Engine::Fixed(step), true, false)),
    ("fault, page by page", |step| Way::new(Engine::Fixed(step), false, false)),
    ("fault, populated, huge pages", |step| Way::new(Engine::Fixed(step), true, true)),
    ("fault, huge pages", |step| Way::new(Engine::Fixed(step), false, true)),
    ("explicit branch", |step| Way::new(Engine::Explicit(step), false, false)),
    ("explicit branch, huge pages", |step| Way::new(Engine::Explicit(step), false, true)),
];

/// What has no step of a fixed size, for comparison.
const LEVEL: [Way; 5] = [
    Way::DEFAULT,
    Way { engine: Engine::Geometric, populate: true, huge: false },
    Way { engine: Engine::Upfront, populate: false, huge: false },
    Way { engine: Engine::Upfront, populate: false, huge: true },
    Way { engine: Engine::Vec, populate: false, huge: false },
];

/// Those whose memory is drawn over time.
pub fn traced() -> Vec<Way> {
    let mut some = LEVEL.to_vec();
    let step = 64 << 10;
    some.push(Way::new(Engine::Fixed(step), true, false));
    some.extend([Engine::Bumpalo, Engine::Malloc].map(|peer| Way::new(peer, false, false)));
    some
}

/// Time against the size of a step, on the wall and of the processor.
pub fn by_step(case: &Case, ways: &[Way]) -> Result<Vec<Picture>, Failure> {
    let mut steps = [STEPS.to_vec(), QUICK_STEPS.to_vec()].concat();
    steps.sort_unstable();
    steps.dedup();
    steps.retain(|step| {
        ways.iter().any(|way| matches!(way.engine, Engine::Fixed(n) | Engine::Explicit(n) if n == *step))
    });
    let (Some(first), Some(last)) = (steps.first().copied(), steps.last().copied()) else {
        return Ok(Vec::new());
    };
    let mut pictures = Vec::new();
    for (metric, what) in METRICS {
        let of_family = |(name, way): &Family| {
            let point = |step: &usize| Some((*step as f64, median(case, way(*step), metric)?));
            ChartLine { name: (*name).to_owned(), points: steps.iter().filter_map(point).collect() }
        };
        let level = |way: &Way| {
            let at = median(case, *way, metric)?;
            Some(ChartLine {
                name: format!("({})", way.name()),
                points: vec![(first as f64, at), (last as f64, at)],
            })
        };
        let lines = FAMILIES.iter().map(of_family).filter(|line| !line.points.is_empty());
        let lines: Vec<_> = lines.chain(LEVEL.iter().filter_map(level)).collect();
        let chart = LineChart {
            name: format!("{metric}-by-step"),
            title: format!("{}: {what} by the size of a step{}", case.title, partial(case.partial)),
            subtitle: format!(
                "medians of {} runs; in brackets: what has no fixed step; both axes in equal factors",
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

/// Time of a KiB against the size that is filled, on the wall and of the processor.
pub fn by_size(cases: &[Case], sizes: &[usize], ways: &[Way]) -> Result<Vec<Picture>, Failure> {
    let mut pictures = Vec::new();
    for (metric, what) in METRICS {
        let line = |way: Way| {
            let point = |(case, size): (&Case, &usize)| {
                Some((*size as f64, median(case, way, metric)? / (*size as f64 / 1024.0)))
            };
            ChartLine { name: way.name(), points: cases.iter().zip(sizes).filter_map(point).collect() }
        };
        let lines = traced().into_iter().filter(|way| ways.contains(way)).map(line);
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

/// Memory against time.
pub fn over_time(size: usize, traces: &[(Way, Trace)]) -> Result<Option<Picture>, Failure> {
    let line = |(way, trace): &(Way, Trace)| ChartLine {
        name: way.name(),
        points: trace.iter().map(|(ns, rss)| (*ns as f64, *rss as f64)).collect(),
    };
    if traces.is_empty() {
        return Ok(None);
    }
    let chart = LineChart {
        name: "rss-over-time".into(),
        title: format!("Filling {} word by word: memory over time", step_name(size)),
        subtitle: "one run each, beside the measured ones: the process's resident memory after each 128th of the size"
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
