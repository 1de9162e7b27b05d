//! The whole result.

use serde::Serialize;

use super::outcome::{Outcome, Verdict};

/// All cells of a run. Sizes are bytes.
#[derive(Serialize)]
pub struct Matrix {
    pub command: &'static str,
    pub engine: String,
    /// How much each child tried to allocate.
    pub size: u64,
    /// How much it was given.
    pub memory: u64,
    /// Arenas were used through the calls that return errors.
    #[serde(rename = "try")]
    pub tries: bool,
    /// Seconds that each child had.
    pub timeout: u64,
    /// Not all cells were done.
    pub partial: bool,
    /// Everything that could run ended as promised.
    pub as_promised: bool,
    pub cells: Vec<Outcome>,
}

impl Matrix {
    /// Adds one.
    pub fn push(&mut self, cell: Outcome) {
        self.as_promised &= cell.verdict != Verdict::NotAsPromised;
        self.cells.push(cell);
    }
}
