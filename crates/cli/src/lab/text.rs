//! Findings as tables.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::HumanCount;

use super::{
    case::Case,
    sample::{Figure, RatioVerdict},
    unit::{Unit, three_digits},
};

/// The legend below the tables of a bench.
pub const LEGEND: &str = "median (min .. max) over the rounds; x: times the baseline's, the median of the rounds' \
own ratios; lower is better.\ntie: these ratios (with 7 rounds or more, their interquartile range) spread wider than their distance from 1; \
?: fewer than 3 rounds, so no verdict; -: not reported.";

/// How many metrics with a spread one table can have; if there are more, each table has two.
const MAX_WIDE_METRICS: usize = 3;

/// The tables of a case: a row for each contender, two columns for each metric.
pub fn case_tables(case: &Case) -> String {
    let rounds =
        if case.rounds == 1 { "1 round".into() } else { format!("{} interleaved rounds", case.rounds) };
    let partial = if case.partial { "PARTIAL, " } else { "" };
    let count = case.metrics.len();
    let wide = case.metrics.iter().filter(|metric| !metric.plain).count();
    let per_table = if wide > MAX_WIDE_METRICS { 2 } else { count.max(1) };
    let tables =
        (0..count.max(1)).step_by(per_table).map(|from| table(case, from..count.min(from + per_table)));
    let tables: Vec<_> = tables.map(|table| table.to_string()).collect();
    format!("{} ({partial}{rounds})\n{}", case.title, tables.join("\n"))
}

/// The table of some of its metrics.
fn table(case: &Case, columns: std::ops::Range<usize>) -> Table {
    let mut table = new();
    let mut header = vec![String::new()];
    for metric in &case.metrics[columns.clone()] {
        header.push(metric.label.clone());
        header.extend((!metric.plain).then(|| "x".into()));
    }
    let width = header.len();
    table.set_header(header);
    for row in &case.rows {
        let mut cells = vec![row.contender.clone()];
        if row.contender == case.baseline {
            cells[0].push_str(" (baseline)");
        }
        if row.figures.is_empty() {
            cells.push(row.reason.clone().unwrap_or_else(|| "did not run".into()));
        }
        for (figure, metric) in row.figures.iter().zip(&case.metrics).take(columns.end).skip(columns.start) {
            cells.push(match figure {
                None => "-".into(),
                Some(figure) if metric.plain => metric.unit.show(figure.median),
                Some(figure) => spread(figure, metric.unit),
            });
            cells.extend((!metric.plain).then(|| figure.as_ref().map_or(String::new(), times)));
        }
        if let (Some(reason), false) = (&row.reason, row.figures.is_empty()) {
            cells[0].push_str(&format!(" ({reason})"));
        }
        table.add_row(cells);
    }
    right_align(&mut table, 1..width);
    table
}

/// The median, and min and max if they differ.
fn spread(figure: &Figure, unit: Unit) -> String {
    let [min, median, max] = [figure.min, figure.median, figure.max].map(|value| unit.show(value));
    if min == max { median } else { format!("{median} ({min} .. {max})") }
}

/// The ratio with its verdict: `1.25`, `1.02 tie`.
fn times(figure: &Figure) -> String {
    let Some(ratio) = &figure.ratio else { return String::new() };
    let number = if ratio.verdict == RatioVerdict::Tie {
        format!("{:.2}", ratio.times)
    } else {
        three_digits(ratio.times)
    };
    format!("{number} {}", ratio.verdict.word()).trim_end().to_owned()
}

/// An empty table in the style of all tables of the command.
pub fn new() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table
}

/// Aligns columns of numbers to the right.
pub fn right_align(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A count with thousands separators.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A time in a suitable unit.
pub fn time(ns: u64) -> String {
    format!("{:.2?}", Duration::from_nanos(ns))
}
