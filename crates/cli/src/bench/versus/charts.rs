//! The figures over the lengths.

use super::{
    contests::{ARENA, CONSTANT_ARENA, LANGUAGES, MALLOC, STACK, TIME},
    words::{length_of, ratios},
};
use crate::{
    failure::Failure,
    lab::{
        Findings, Unit,
        chart::{Axis, ChartLine, LineChart, Picture},
    },
};

/// Time by length, and ratios by length; none without figures.
pub fn of(findings: &Findings) -> Result<Vec<Picture>, Failure> {
    let subtitle = "median of the rounds; both axes in equal factors";
    let times = LineChart {
        name: "time-by-length".into(),
        title: findings.title.clone(),
        subtitle: subtitle.into(),
        x: Axis::log("numbers in a vector", Unit::Count),
        y: Axis::log("processor time per step", Unit::Ns),
        lines: times(findings),
    };
    let quotients = LineChart {
        name: "ratio-by-length".into(),
        title: format!("{}: ratios", findings.title),
        subtitle:
            "median of the rounds' own ratios; above 1, the arena is ahead of malloc, and behind the stack"
                .into(),
        x: Axis::log("numbers in a vector", Unit::Count),
        y: Axis::linear("ratio", Unit::Times),
        lines: quotients(findings),
    };
    let drawn = [times, quotients].into_iter().filter(|chart| !chart.lines.is_empty());
    drawn.map(|chart| chart.draw()).collect()
}

fn times(findings: &Findings) -> Vec<ChartLine> {
    let mut lines = Vec::new();
    for language in LANGUAGES {
        for contender in [ARENA, MALLOC, CONSTANT_ARENA, STACK] {
            let of = |case: &_| Some((length_of(case, language)? as f64, case.median(contender, TIME)?));
            let points = findings.cases.iter().filter_map(of).collect();
            lines.push(ChartLine { name: format!("{language}: {contender}"), points });
        }
    }
    lines.retain(|line| !line.points.is_empty());
    lines
}

fn quotients(findings: &Findings) -> Vec<ChartLine> {
    let mut lines = Vec::new();
    for language in LANGUAGES {
        for (contender, to, name) in
            [(MALLOC, ARENA, "malloc / arena"), (CONSTANT_ARENA, STACK, "arena / stack, both constant")]
        {
            let points = ratios(findings, language, contender, to);
            let points = points.iter().map(|(length, ratio)| (*length as f64, ratio.times)).collect();
            lines.push(ChartLine { name: format!("{language}: {name}"), points });
        }
    }
    lines.retain(|line| !line.points.is_empty());
    lines
}
