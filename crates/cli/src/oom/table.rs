//! The matrix for people to read.

use std::time::Duration;

use super::{
    cells::{What, Who},
    matrix::Matrix,
    outcome::{Outcome, Verdict},
};
use crate::{lab::text, size::human};

/// A line for each cell, and why some did not run.
pub fn of(matrix: &Matrix) -> String {
    let mut table = text::new();
    table.set_header(["runs out", "who", "how it ended", "at", "after", "named", "as promised"]);
    let mut last = None;
    for cell in matrix.cells.iter().filter(|cell| cell.how.has_run()) {
        let what = if last.replace(cell.what) == Some(cell.what) { "" } else { cell.what.name() };
        table.add_row([
            what.to_owned(),
            cell.who.name().to_owned(),
            cell.how.words().to_owned(),
            cell.bytes.map_or(String::new(), human),
            cell.elapsed_ns.map_or(String::new(), |ns| format!("{:.1?}", Duration::from_nanos(ns))),
            cell.cause.clone().unwrap_or_default(),
            match cell.verdict {
                Verdict::AsPromised => "yes",
                Verdict::NotAsPromised => "NO",
                Verdict::NoPromise => "(no promise)",
            }
            .to_owned(),
        ]);
    }
    text::right_align(&mut table, 3..5);
    let mut said = String::new();
    if matrix.partial {
        said.push_str("PARTIAL: the run was ended before all cells were done\n");
    }
    let given = format!(
        "{} to allocate, {} given; engine: {}{}\n",
        human(matrix.size),
        human(matrix.memory),
        matrix.engine,
        if matrix.tries { "; arenas by calls that return errors" } else { "" }
    );
    said.push_str(&given);
    said.push_str(&table.to_string());
    for (how, what, who, reason) in idle(&matrix.cells) {
        said.push_str(&format!("\n{how}: {} ({}): {reason}", what.name(), who.join(", ")));
    }
    said
}

/// What did not run, with all whom the same keeps from it together.
fn idle(cells: &[Outcome]) -> Vec<(&'static str, What, Vec<&'static str>, &str)> {
    let mut groups: Vec<(&'static str, What, Vec<&'static str>, &str)> = Vec::new();
    for cell in cells.iter().filter(|cell| !cell.how.has_run()) {
        let (how, reason) = (cell.how.words(), cell.reason.as_deref().unwrap_or_default());
        let same = groups.iter_mut().find(|group| (group.0, group.1, group.3) == (how, cell.what, reason));
        match same {
            Some(group) => group.2.push(Who::name(cell.who)),
            None => groups.push((how, cell.what, vec![cell.who.name()], reason)),
        }
    }
    groups
}
