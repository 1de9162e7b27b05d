//! Free slices are given back to the system: when they are too many, and when nobody wanted them for a while.

use super::General;
use super::classes::{SLICE, SLICE_SHIFT};
use super::slices::{BINS, Slices};
use super::threads::ThreadSlot;
use crate::sys;

/// How many free slices may have memory before anybody asks for how long.
pub(super) const MOST_DIRTY: usize = (16 << 20) / SLICE;

/// What has memory and was not used for so long is given back, in nanoseconds. Longer than a program takes to free what
/// it will allocate again: a window that ends before takes all of that for unwanted.
const WINDOW: u64 = 500_000_000;

/// How many there may be at all, beside as many as are in use.
const FAR_TOO_DIRTY: usize = (1 << 30) / SLICE;

impl<T: ThreadSlot> General<T> {
    /// Gives back what nobody wanted for a while. What was free throughout a window of time is given back at its end; a
    /// program that frees everything and allocates it again finds it as it was.
    #[cold]
    pub(super) fn tidy(&self, held: &mut Slices) {
        let now = sys::monotonic_ns();
        if held.dirty > (held.top - held.free).saturating_add(FAR_TOO_DIRTY) {
            self.purge(held, FAR_TOO_DIRTY / 2);
        } else if now.wrapping_sub(held.since) < WINDOW {
            return;
        } else if held.least_dirty > MOST_DIRTY {
            let keep = (held.dirty - held.least_dirty.min(held.dirty)).max(MOST_DIRTY);
            self.purge(held, keep);
        }
        held.since = now;
        held.least_dirty = held.dirty;
    }

    /// Gives free slices back to the system, the longest runs first, until no more than `keep` may have memory; how many
    /// bytes that were at most.
    pub(super) fn purge(&self, held: &mut Slices, keep: usize) -> usize {
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
                        self.ground
                            .forget_presence(self.origin_offset + (start << SLICE_SHIFT), page.bytes());
                    }
                    run = page.next.get();
                }
            }
        }
        given
    }
}
