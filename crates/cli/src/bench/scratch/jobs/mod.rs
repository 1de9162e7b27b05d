//! Typical jobs for arenas: build something, use it, and discard all of it.

mod maps;
mod requests;
mod strings;
mod trees;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use self::{maps::Maps, requests::Requests, strings::Strings, trees::Trees};
use super::storage::JobStorage;

/// A job that is done in cycles, at the end of which everything is discarded. The checksum does not depend on the
/// allocator.
pub trait ScratchJob {
    /// Runs one cycle and returns a checksum.
    fn cycle<'a, P: JobStorage<'a> + 'a>(&self, storage: P, cycle: u64) -> u64;

    /// Runs one cycle with `typed_arena`, whose arenas hold values of one type; only if [`ScratchJobKind::has_one_type`].
    fn typed(&self, cycle: u64) -> u64;
}

/// The jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScratchJobKind {
    /// Binary trees: built, walked, discarded
    Trees,
    /// The words of a text, each copied, and lines joined from them
    Strings,
    /// Hash maps of lists that all grow while they are filled
    Maps,
    /// Requests: some texts, lists and values each, and a reset after each
    Requests,
}

impl ScratchJobKind {
    pub fn name(self) -> &'static str {
        match self {
            ScratchJobKind::Trees => "trees",
            ScratchJobKind::Strings => "strings",
            ScratchJobKind::Maps => "maps",
            ScratchJobKind::Requests => "requests",
        }
    }

    /// The title of its table.
    pub fn title(self, size: u64) -> String {
        match self {
            ScratchJobKind::Trees => {
                format!("Trees: {} nodes per cycle, built, walked, discarded", Trees::nodes(size))
            }
            ScratchJobKind::Strings => format!("Strings: {size} words per cycle, copied and joined to lines"),
            ScratchJobKind::Maps => {
                format!("Hash maps: {size} values per cycle, put into growing lists of a growing map")
            }
            ScratchJobKind::Requests => {
                format!("Request scopes: {} allocations per cycle, then a reset", Requests::ALLOCATIONS)
            }
        }
    }

    /// Whether all its values are of one type.
    pub fn has_one_type(self) -> bool {
        matches!(self, ScratchJobKind::Trees | ScratchJobKind::Strings)
    }

    /// The size of a cycle, and the number of cycles.
    pub fn extent(self, quick: bool) -> (u64, u64) {
        match (self, quick) {
            (ScratchJobKind::Trees, false) => (16, 40),
            (ScratchJobKind::Trees, true) => (10, 4),
            (ScratchJobKind::Strings, false) => (100_000, 20),
            (ScratchJobKind::Strings, true) => (2_000, 3),
            (ScratchJobKind::Maps, false) => (50_000, 20),
            (ScratchJobKind::Maps, true) => (2_000, 3),
            (ScratchJobKind::Requests, false) => (1, 20_000),
            (ScratchJobKind::Requests, true) => (1, 500),
        }
    }

    /// Roughly the memory that the largest contender uses for it.
    pub fn memory(self, quick: bool) -> usize {
        if quick { 8 << 20 } else { 48 << 20 }
    }
}

/// A checksum of a text: its length, its ends and its middle.
fn text_checksum(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().map_or(0, u64::from);
    let (last, middle) = (bytes.len().wrapping_sub(1), bytes.len() / 2);
    bytes.len() as u64 ^ at(0) << 16 ^ at(middle) << 24 ^ at(last) << 32
}
