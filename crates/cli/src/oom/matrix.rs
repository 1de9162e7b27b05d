//! The result of a run.

use serde::Serialize;

use super::outcome::{CellOutcome, PromiseVerdict};

/// The matrix of all cells. Sizes are bytes.
#[derive(Serialize)]
pub struct OomMatrix {
    pub command: &'static str,
    pub engine: String,
    /// How much each child tried to allocate.
    pub size: u64,
    /// How much of the limited resource it had.
    pub memory: u64,
    /// Arenas were used through the calls that return errors.
    #[serde(rename = "try")]
    pub tries: bool,
    /// The time limit of each child, in seconds.
    pub timeout: u64,
    /// Not all cells were done.
    pub partial: bool,
    /// Every cell that could run ended as guaranteed.
    pub as_promised: bool,
    pub cells: Vec<CellOutcome>,
}

impl OomMatrix {
    /// Adds a cell.
    pub fn push(&mut self, cell: CellOutcome) {
        self.as_promised &= cell.verdict != PromiseVerdict::NotAsPromised;
        self.cells.push(cell);
    }
}
