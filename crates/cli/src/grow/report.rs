//! What a run found out, the way it is written as JSON.

use serde::{Deserialize, Serialize};

use crate::failure::INTERRUPTED;

/// One job on one allocator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// `grow`.
    pub command: String,
    /// Of this program.
    pub version: String,
    /// `nodes` or `index`.
    pub job: String,
    /// As it was given.
    pub aim: Vec<String>,
    /// What it ran on.
    pub allocator: String,
    /// How regions grow in this build; highwater only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// How the arena was made; highwater only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Options>,
    /// Ctrl-C came before the end: what follows is true of the part that was done.
    pub partial: bool,
    /// The walk over the result found all in order. (A run that finds damage ends without a result.)
    pub verified: bool,
    /// Allocators, each with its thread.
    pub threads: usize,
    /// Bytes to be allocated, or to be read.
    pub total_bytes: u64,
    /// Bytes that were.
    pub done_bytes: u64,
    /// Calls to the allocator.
    pub allocations: u64,
    /// From the first thread's start to the last one's end.
    pub elapsed_ns: u64,
    /// Added over the threads.
    pub thread_ns: u64,
    /// `thread_ns` over `allocations`; none without allocations.
    pub ns_per_allocation: Option<f64>,
    /// Bytes asked for.
    pub asked: u64,
    /// Bytes used for them: with alignment if the allocator counts, else as asked.
    pub used: u64,
    /// Bytes taken from the system, if the allocator says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// The regions below, added up; highwater only.
    #[serde(flatten)]
    pub region: Option<Region>,
    /// Of the kernel, during the job, for the whole process.
    pub page_faults: u64,
    /// The most the process ever had in memory.
    pub peak_rss: Option<u64>,
    /// What was read; the job of paths only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexFacts>,
    /// Where the frontier was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plot: Option<String>,
}

/// How an arena was made, as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// `--growth`.
    pub growth: String,
    /// `--reserve`.
    pub reserve: String,
    /// `--head`.
    pub head: String,
    /// `--huge-pages`.
    pub huge_pages: String,
    /// `--backing`.
    pub backing: String,
}

/// What memory cost at the level of regions.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Region {
    /// Bytes below the frontier.
    pub committed: u64,
    /// Bytes of address space.
    pub reserved: u64,
    /// Times the frontier moved.
    pub growth_steps: u64,
    /// Signals that asked for it.
    pub faults: u64,
    /// Time spent moving it.
    pub growth_ns: u64,
    /// Bytes the kernel was asked to back in the same call.
    pub populated: u64,
}

impl Region {
    /// Of two regions.
    pub fn and(self, other: Self) -> Self {
        Self {
            committed: self.committed.saturating_add(other.committed),
            reserved: self.reserved.saturating_add(other.reserved),
            growth_steps: self.growth_steps + other.growth_steps,
            faults: self.faults + other.faults,
            growth_ns: self.growth_ns + other.growth_ns,
            populated: self.populated.saturating_add(other.populated),
        }
    }
}

/// What an index holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IndexFacts {
    /// Files that were read to their end.
    pub files: u64,
    /// Bytes read from them.
    pub bytes: u64,
    /// Words in them.
    pub words: u64,
    /// Different ones.
    pub distinct_words: u64,
    /// Files passed over because they are binary.
    pub binary: u64,
    /// Files and directories that could not be read.
    pub unreadable: u64,
    /// Symbolic links, sockets, pipes and devices.
    pub passed_over: u64,
    /// The most frequent words, most frequent first.
    pub frequent: Vec<Frequent>,
}

/// A word and how often it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequent {
    /// As it is written.
    pub word: String,
    /// In all files.
    pub count: u64,
}

/// The same job on several allocators.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `grow`.
    pub command: &'static str,
    /// One of the runs was interrupted, or did not begin.
    pub partial: bool,
    /// In the order they were made, highwater first.
    pub runs: Vec<Run>,
    /// Each of the others over highwater: above 1, highwater is better.
    pub ratios: Vec<Ratio>,
    /// Those that did not live to tell.
    pub failed: Vec<Failed>,
}

/// Another allocator's figures over highwater's.
#[derive(Debug, Clone, Serialize)]
pub struct Ratio {
    /// Whose.
    pub allocator: String,
    /// Of `elapsed_ns`.
    pub time: Option<f64>,
    /// Of `ns_per_allocation`.
    pub ns_per_allocation: Option<f64>,
    /// Of `peak_rss`.
    pub peak_rss: Option<f64>,
}

/// A run that ended without a result.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Whose.
    pub allocator: String,
    /// How it ended.
    pub reason: String,
}

impl Ratio {
    /// `None` for parts of a job.
    pub fn of(run: &Run, highwater: &Run) -> Option<Self> {
        if run.partial || highwater.partial {
            return None;
        }
        let over = |a: Option<f64>, b: Option<f64>| Some(a? / b?).filter(|ratio| ratio.is_finite());
        Some(Self {
            allocator: run.allocator.clone(),
            time: over(Some(run.elapsed_ns as f64), Some(highwater.elapsed_ns as f64)),
            ns_per_allocation: over(run.ns_per_allocation, highwater.ns_per_allocation),
            peak_rss: over(run.peak_rss.map(|n| n as f64), highwater.peak_rss.map(|n| n as f64)),
        })
    }
}

/// The status of a run that got as far as a result.
pub fn status(partial: bool) -> u8 {
    if partial { INTERRUPTED } else { 0 }
}
