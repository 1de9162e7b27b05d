//! A run's processes for people to read.

use std::{collections::BTreeSet, time::Duration};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};

use super::{
    Told,
    records::{Figures, Merged, Process, sum},
};
use crate::{failure::short, size::human};

/// Processes that have a line of their own.
const SHOWN: usize = 16;
/// All that is told.
pub fn of(told: &Told) -> String {
    let mut text = format!(
        "\nhighwater run: {} ended with {} after {:.2?} (user {:.2?}, system {:.2?}; {} page faults, largest process \
         {})\n",
        short(&told.program.join(" ")),
        told.ended,
        Duration::from_nanos(told.wall_ns),
        Duration::from_nanos(told.user_ns),
        Duration::from_nanos(told.system_ns),
        told.minor_faults.saturating_add(told.major_faults),
        human(told.peak_resident),
    );
    if told.processes.is_empty() {
        text.push_str(
            "no process left a record: the command is statically linked or setuid, brings its own malloc, or ended \
             before it allocated",
        );
    } else {
        text.push_str(&format!("{}\n", table(told)));
        text.push_str(&count(&told.merged, &told.processes));
    }
    if told.unreadable > 0 {
        text.push_str(&format!(
            "\n{} could not be read (of another version, or not begun)",
            many(told.unreadable, "record")
        ));
    }
    text
}

fn table(told: &Told) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "process",
        "policy",
        "end",
        "growth steps",
        "committed",
        "at most",
        "live blocks at the end",
        "their bytes",
        "at most",
        "page faults",
        "peak RSS",
    ]);
    for column in 3..11 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // The largest, in the order in which they began.
    let mut largest: Vec<_> = (0..told.processes.len()).collect();
    largest.sort_by_key(|&index| std::cmp::Reverse(told.processes[index].figures.peak_committed));
    let shown: BTreeSet<_> = largest.into_iter().take(SHOWN).collect();
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for (index, process) in told.processes.iter().enumerate() {
        if shown.contains(&index) { &mut own } else { &mut others }.push(process.clone());
    }
    for process in &own {
        let name = format!("{} {}", process.name, process.process);
        table.add_row(row(name, process.policy, process.end.words(), &process.figures));
    }
    if !others.is_empty() {
        table.add_row(row(format!("{} others", others.len()), "", "", &sum(&others)));
    }
    if told.processes.len() > 1 {
        let name = format!("all {}", told.processes.len());
        table.add_row(row(name, "", "", &told.merged.figures));
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

/// What only a process that exits tells is not known of others.
fn known(figure: Option<u64>, show: impl Fn(u64) -> String) -> String {
    figure.map_or("unknown".into(), show)
}

fn count(merged: &Merged, processes: &[Process]) -> String {
    let ids: BTreeSet<_> = processes.iter().map(|process| process.process).collect();
    let mut text = format!("{} left {}", many(ids.len(), "process"), many(merged.records, "record"));
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
            "\nin the last line counts are added up and peaks are the largest process's; all that lived at the same \
             time had at most {} live and {} committed, as far as they told",
            human(merged.peak_live_bytes_together),
            human(merged.peak_committed_together),
        ));
    }
    text
}

fn many(count: usize, what: &str) -> String {
    let plural = if what.ends_with('s') { "es" } else { "s" };
    format!("{count} {what}{}", if count == 1 { "" } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(many(1, "process"), "1 process");
        assert_eq!(many(2, "process"), "2 processes");
        assert_eq!(many(0, "record"), "0 records");
        assert_eq!(short("a\nb"), "a b");
        assert_eq!(short(&"ä".repeat(61)), format!("{}…", "ä".repeat(60)));
    }
}
