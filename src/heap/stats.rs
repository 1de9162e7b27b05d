//! A heap's figures.

use crate::stats::Stats;

/// The figures of a heap at one moment. Sizes are in bytes.
///
/// ```
/// let heap = highwater::heap::Heap::new();
/// heap.allocate(100, 16)?;
/// let stats = heap.stats();
/// assert_eq!((stats.live_blocks, stats.live_bytes), (1, heap.good_size(100)));
/// # Ok::<(), highwater::heap::HeapError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
    /// How many blocks are allocated.
    pub live_blocks: usize,
    /// The sum of their usable sizes.
    pub live_bytes: usize,
    /// The maximum of `live_bytes`; for [`HeapPolicy::General`](super::HeapPolicy::General) the maximum size of the slices in use,
    /// which is more.
    pub peak_live_bytes: usize,
    /// How much of the region the heap uses: blocks, its data about them, and free memory between them.
    pub used: usize,
    /// How much of `used` is free and can be allocated again.
    pub free_bytes: usize,
    /// The number of free runs; free neighbours that were joined count as one.
    pub free_runs: usize,
    /// The longest free run.
    pub largest_free_run: usize,
    /// The region's figures: what is reserved and committed, how often it grew.
    pub region: Stats,
}
