//! The matrix as a table.

use std::time::Duration;

use super::{
    cells::{LimitKind, OomSubject},
    matrix::OomMatrix,
    outcome::{CellOutcome, PromiseVerdict},
};
use crate::{lab, size::human};

/// A row for each cell, and the reasons why some did not run.
pub fn of(matrix: &OomMatrix) -> String {
    let mut table = lab::text::new();
    table.set_header(["limit", "allocator", "how it ended", "at", "after", "cause named", "as guaranteed"]);
    let mut last = None;
    for cell in matrix.cells.iter().filter(|cell| cell.ending.has_run()) {
        let what = if last.replace(cell.what) == Some(cell.what) { "" } else { cell.what.name() };
        table.add_row([
            what.to_owned(),
            cell.who.name().to_owned(),
            cell.ending.describe().to_owned(),
            cell.bytes.map_or(String::new(), human),
            cell.elapsed_ns.map_or(String::new(), |ns| format!("{:.1?}", Duration::from_nanos(ns))),
            cell.cause.clone().unwrap_or_default(),
            match cell.verdict {
                PromiseVerdict::AsPromised => "yes",
                PromiseVerdict::NotAsPromised => "NO",
                PromiseVerdict::NoPromise => "(no guarantee)",
            }
            .to_owned(),
        ]);
    }
    lab::text::right_align(&mut table, 3..5);
    let mut text = String::new();
    if matrix.partial {
        text.push_str("PARTIAL: the run was ended before all cells were done\n");
    }
    let sizes = format!(
        "{} to allocate, {} available; engine: {}{}\n",
        human(matrix.size),
        human(matrix.memory),
        matrix.engine,
        if matrix.tries { "; arenas by calls that return errors" } else { "" }
    );
    text.push_str(&sizes);
    text.push_str(&table.to_string());
    for (how, what, who, reason) in not_run(&matrix.cells) {
        text.push_str(&format!("\n{how}: {} ({}): {reason}", what.name(), who.join(", ")));
    }
    text
}

/// The cells that did not run, grouped by limit and reason.
fn not_run(cells: &[CellOutcome]) -> Vec<(&'static str, LimitKind, Vec<&'static str>, &str)> {
    let mut groups: Vec<(&'static str, LimitKind, Vec<&'static str>, &str)> = Vec::new();
    for cell in cells.iter().filter(|cell| !cell.ending.has_run()) {
        let (ending, reason) = (cell.ending.describe(), cell.reason.as_deref().unwrap_or_default());
        let same = groups.iter_mut().find(|group| (group.0, group.1, group.3) == (ending, cell.what, reason));
        match same {
            Some(group) => group.2.push(OomSubject::name(cell.who)),
            None => groups.push((ending, cell.what, vec![cell.who.name()], reason)),
        }
    }
    groups
}
