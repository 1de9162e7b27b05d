//! A heap's figures.

use crate::stats::Stats;

/// The figures of a heap at one moment. Sizes are bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
    /// Blocks that are allocated.
    pub live_blocks: usize,
    /// What their owners may use of them: the sum of their usable sizes.
    pub live_bytes: usize,
    /// The largest `live_bytes` there has been; of [`HeapPolicy::General`](super::HeapPolicy::General) the largest sum of the slices
    /// that were in use, which is more.
    pub peak_live_bytes: usize,
    /// How much of the region the heap uses now: blocks, what it keeps about them, and what is free between them.
    pub used: usize,
    /// What is free within `used` and can be allocated again.
    pub free_bytes: usize,
    /// In how many runs; neighbours that are free count as one where they were joined.
    pub free_runs: usize,
    /// The longest of them.
    pub largest_free_run: usize,
    /// The region's figures: what is reserved and committed, how often it grew.
    pub region: Stats,
}
