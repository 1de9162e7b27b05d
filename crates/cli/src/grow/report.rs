//! The results of runs, in the form they are written as JSON.

use serde::{Deserialize, Serialize};

use crate::failure::INTERRUPTED;

/// One job on one allocator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrowRun {
    /// `grow`.
    pub command: String,
    /// The version of this program.
    pub version: String,
    /// `nodes` or `index`.
    pub job: String,
    /// The workload as given on the command line.
    pub aim: Vec<String>,
    /// The allocator it ran on.
    pub allocator: String,
    /// The engine by which regions grow in this build; highwater only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The options of the arena; highwater only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ArenaOptions>,
    /// It was interrupted before the end: the rest describes the part that was done.
    pub partial: bool,
    /// The check of the product found no error. (A run that finds one ends without a result.)
    pub verified: bool,
    /// The number of threads, each with its own allocator.
    pub threads: usize,
    /// Bytes to be allocated or read.
    pub total_bytes: u64,
    /// Bytes that were allocated or read.
    pub done_bytes: u64,
    /// Calls to the allocator.
    pub allocations: u64,
    /// From the start of the first thread to the end of the last.
    pub elapsed_ns: u64,
    /// The sum over all threads.
    pub thread_ns: u64,
    /// `thread_ns` divided by `allocations`; none without allocations.
    pub ns_per_allocation: Option<f64>,
    /// Bytes requested.
    pub asked: u64,
    /// Bytes used for them: with alignment if the allocator counts it, else as requested.
    pub used: u64,
    /// Bytes obtained from the system, if the allocator reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<u64>,
    /// The figures of all regions, added up; highwater only.
    #[serde(flatten)]
    pub region: Option<RegionFigures>,
    /// Page faults of the whole process during the job.
    pub page_faults: u64,
    /// The peak of the process's resident memory.
    pub peak_rss: Option<u64>,
    /// What was read; for the job for paths only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexFacts>,
    /// The file the frontier was drawn to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plot: Option<String>,
}

/// The options of an arena as they were written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArenaOptions {
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

/// The figures of a region.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct RegionFigures {
    /// Bytes below the frontier.
    pub committed: u64,
    /// Bytes of address space.
    pub reserved: u64,
    /// How often the frontier moved.
    pub growth_steps: u64,
    /// Faults that caused it.
    pub faults: u64,
    /// Time spent in growth.
    pub growth_ns: u64,
    /// Bytes populated in the same call.
    pub populated: u64,
}

impl RegionFigures {
    /// The sum of two regions.
    pub fn combine(self, other: Self) -> Self {
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
    /// Distinct words.
    pub distinct_words: u64,
    /// Files skipped because they are binary.
    pub binary: u64,
    /// Files and directories that could not be read.
    pub unreadable: u64,
    /// Symbolic links, sockets, pipes and devices.
    pub passed_over: u64,
    /// The most frequent words, most frequent first.
    pub frequent: Vec<Frequent>,
}

/// A word and its number of occurrences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frequent {
    /// The word.
    pub word: String,
    /// Occurrences in all files.
    pub count: u64,
}

/// The same job on several allocators.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// `grow`.
    pub command: &'static str,
    /// A run was interrupted, or did not start.
    pub partial: bool,
    /// In the order they were made, highwater first.
    pub runs: Vec<GrowRun>,
    /// The ratio of each peer to highwater; above 1, highwater is better.
    pub ratios: Vec<RatioToHighwater>,
    /// Runs that ended without a result.
    pub failed: Vec<FailedRun>,
}

/// The ratios of a peer's figures to highwater's.
#[derive(Debug, Clone, Serialize)]
pub struct RatioToHighwater {
    /// The allocator.
    pub allocator: String,
    /// The ratio of `elapsed_ns`.
    pub time: Option<f64>,
    /// The ratio of `ns_per_allocation`.
    pub ns_per_allocation: Option<f64>,
    /// The ratio of `peak_rss`.
    pub peak_rss: Option<f64>,
}

/// A run that ended without a result.
#[derive(Debug, Serialize)]
pub struct FailedRun {
    /// The allocator.
    pub allocator: String,
    /// How it ended.
    pub reason: String,
}

impl RatioToHighwater {
    /// The ratios of two runs; `None` if one is partial.
    pub fn of(run: &GrowRun, highwater: &GrowRun) -> Option<Self> {
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

/// The exit status of a run with a result.
pub fn status(partial: bool) -> u8 {
    if partial { INTERRUPTED } else { 0 }
}
