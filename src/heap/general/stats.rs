//! The figures of a general heap.

use super::GeneralHeap;
use super::classes::SLICE_SHIFT;
use super::page::{BLOCK_PAGE, FREE_RUN, LARGE_BLOCK};
use super::thread_slot::ThreadSlot;
use crate::heap::HeapStats;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// Adds up what every page's owner counts. No list is followed: a block that is free when it is reached may be allocated by
    /// the time it is read.
    pub(super) fn collect_stats(&self) -> HeapStats {
        let held = self.slices.lock();
        let mut stats = HeapStats {
            used: self.origin_offset + (held.top << SLICE_SHIFT),
            peak_live_bytes: held.peak << SLICE_SHIFT,
            ..HeapStats::default()
        };
        let mut index = 0;
        while index < held.top {
            // SAFETY: entries below the top are committed.
            let page = unsafe { &*self.entry(index) };
            match page.kind.get_published() {
                FREE_RUN => {
                    stats.free_runs += 1;
                    stats.free_bytes += page.bytes();
                    stats.largest_free_run = stats.largest_free_run.max(page.bytes());
                }
                BLOCK_PAGE => {
                    let size = page.size.get() as usize;
                    let live = page.live() as usize;
                    stats.live_blocks += live;
                    stats.live_bytes += live * size;
                    stats.free_bytes += (page.reserved.get() as usize).saturating_sub(live) * size;
                }
                LARGE_BLOCK => {
                    stats.live_blocks += 1;
                    stats.live_bytes += page.bytes();
                }
                _ => {}
            }
            index += (page.slices.get() as usize).max(1);
        }
        stats
    }
}
