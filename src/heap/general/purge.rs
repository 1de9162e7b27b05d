//! Purging: free slices' memory is returned to the system when there is too much of it, and when it was unused for a while.

use super::GeneralHeap;
use super::classes::{SLICE, SLICE_SHIFT};
use super::run_lists::{BINS, RunLists};
use super::thread_slot::ThreadSlot;
use crate::sys;

/// How many free slices may have memory before time matters.
pub(super) const MAX_DIRTY: usize = (16 << 20) / SLICE;

/// Memory that was unused for so long is purged, in nanoseconds. It is longer than a program takes to free what it will
/// allocate again: at the end of a shorter window all of that would count as unused.
const WINDOW_NS: u64 = 500_000_000;

/// How many free slices may have memory at any time, in addition to as many as are in use.
const DIRTY_LIMIT: usize = (1 << 30) / SLICE;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// Purges what was free throughout a window of time, at the window's end. A program that frees everything and allocates it
    /// again finds its memory unchanged.
    #[cold]
    pub(super) fn purge_expired(&self, held: &mut RunLists) {
        let now = sys::monotonic_ns();
        if held.dirty > (held.top - held.free).saturating_add(DIRTY_LIMIT) {
            self.purge(held, DIRTY_LIMIT / 2);
        } else if now.wrapping_sub(held.window_start) < WINDOW_NS {
            return;
        } else if held.min_dirty > MAX_DIRTY {
            let keep = (held.dirty - held.min_dirty.min(held.dirty)).max(MAX_DIRTY);
            self.purge(held, keep);
        }
        held.window_start = now;
        held.min_dirty = held.dirty;
    }

    /// Purges free slices, the longest runs first, until at most `keep` may have memory. Returns an upper bound of the bytes.
    pub(super) fn purge(&self, held: &mut RunLists, keep: usize) -> usize {
        let mut purged = 0;
        for bin in (0..BINS).rev() {
            let mut run = held.first_of(bin);
            while !run.is_null() && held.dirty > keep {
                // SAFETY: `run` is the first entry of a free run, which the lock guards: no block is in it, and its bytes are
                // committed.
                unsafe {
                    let page = &*run;
                    let dirty = page.dirty.get() as usize;
                    if dirty > 0 {
                        let start = self.index_of(run);
                        if !sys::purge(self.slice_at(start), page.bytes()) {
                            // (Most likely all of it is locked.)
                            return purged;
                        }
                        page.dirty.set(0);
                        held.dirty -= dirty;
                        purged += dirty << SLICE_SHIFT;
                        let offset = self.origin_offset + (start << SLICE_SHIFT);
                        self.backing.forget_presence(offset, page.bytes());
                    }
                    run = page.next.get();
                }
            }
        }
        purged
    }
}
