//! Runs of slices: found, split, joined with both neighbours, grown at the end of the heap.
//!
//! All of it under one lock, which a page of small blocks takes once in its life. Free runs are kept by length, four
//! lists to a doubling.

use super::GeneralHeap;
use super::classes::{SLICE, SLICE_SHIFT};
use super::page::{CLAIMED, FREE_RUN, Page, UNUSED};
use super::purge::MAX_DIRTY;
use super::threads::ThreadSlot;
use crate::heap::HeapError;
use core::sync::atomic::Ordering::Release;

/// The lists: lengths below 8, then four to a doubling.
pub(super) const BINS: usize = 7 + 4 * 29;

/// What the lock guards, beside the table's runs.
pub(super) struct RunLists {
    /// How many slices were ever used; behind them is nothing.
    pub(super) top: usize,
    /// Up to where the table is committed.
    table_end: usize,
    bins: [*mut Page; BINS],
    /// Which of them are not empty.
    any: u128,
    pub(super) free: usize,
    pub(super) dirty: usize,
    /// The fewest slices that were free and had memory since the time `since`.
    pub(super) min_dirty: usize,
    pub(super) window_start: u64,
    /// The most slices that were in use at once.
    pub(super) peak: usize,
    /// How many threads' entries there are.
    pub(super) thread_heaps: usize,
    /// The entry that was looked at last for whether its thread has ended.
    pub(super) last_probed: usize,
    /// Where the top was when the entries without a thread were looked through.
    pub(super) searched_top: usize,
}

// SAFETY: the pointers lead into the heap's own table.
unsafe impl Send for RunLists {}

/// How many runs of a list are looked at before a longer one is taken.
const MAX_PROBED_RUNS: usize = 16;

/// A run that is in no list and not yet in use.
struct ClaimedRun {
    run: *mut Page,
    slices: usize,
    /// How many of its slices may have memory, as far as that was counted.
    dirty: usize,
    /// How many, from its beginning, were ever used; the others are zero.
    used: usize,
}

pub(super) fn bin_of(slices: usize) -> usize {
    if slices < 8 {
        slices.saturating_sub(1)
    } else {
        let log = slices.ilog2() as usize;
        (7 + (log - 3) * 4 + ((slices >> (log - 2)) & 3)).min(BINS - 1)
    }
}

/// How many slices in a row have so many among them that begin at a multiple of `align`.
fn with_spare(slices: usize, align: usize) -> usize {
    slices.saturating_add((align >> SLICE_SHIFT).saturating_sub(1))
}

