//! What a child is asked for, and what it tells.

use std::fmt::{self, Display, Formatter};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The five figures of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// That do the same at the same time.
    pub threads: usize,
    /// Times that each of them fills an array and empties it.
    pub repeats: usize,
    /// Blocks in the array.
    pub iterations: usize,
    /// The smallest block, in bytes.
    pub lower: u32,
    /// No block is so large.
    pub upper: u32,
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {} {}", self.threads, self.repeats, self.iterations, self.lower, self.upper)
    }
}

impl Shape {
    /// Allocations of blocks in the whole run, each with its free.
    pub fn pairs(&self) -> u64 {
        (self.threads as u64).saturating_mul(self.repeats as u64).saturating_mul(self.iterations as u64)
    }

    /// What is asked for at the same time, on average.
    pub fn live_bytes(&self) -> u64 {
        let mean = (u64::from(self.lower) + u64::from(self.upper)) / 2;
        let blocks = (self.threads as u64).saturating_mul(self.iterations as u64);
        blocks.saturating_mul(mean + size_of::<*mut u8>() as u64)
    }
}

/// What is done with a block before it is freed, in the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Write {
    /// It is not touched: all memory that is is the allocator's doing.
    Nothing,
    /// Its first byte.
    First,
    /// All of it.
    All,
}

impl Display for Write {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Write::Nothing => "blocks not written to",
            Write::First => "the first byte of each block written",
            Write::All => "all of each block written",
        })
    }
}

/// Who allocates in the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// `malloc` and `free`, whosever they are in this process.
    Malloc,
    /// `highwater::Arena`, through a reference, and `reset`.
    Arena,
    /// A scope of it, which ends.
    Scope,
    /// `bumpalo::Bump`, through a reference, and `reset`.
    Bumpalo,
    /// Nobody: the loops alone, with the addresses made up.
    Nobody,
}

/// What a child does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Plan {
    /// Of the run.
    pub shape: Shape,
    /// To the blocks.
    pub write: Write,
    /// From whom.
    pub subject: Subject,
}

impl Plan {
    /// From a command line.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// What a child measured, about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The object in whose code `malloc` is, as the dynamic loader names it.
    pub malloc_from: Option<String>,
    /// For each repeat, from the first thread's start to the last one's end.
    pub repeat_ns: Vec<u64>,
    /// All threads' times, added up.
    pub thread_ns: u64,
    /// Of the process, in the repeats.
    pub user_ns: u64,
    /// Of the process, in the repeats.
    pub system_ns: u64,
    /// That the kernel served in the repeats.
    pub page_faults: u64,
    /// The most that was in memory until the last repeat ended, in bytes.
    pub peak_rss: Option<u64>,
    /// What was in memory before any work: the program.
    pub rss_before: Option<u64>,
    /// Bytes of all blocks of all repeats.
    pub asked: u64,
    /// Blocks that were filled and looked at afterwards, all of them whole.
    pub verified: u64,
}
