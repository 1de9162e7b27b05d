//! The processes of a run as a table.

use std::{collections::BTreeSet, time::Duration};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use super::{
    RunReport,
    records::{Figures, Merged, ProcessRecord, sum},
};
use crate::{failure::short, size::human};

/// How plural processes have a row of their own.
const SHOWN: usize = 16;

/// The whole report as text.
pub fn of(report: &RunReport) -> String {
    let mut text = format!(
        "\nhighwater run: {} ended with {} after {:.2?} (user {:.2?}, system {:.2?}; {} page faults, largest process \
         {})\n",
        short(&report.program.join(" ")),
        report.ended,
        Duration::from_nanos(report.wall_ns),
        Duration::from_nanos(report.user_ns),
        Duration::from_nanos(report.system_ns),
        report.minor_faults.saturating_add(report.major_faults),
        human(report.peak_resident),
    );
    if report.processes.is_empty() {
        text.push_str(
            "no process left a record: the command is statically linked or setuid, has its own malloc, or ended \
             before it allocated",
        );
    } else {
        text.push_str(&format!("{}\n", table(report)));
        text.push_str(&summary(&report.merged, &report.processes));
    }
    if report.unreadable > 0 {
        text.push_str(&format!(
            "\n{} could not be read (of another version, or empty)",
            plural(report.unreadable, "record")
        ));
    }
    text
}

fn table(report: &RunReport) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "process",
        "policy",
        "end",
        "growth steps",
        "committed",
        "peak",
        "live blocks at the end",
        "their bytes",
        "peak",
        "page faults",
        "peak RSS",
    ]);
    for column in 3..11 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // The largest ones, in the order in which they started.
    let mut largest: Vec<_> = (0..report.processes.len()).collect();
    largest.sort_by_key(|&index| std::cmp::Reverse(report.processes[index].figures.peak_committed));
    let shown: BTreeSet<_> = largest.into_iter().take(SHOWN).collect();
    let (mut rows, mut others) = (Vec::new(), Vec::new());
    for (index, process) in report.processes.iter().enumerate() {
        if shown.contains(&index) { &mut rows } else { &mut others }.push(process.clone());
    }
    for process in &rows {
        let name = format!("{} {}", process.name, process.process);
        table.add_row(row(name, process.policy, process.end.words(), &process.figures));
    }
    if !others.is_empty() {
        table.add_row(row(format!("{} others", others.len()), "", "", &sum(&others)));
    }
    if report.processes.len() > 1 {
        let name = format!("all {}", report.processes.len());
        table.add_row(row(name, "", "", &report.merged.figures));
    }
    table
}

fn row(name: String, policy: &str, end: &str, figures: &Figures) -> [String; 11] {
    let refused = match figures.refusals {
        0 => String::new(),
        refusals => format!(" ({refusals} refused)"),
    };
    [
        name,
        policy.to_owned(),
        end.to_owned(),
        format!("{}{refused}", figures.growths),
        human(figures.committed),
        human(figures.peak_committed),
        known(figures.live_blocks, |count| count.to_string()),
        known(figures.live_bytes, human),
        known(figures.peak_live_bytes, human),
        known(figures.faults(), |count| count.to_string()),
        known(figures.peak_resident, human),
    ]
}

/// A figure that is recorded only at the exit of a process is unknown for others.
fn known(figure: Option<u64>, show: impl Fn(u64) -> String) -> String {
    figure.map_or("unknown".into(), show)
}

fn summary(merged: &Merged, processes: &[ProcessRecord]) -> String {
    let ids: BTreeSet<_> = processes.iter().map(|process| process.process).collect();
    let mut text = format!("{} left {}", plural(ids.len(), "process"), plural(merged.records, "record"));
    let counts = [
        (merged.exited, "exited"),
        (merged.replaced, "became another program (exec), which has a record of its own"),
        (merged.cut_short, "cut short (killed, or ended without exit handlers)"),
        (merged.running, "still running"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    text.push_str(&format!(": {}", counts.join(", ")));
    if processes.len() > 1 {
        text.push_str(&format!(
            "\nin the last line counts are added up and peaks are those of the largest process; all processes that ran at \
             the same time had at most {} live and {} committed, as far as they recorded it",
            human(merged.peak_live_bytes_together),
            human(merged.peak_committed_together),
        ));
    }
    text
}

fn plural(count: usize, what: &str) -> String {
    let ending = if what.ends_with('s') { "es" } else { "s" };
    format!("{count} {what}{}", if count == 1 { "" } else { ending })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_and_short_names() {
        assert_eq!(plural(1, "process"), "1 process");
        assert_eq!(plural(2, "process"), "2 processes");
        assert_eq!(plural(0, "record"), "0 records");
        assert_eq!(short("a\nb"), "a b");
        assert_eq!(short(&"ä".repeat(61)), format!("{}…", "ä".repeat(60)));
    }
}
