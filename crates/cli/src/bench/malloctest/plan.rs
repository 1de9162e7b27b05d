//! The plan of a child, and its report.

use std::fmt::{self, Display, Formatter};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The five parameters of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkShape {
    /// The number of threads that do the same at the same time.
    pub threads: usize,
    /// How often each thread fills an array and empties it.
    pub repeats: usize,
    /// Blocks in the array.
    pub iterations: usize,
    /// The smallest block, in bytes.
    pub lower: u32,
    /// All blocks are smaller than this, in bytes.
    pub upper: u32,
}

impl Display for WorkShape {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {}", self.threads, self.repeats, self.iterations, self.lower, self.upper)
    }
}

impl WorkShape {
    /// The number of pairs of an allocation and a deallocation in the whole run.
    pub fn pairs(&self) -> u64 {
        (self.threads as u64).saturating_mul(self.repeats as u64).saturating_mul(self.iterations as u64)
    }

    /// The bytes requested at the same time, on average.
    pub fn live_bytes(&self) -> u64 {
        let mean = (u64::from(self.lower) + u64::from(self.upper)) / 2;
        let blocks = (self.threads as u64).saturating_mul(self.iterations as u64);
        blocks.saturating_mul(mean + size_of::<*mut u8>() as u64)
    }
}

/// What is written to a block before it is freed, within the measured time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// Nothing: only the allocator touches memory
    Nothing,
    /// The first byte
    First,
    /// Every byte
    All,
}

impl Display for WriteMode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteMode::Nothing => "blocks not written to",
            WriteMode::First => "the first byte of each block written",
            WriteMode::All => "all of each block written",
        })
    }
}

/// The allocator of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllocatorChoice {
    /// `malloc` and `free`, of whichever library is preloaded.
    Malloc,
    /// `highwater::Arena`, by reference, with `reset`.
    Arena,
    /// A scope of an arena for each repeat.
    Scope,
    /// `bumpalo::Bump`, by reference, with `reset`.
    Bumpalo,
    /// No allocator: only the loops, with a fixed address.
    None,
}

/// The plan of a child.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct MalloctestPlan {
    /// The shape of the work.
    pub shape: WorkShape,
    /// What is written to blocks.
    pub write: WriteMode,
    /// The allocator.
    pub allocator: AllocatorChoice,
}

impl MalloctestPlan {
    /// Parses the argument of the child.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// The report of a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MalloctestReport {
    /// The file that defines `malloc`, as the dynamic loader names it.
    pub malloc_from: Option<String>,
    /// For each repeat, the time from the start of the first thread to the end of the last.
    pub repeat_ns: Vec<u64>,
    /// The sum of the times of all threads.
    pub thread_ns: u64,
    /// User time of the process, in the repeats.
    pub user_ns: u64,
    /// System time of the process, in the repeats.
    pub system_ns: u64,
    /// Page faults in the repeats.
    pub page_faults: u64,
    /// The peak of resident memory until the last repeat ended, in bytes.
    pub peak_rss: Option<u64>,
    /// Resident memory before any work.
    pub rss_before: Option<u64>,
    /// Bytes of all blocks of all repeats.
    pub asked: u64,
    /// The number of blocks that were filled and checked, all of them intact.
    pub verified: u64,
}
