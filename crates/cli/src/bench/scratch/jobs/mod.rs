//! What arena users do: build something, use it, and throw all of it away.

mod maps;
mod requests;
mod strings;
mod trees;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use self::{maps::Maps, requests::Requests, strings::Strings, trees::Trees};
use super::place::Place;

/// Something that is done in cycles, each of which ends with everything thrown away. The checksum of what was built
/// does not depend on where that was.
pub trait Job {
    /// Once; gives a checksum.
    fn cycle<'a, P: Place<'a> + 'a>(&self, place: P, cycle: u64) -> u64;

    /// Once with `typed_arena`, whose arenas hold values of one type; only where [`What::has_one_type`].
    fn typed(&self, cycle: u64) -> u64;
}

/// The jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Binary trees: built, walked, thrown away.
    Trees,
    /// A text's words, each copied, and lines that are joined from them.
    Strings,
    /// Hash maps of lists that all grow while they are filled.
    Maps,
    /// Requests: some texts, lists and values each, and a reset after each.
    Requests,
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            What::Trees => "trees",
            What::Strings => "strings",
            What::Maps => "maps",
            What::Requests => "requests",
        }
    }

    /// Over its table.
    pub fn title(self, size: u64) -> String {
        match self {
            What::Trees => format!("Trees: {} nodes a cycle, built, walked, thrown away", Trees::nodes(size)),
            What::Strings => format!("Strings: {size} words a cycle copied, and joined to lines"),
            What::Maps => {
                format!("Hash maps: {size} values a cycle put into growing lists of a growing map")
            }
            What::Requests => {
                format!("Request scopes: {} allocations a cycle, then a reset", Requests::ALLOCATIONS)
            }
        }
    }

    /// Whether one type is enough for it.
    pub fn has_one_type(self) -> bool {
        matches!(self, What::Trees | What::Strings)
    }

    /// How much is built in a cycle, and how many cycles there are.
    pub fn extent(self, quick: bool) -> (u64, u64) {
        match (self, quick) {
            (What::Trees, false) => (16, 40),
            (What::Trees, true) => (10, 4),
            (What::Strings, false) => (100_000, 20),
            (What::Strings, true) => (2_000, 3),
            (What::Maps, false) => (50_000, 20),
            (What::Maps, true) => (2_000, 3),
            (What::Requests, false) => (1, 20_000),
            (What::Requests, true) => (1, 500),
        }
    }

    /// About as much memory as the largest of the contenders takes for it.
    pub fn memory(self, quick: bool) -> usize {
        if quick { 8 << 20 } else { 48 << 20 }
    }
}

/// Spreads a number over all bits: splitmix64.
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Looks at a text: its length, its ends and its middle.
fn glance(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let at = |place: usize| bytes.get(place).copied().map_or(0, u64::from);
    let (last, middle) = (bytes.len().wrapping_sub(1), bytes.len() / 2);
    bytes.len() as u64 ^ at(0) << 16 ^ at(middle) << 24 ^ at(last) << 32
}
