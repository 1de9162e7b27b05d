//! Tables for people to read.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::HumanCount;

use super::{
    case::Case,
    sample::{Figure, Verdict},
    unit::{Unit, three},
};

/// Below the tables of a bench.
pub const LEGEND: &str = "median (min .. max) over the rounds; x: times the baseline's, the median of the rounds' \
own ratios; less is better.\ntie: these ratios (from 7 rounds on, their middle half) spread wider than their distance from 1; \
?: fewer than 3 rounds, so no verdict; -: nobody tells.";

/// The most metrics with their spread in one table; where there are more, each table has two.
const ABREAST: usize = 3;

/// A contender a line, two columns for each metric.
pub fn of_case(case: &Case) -> String {
    let rounds =
        if case.rounds == 1 { "1 round".into() } else { format!("{} interleaved rounds", case.rounds) };
    let partial = if case.partial { "PARTIAL, " } else { "" };
    let count = case.metrics.len();
    let wide = case.metrics.iter().filter(|metric| !metric.plain).count();
    let abreast = if wide > ABREAST { 2 } else { count.max(1) };
    let tables = (0..count.max(1)).step_by(abreast).map(|from| table(case, from..count.min(from + abreast)));
    let tables: Vec<_> = tables.map(|table| table.to_string()).collect();
    format!("{} ({partial}{rounds})\n{}", case.title, tables.join("\n"))
}

/// Of some of its metrics.
fn table(case: &Case, columns: std::ops::Range<usize>) -> Table {
    let mut table = new();
    let mut head = vec![String::new()];
    for metric in &case.metrics[columns.clone()] {
        head.push(metric.label.clone());
        head.extend((!metric.plain).then(|| "x".into()));
    }
    let width = head.len();
    table.set_header(head);
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

/// The median, and the ends where they differ from it.
fn spread(figure: &Figure, unit: Unit) -> String {
    let [min, median, max] = [figure.min, figure.median, figure.max].map(|value| unit.show(value));
    if min == max { median } else { format!("{median} ({min} .. {max})") }
}

/// `1.25`, `1.02 tie`.
fn times(figure: &Figure) -> String {
    let Some(ratio) = &figure.ratio else { return String::new() };
    let number =
        if ratio.verdict == Verdict::Tie { format!("{:.2}", ratio.times) } else { three(ratio.times) };
    format!("{number} {}", ratio.verdict.word()).trim_end().to_owned()
}

/// An empty table in the style of all.
pub fn new() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table
}

/// Numbers stand below each other.
pub fn right_align(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// With a comma at every thousand.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// In a unit that fits.
pub fn time(ns: u64) -> String {
    format!("{:.2?}", Duration::from_nanos(ns))
}
