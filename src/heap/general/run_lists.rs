//! What the lock of the slices guards: the lists of free runs by length, four lists to a doubling, and the counters of slices
//! and thread heaps.

use super::page::{FREE_RUN, Page, UNUSED};
use core::ptr::null_mut;

/// The lists: lengths below 8, then four to a doubling.
pub(super) const BINS: usize = 7 + 4 * 29;

/// How many runs of a list are tried before a longer run is taken.
const MAX_PROBED_RUNS: usize = 16;

/// See the module.
pub(super) struct RunLists {
    /// The slices that were ever used; those behind have never been.
    pub(super) top: usize,
    /// How many slices' table entries are committed.
    pub(super) table_end: usize,
    bins: [*mut Page; BINS],
    /// Which of the lists are not empty.
    nonempty: u128,
    pub(super) free: usize,
    /// How many free slices may have memory.
    pub(super) dirty: usize,
    /// The minimum of `dirty` since the time `window_start`.
    pub(super) min_dirty: usize,
    pub(super) window_start: u64,
    /// The maximum of slices in use at the same time.
    pub(super) peak: usize,
    /// How many thread heaps were made.
    pub(super) thread_heaps: usize,
    /// The thread heap that was last probed for whether its thread has ended.
    pub(super) last_probed: usize,
    /// `top` when the thread heaps without a thread were last searched for empty pages.
    pub(super) searched_top: usize,
}

// SAFETY: the pointers lead into the heap's own table, which moves between threads together with this value.
unsafe impl Send for RunLists {}

/// A run that is in no list and not yet in use.
pub(super) struct ClaimedRun {
    pub(super) run: *mut Page,
    pub(super) slices: usize,
    /// How many of its slices may have memory, as far as that was counted.
    pub(super) dirty: usize,
    /// How many, from its beginning, were ever used; the others are zero.
    pub(super) used: usize,
}

pub(super) fn bin_of(slices: usize) -> usize {
    if slices < 8 {
        slices.saturating_sub(1)
    } else {
        let log = slices.ilog2() as usize;
        (7 + (log - 3) * 4 + ((slices >> (log - 2)) & 3)).min(BINS - 1)
    }
}

impl RunLists {
    pub(super) const fn new() -> Self {
        RunLists {
            top: 0,
            table_end: 0,
            bins: [null_mut(); BINS],
            nonempty: 0,
            free: 0,
            dirty: 0,
            min_dirty: 0,
            window_start: 0,
            peak: 0,
            thread_heaps: 0,
            last_probed: 0,
            searched_top: 0,
        }
    }

    pub(super) fn first_of(&self, bin: usize) -> *mut Page {
        self.bins.get(bin).copied().unwrap_or(null_mut())
    }

    fn set_first(&mut self, bin: usize, page: *mut Page) {
        if let Some(first) = self.bins.get_mut(bin) {
            *first = page;
        }
        if page.is_null() {
            self.nonempty &= !(1 << bin);
        } else {
            self.nonempty |= 1 << bin;
        }
    }

    /// Makes a run a free one.
    ///
    /// # Safety
    /// The caller has claimed the run, its neighbours are not free, and its table entries are committed.
    pub(super) unsafe fn insert(&mut self, run: *mut Page, slices: usize, dirty: usize) {
        let bin = bin_of(slices);
        let first = self.first_of(bin);
        // SAFETY: the entries of the run are committed and claimed by the caller: this function's contract. `first` is an entry
        // of a free run, which the lock guards.
        unsafe {
            let page = &*run;
            page.kind.set(FREE_RUN);
            page.tag.set(0);
            page.slices_to_first.set(0);
            page.slices.set(slices as u32);
            page.dirty.set(dirty as u32);
            (*run.add(slices - 1)).slices_to_first.set(slices as u32 - 1);
            page.prev.set(null_mut());
            page.next.set(first);
            if !first.is_null() {
                (*first).prev.set(run);
            }
        }
        self.set_first(bin, run);
        self.free += slices;
        self.dirty += dirty;
    }

    /// Takes a free run out of its list and marks its entry unused. Returns its length and how many of its slices may have
    /// memory.
    ///
    /// # Safety
    /// `run` is the first entry of a free run.
    pub(super) unsafe fn remove(&mut self, run: *mut Page) -> (usize, usize) {
        // SAFETY: `run` is the entry of a free run (this function's contract), and its neighbours in the list are, too.
        unsafe {
            let page = &*run;
            let (slices, dirty) = (page.slices.get() as usize, page.dirty.get() as usize);
            let (next, prev) = (page.next.get(), page.prev.get());
            if !next.is_null() {
                (*next).prev.set(prev);
            }
            if prev.is_null() {
                self.set_first(bin_of(slices), next);
            } else {
                (*prev).next.set(next);
            }
            page.kind.set(UNUSED);
            self.free -= slices;
            self.dirty -= dirty;
            (slices, dirty)
        }
    }

    /// Takes a free run in order to use it.
    ///
    /// # Safety
    /// `run` is the first entry of a free run.
    pub(super) unsafe fn claim(&mut self, run: *mut Page) -> ClaimedRun {
        // SAFETY: `run` is the first entry of a free run: this function's contract.
        let (slices, dirty) = unsafe { self.remove(run) };
        ClaimedRun { run, slices, dirty, used: slices }
    }

    /// Updates the extremes after slices were taken into use.
    pub(super) fn note_use(&mut self) {
        self.peak = self.peak.max(self.top - self.free);
        self.min_dirty = self.min_dirty.min(self.dirty);
    }

    /// A free run of at least so many slices: the first of its list that is long enough, if it is among the first few, or the
    /// first of a later list, where every run is long enough. (With `searches_all` the whole list is searched, which may take
    /// long.)
    pub(super) fn find(&self, slices: usize, searches_all: bool) -> Option<*mut Page> {
        let bin = bin_of(slices);
        self.find_in(bin, slices, MAX_PROBED_RUNS).or_else(|| {
            let later = self.nonempty & u128::MAX.checked_shl(bin as u32 + 1).unwrap_or(0);
            match later {
                0 if searches_all => self.find_in(bin, slices, usize::MAX),
                0 => None,
                _ => Some(self.first_of(later.trailing_zeros() as usize)),
            }
        })
    }

    /// The first run of a list that is long enough, among the first `max`.
    fn find_in(&self, bin: usize, slices: usize, max: usize) -> Option<*mut Page> {
        let mut run = self.first_of(bin);
        for _ in 0..max {
            // SAFETY: a list contains null or committed table entries of free runs.
            let page = unsafe { run.as_ref() }?;
            if page.slices.get() as usize >= slices {
                return Some(run);
            }
            run = page.next.get();
        }
        None
    }

    /// Whether a free run is in the list for its length.
    pub(super) fn has(&self, page: &Page) -> bool {
        let mut run = self.first_of(bin_of(page.slices.get() as usize));
        // SAFETY: a list contains null or committed table entries of free runs.
        while let Some(this) = unsafe { run.as_ref() } {
            if core::ptr::eq(this, page) {
                return true;
            }
            run = this.next.get();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_grow_with_the_length() {
        let mut last = 0;
        for slices in 1..(1usize << 20) {
            let bin = bin_of(slices);
            assert!(bin == last || bin == last + 1, "{slices}");
            last = bin;
        }
        assert!(bin_of(u32::MAX as usize) < BINS && BINS <= 128);
    }
}
