//! Free slices are given back to the system: when they are too many, and when nobody wanted them for a while.

use super::GeneralHeap;
use super::classes::{SLICE, SLICE_SHIFT};
use super::slices::{BINS, RunLists};
use super::threads::ThreadSlot;
use crate::sys;

/// How many free slices may have memory before anybody asks for how long.
pub(super) const MAX_DIRTY: usize = (16 << 20) / SLICE;

/// What has memory and was not used for so long is given back, in nanoseconds. Longer than a program takes to free what
/// it will allocate again: a window that ends before takes all of that for unwanted.
const WINDOW: u64 = 500_000_000;

/// How many there may be at all, beside as many as are in use.
const DIRTY_LIMIT: usize = (1 << 30) / SLICE;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// Gives back what nobody wanted for a while. What was free throughout a window of time is given back at its end; a
    /// program that frees everything and allocates it again finds it as it was.
    #[cold]
    pub(super) fn purge_expired(&self, held: &mut RunLists) {
        let now = sys::monotonic_ns();
        if held.dirty > (held.top - held.free).saturating_add(DIRTY_LIMIT) {
            self.purge(held, DIRTY_LIMIT / 2);
        } else if now.wrapping_sub(held.window_start) < WINDOW {
            return;
        } else if held.min_dirty > MAX_DIRTY {
            let keep = (held.dirty - held.min_dirty.min(held.dirty)).max(MAX_DIRTY);
            self.purge(held, keep);
        }
        held.window_start = now;
        held.min_dirty = held.dirty;
    }

    /// Gives free slices back to the system, the longest runs first, until no more than `keep` may have memory; how many
    /// bytes that were at most.
    pub(super) fn purge(&self, held: &mut RunLists, keep: usize) -> usize {
        let mut given = 0;
        for bin in (0..BINS).rev() {
            let mut run = held.first_of(bin);
            while !run.is_null() && held.dirty > keep {
                // SAFETY: a free run: nobody refers to its bytes, and its pages are below the frontier.
                unsafe {
                    let page = &*run;
                    let dirty = page.dirty.get() as usize;
                    if dirty > 0 {
                        let start = self.index_of(run);
                        if !sys::purge(self.slice_at(start), page.bytes()) {
                            // (All of it is locked, most likely.)
                            return given;
                        }
                        page.dirty.set(0);
                        held.dirty -= dirty;
                        given += dirty << SLICE_SHIFT;
                        self.backing
                            .forget_presence(self.origin_offset + (start << SLICE_SHIFT), page.bytes());
                    }
                    run = page.next.get();
                }
            }
        }
        given
    }
}
