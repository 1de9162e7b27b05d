//! Charts of the figures by length.

use super::{
    contests::{ARENA, CONSTANT_ARENA, LANGUAGES, MALLOC, STACK, TIME},
    sentences::{length_of, ratios},
};
use crate::{
    failure::Failure,
    lab::{
        Findings, Unit,
        chart::{Axis, ChartLine, LineChart, Picture},
    },
};

/// Charts of time_lines and ratios by length; none without figures.
pub fn of(findings: &Findings) -> Result<Vec<Picture>, Failure> {
    let subtitle = "median of the rounds; both axes logarithmic";
    let time_lines = LineChart {
        name: "time-by-length".into(),
        title: findings.title.clone(),
        subtitle: subtitle.into(),
        x: Axis::log("numbers in a vector", Unit::Count),
        y: Axis::log("processor time per step", Unit::Ns),
        lines: time_lines(findings),
    };
    let ratio_lines = LineChart {
        name: "ratio-by-length".into(),
        title: format!("{}: ratios", findings.title),
        subtitle:
            "median of the rounds' own ratios; above 1, the arena is faster than malloc, and slower than the stack"
                .into(),
        x: Axis::log("numbers in a vector", Unit::Count),
        y: Axis::linear("ratio", Unit::Times),
        lines: ratio_lines(findings),
    };
    let drawn = [time_lines, ratio_lines].into_iter().filter(|chart| !chart.lines.is_empty());
    drawn.map(|chart| chart.draw()).collect()
}

fn time_lines(findings: &Findings) -> Vec<ChartLine> {
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

fn ratio_lines(findings: &Findings) -> Vec<ChartLine> {
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