impl RunLists {
    pub(super) const fn new() -> Self {
        RunLists {
            top: 0,
            table_end: 0,
            bins: [core::ptr::null_mut(); BINS],
            any: 0,
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
        self.bins.get(bin).copied().unwrap_or(core::ptr::null_mut())
    }

    fn set_first(&mut self, bin: usize, page: *mut Page) {
        if let Some(first) = self.bins.get_mut(bin) {
            *first = page;
        }
        if page.is_null() {
            self.any &= !(1 << bin);
        } else {
            self.any |= 1 << bin;
        }
    }

    /// Makes a run a free one.
    ///
    /// # Safety
    /// The run is nobody's, its neighbours are not free, and the lock is held.
    unsafe fn insert(&mut self, run: *mut Page, slices: usize, dirty: usize) {
        let bin = bin_of(slices);
        let first = self.first_of(bin);
        // SAFETY: entries of the table, below its end.
        unsafe {
            let page = &*run;
            page.kind.set(FREE_RUN);
            page.tag.set(0);
            page.slices_to_first.set(0);
            page.slices.set(slices as u32);
            page.dirty.set(dirty as u32);
            (*run.add(slices - 1)).slices_to_first.set(slices as u32 - 1);
            page.prev.set(core::ptr::null_mut());
            page.next.set(first);
            if !first.is_null() {
                (*first).prev.set(run);
            }
        }
        self.set_first(bin, run);
        self.free += slices;
        self.dirty += dirty;
    }

    /// Takes a free run out of its list. Its entry says nothing afterwards.
    ///
    /// # Safety
    /// It is one, and the lock is held.
    unsafe fn remove(&mut self, run: *mut Page) -> (usize, usize) {
        // SAFETY: entries of the table.
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

    /// Takes a free run to use it.
    ///
    /// # Safety
    /// As for [`remove`](Self::remove).
    unsafe fn take(&mut self, run: *mut Page) -> ClaimedRun {
        // SAFETY: the caller's promise.
        let (slices, dirty) = unsafe { self.remove(run) };
        ClaimedRun { run, slices, dirty, used: slices }
    }

    /// After something was taken.
    fn note_use(&mut self) {
        self.peak = self.peak.max(self.top - self.free);
        self.min_dirty = self.min_dirty.min(self.dirty);
    }

    /// A free run of at least so many slices: the first of its list that is long enough, if that is soon found, or one of
    /// the lists behind, where every run is. (With `looks_at_all` the whole list is looked through, which may take long.)
    fn find(&self, slices: usize, looks_at_all: bool) -> Option<*mut Page> {
        let bin = bin_of(slices);
        self.find_in(bin, slices, MAX_PROBED_RUNS).or_else(|| {
            let behind = self.any & u128::MAX.checked_shl(bin as u32 + 1).unwrap_or(0);
            match behind {
                0 if looks_at_all => self.find_in(bin, slices, usize::MAX),
                0 => None,
                _ => Some(self.first_of(behind.trailing_zeros() as usize)),
            }
        })
    }

    /// The first run of a list that is long enough, among so many.
    fn find_in(&self, bin: usize, slices: usize, most: usize) -> Option<*mut Page> {
        let mut run = self.first_of(bin);
        for _ in 0..most {
            // SAFETY: what is in a list is an entry of the table.
            let page = unsafe { run.as_ref() }?;
            if page.slices.get() as usize >= slices {
                return Some(run);
            }
            run = page.next.get();
        }
        None
    }
}

impl<T: ThreadSlot> GeneralHeap<T> {
    /// The entry of a slice.
    #[inline]
    pub(super) fn entry(&self, slice: usize) -> *mut Page {
        self.table.wrapping_add(slice)
    }

    /// The first byte of a slice.
    #[inline]
    pub(super) fn slice_at(&self, slice: usize) -> *mut u8 {
        self.origin.wrapping_add(slice << SLICE_SHIFT)
    }

    /// A run of so many slices whose address is a multiple of `align`, of what is free. Its entries say nothing yet but
    /// how long it is.
    pub(super) fn allocate_free_run(&self, slices: usize, align: usize) -> Option<*mut Page> {
        let mut held = self.slices.lock();
        let run = held.find(with_spare(slices, align), false)?;
        // SAFETY: it is a free run.
        let run = unsafe { held.take(run) };
        Some(self.split_run(&mut held, run, slices, align))
    }

    /// The same, and if nothing is free that is long enough the heap grows.
    pub(super) fn allocate_run(
        &self,
        slices: usize,
        align: usize,
        requested: usize,
    ) -> Result<*mut Page, HeapError> {
        let mut held = self.slices.lock();
        let all = with_spare(slices, align);
        let run = match held.find(all, false) {
            // SAFETY: what is found is a free run.
            Some(run) => unsafe { held.take(run) },
            None => match self.grow_heap(&mut held, all, requested) {
                Ok(run) => run,
                Err(refused) => match held.find(all, true) {
                    // SAFETY: as above.
                    Some(run) => unsafe { held.take(run) },
                    None => return Err(refused),
                },
            },
        };
        Ok(self.split_run(&mut held, run, slices, align))
    }

    /// The part of a run that was taken out of its list which is aligned so; the rest is free again.
    fn split_run(
        &self,
        held: &mut RunLists,
        ClaimedRun { run, slices: got, dirty, used }: ClaimedRun,
        slices: usize,
        align: usize,
    ) -> *mut Page {
        let index = self.index_of(run);
        let before = (self.slice_at(index).addr().wrapping_neg() % align.max(SLICE)) >> SLICE_SHIFT;
        let first = self.entry(index + before);
        let after = got - before - slices;
        // What is in front is as likely to have memory as the rest; it is counted where it comes first.
        let dirty_before = dirty.min(before);
        let dirty_after = (dirty - dirty_before).saturating_sub(slices).min(after);
        // SAFETY: the parts of a run that is nobody's; its neighbours are not free, and nor is what is taken.
        unsafe {
            if before > 0 {
                held.insert(run, before, dirty_before);
            }
            if after > 0 {
                held.insert(first.add(slices), after, dirty_after);
            }
            (*first).kind.set(CLAIMED);
            (*first).dirty.set(used.saturating_sub(before).min(slices) as u32);
            self.claim(first, slices);
        }
        held.note_use();
        first
    }

    /// Notes how long a run is that is in use.
    ///
    /// # Safety
    /// The run is the caller's, and the lock is held.
    unsafe fn claim(&self, run: *mut Page, slices: usize) {
        // SAFETY: entries of the table.
        unsafe {
            (*run).slices.set(slices as u32);
            (*run.add(slices - 1)).slices_to_first.set(slices as u32 - 1);
            (*run).slices_to_first.set(0);
        }
    }

    pub(super) fn index_of(&self, page: *const Page) -> usize {
        // SAFETY: both are in the table, which is one range.
        unsafe { page.offset_from(self.table) as usize }
    }

    /// The same entry by a pointer that leads to its neighbours as well. One that was made of a reference to an entry
    /// does not: it may be used for that entry alone.
    fn table_entry(&self, page: *const Page) -> *mut Page {
        self.entry(self.index_of(page))
    }

    /// The free run that ends where the heap does.
    fn trailing(&self, held: &RunLists) -> Option<*mut Page> {
        let last = held.top.checked_sub(1)?;
        // SAFETY: entries below the top are committed.
        unsafe {
            let run = self.entry(last - (*self.entry(last)).slices_to_first.get() as usize);
            ((*run).kind.get() == FREE_RUN).then_some(run)
        }
    }

    /// A run at the end of the heap: what is free there, and what is committed for the rest.
    fn grow_heap(
        &self,
        held: &mut RunLists,
        slices: usize,
        requested: usize,
    ) -> Result<ClaimedRun, HeapError> {
        let trailing = self.trailing(held);
        // SAFETY: it is a free run.
        let there = trailing.map_or(0, |run| unsafe { (*run).slices.get() as usize });
        let from = held.top - there;
        self.commit_slices(held, from.saturating_add(slices), requested)?;
        match trailing {
            // SAFETY: it still is one.
            Some(run) => unsafe {
                let (used, dirty) = held.remove(run);
                Ok(ClaimedRun { run, slices, dirty, used })
            },
            None => Ok(ClaimedRun { run: self.entry(from), slices, dirty: 0, used: 0 }),
        }
    }

    /// Commits the slices below `to`, and their entries.
    fn commit_slices(&self, held: &mut RunLists, to: usize, requested: usize) -> Result<(), HeapError> {
        let used = self.origin_offset + (held.top << SLICE_SHIFT);
        let end = to.saturating_mul(SLICE).saturating_add(self.origin_offset);
        // (What is beyond the reservation is refused here.)
        self.backing.commit(used.min(end), end, requested)?;
        if to > held.table_end {
            match self.meta.commit_table(held.table_end, to, self.all, self.checks) {
                Ok(table_end) => held.table_end = table_end,
                Err(errno) => return Err(self.refused(errno, requested, end.saturating_sub(used))),
            }
        }
        held.top = held.top.max(to);
        self.end.store(held.top << SLICE_SHIFT, Release);
        Ok(())
    }

    /// Gives a run back. Its entries may say anything but that they are free.
    ///
    /// # Safety
    /// The run is in use, and nothing refers to it any more.
    pub(super) unsafe fn free_run(&self, run: *mut Page) {
        let run = self.table_entry(run);
        let mut held = self.slices.lock();
        // SAFETY: the caller's promise.
        unsafe {
            let slices = (*run).slices.get() as usize;
            self.free_run_locked(&mut held, run, slices);
        }
        if held.dirty > MAX_DIRTY {
            self.purge_expired(&mut held);
        }
    }

    /// # Safety
    /// As for [`free_run`](Self::free_run), for the first `slices` of it; and the lock is held.
    unsafe fn free_run_locked(&self, held: &mut RunLists, run: *mut Page, slices: usize) {
        let (mut run, mut slices, mut dirty) = (run, slices, slices);
        let index = self.index_of(run);
        // SAFETY: entries of the table, below the top.
        unsafe {
            for rest in 0..slices.min(super::classes::MEDIUM_SLICES) {
                (*run.add(rest)).kind.set(UNUSED);
                (*run.add(rest)).tag.set(0);
            }
            let next = index + slices;
            if next < held.top && (*self.entry(next)).kind.get() == FREE_RUN {
                let (more, its_dirty) = held.remove(self.entry(next));
                slices += more;
                dirty += its_dirty;
            }
            if let Some(last) = index.checked_sub(1) {
                let before = self.entry(last - (*self.entry(last)).slices_to_first.get() as usize);
                if (*before).kind.get() == FREE_RUN {
                    let (more, its_dirty) = held.remove(before);
                    slices += more;
                    dirty += its_dirty;
                    run = before;
                }
            }
            held.insert(run, slices, dirty);
        }
    }

    /// Makes a run that is in use as long as `slices`, where it is; whether that was possible.
    ///
    /// # Safety
    /// The run is in use, and what is cut off is referred to by nobody any more.
    pub(super) unsafe fn resize_run(&self, run: *mut Page, slices: usize, requested: usize) -> bool {
        let run = self.table_entry(run);
        let mut held = self.slices.lock();
        // SAFETY: the caller's promise, and entries below the top.
        unsafe {
            let had = (*run).slices.get() as usize;
            let next = self.index_of(run) + had;
            if slices <= had {
                if slices < had {
                    self.claim(run, slices);
                    self.free_run_locked(&mut held, run.add(slices), had - slices);
                }
                return true;
            }
            let follows = self.entry(next);
            let free = if next < held.top && (*follows).kind.get() == FREE_RUN {
                (*follows).slices.get() as usize
            } else {
                0
            };
            let missing = slices - had;
            if free < missing {
                // (Where the heap may not grow there may be reserved before the run: whoever asks says so if not.)
                if next + free != held.top
                    || self.commit_slices(&mut held, next + missing, requested).is_err()
                {
                    return false;
                }
            }
            if free > 0 {
                let (got, dirty) = held.remove(follows);
                if got > missing {
                    let left = got - missing;
                    held.insert(run.add(slices), left, dirty.saturating_sub(missing).min(left));
                }
            }
            self.claim(run, slices);
            held.note_use();
            true
        }
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
