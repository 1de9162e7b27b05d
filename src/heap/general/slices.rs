//! Runs of slices: allocated, split, joined with both neighbours, resized, and grown at the end of the heap.
//!
//! All of it happens under one lock, which a page of small blocks takes once when it is made and once when it is retired.

use super::GeneralHeap;
use super::classes::{MEDIUM_SLICES, SLICE, SLICE_SHIFT};
use super::page::{CLAIMED, FREE_RUN, Page, UNUSED};
use super::purge::MAX_DIRTY;
use super::run_lists::{ClaimedRun, RunLists};
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use crate::sys::Errno;
use core::sync::atomic::Ordering::{Relaxed, Release};

/// How many slices in a row contain so many that begin at a multiple of `align`.
fn with_padding(slices: usize, align: usize) -> usize {
    slices.saturating_add((align >> SLICE_SHIFT).saturating_sub(1))
}

impl<T: ThreadSlot> GeneralHeap<T> {
    /// The table entry of a slice.
    #[inline]
    pub(super) fn entry(&self, slice: usize) -> *mut Page {
        self.table.wrapping_add(slice)
    }

    /// The first byte of a slice.
    #[inline]
    pub(super) fn slice_at(&self, slice: usize) -> *mut u8 {
        self.origin.wrapping_add(slice << SLICE_SHIFT)
    }

    pub(super) fn index_of(&self, page: *const Page) -> usize {
        // SAFETY: both point into the table, which is one mapping.
        unsafe { page.offset_from(self.table) as usize }
    }

    /// The same entry by a pointer that may be used for its neighbours as well. One that was made from a reference to an entry
    /// is valid for that entry only.
    fn table_entry(&self, page: *const Page) -> *mut Page {
        self.entry(self.index_of(page))
    }

    /// Allocates a run of so many slices whose address is a multiple of `align` from the free ones. Its entry contains the
    /// length only.
    pub(super) fn allocate_free_run(&self, slices: usize, align: usize) -> Option<*mut Page> {
        let mut held = self.slices.lock();
        let run = held.find(with_padding(slices, align), false)?;
        // SAFETY: `find` returns the first entry of a free run.
        let run = unsafe { held.claim(run) };
        Some(self.split_run(&mut held, run, slices, align))
    }

    /// [`allocate_free_run`](Self::allocate_free_run), and if no free run is long enough the heap grows.
    pub(super) fn allocate_run(
        &self,
        slices: usize,
        align: usize,
        requested: usize,
    ) -> Result<*mut Page, HeapError> {
        let mut held = self.slices.lock();
        let padded = with_padding(slices, align);
        let run = match held.find(padded, false) {
            // SAFETY: `find` returns the first entry of a free run.
            Some(run) => unsafe { held.claim(run) },
            None => match self.grow_heap(&mut held, padded, requested) {
                Ok(run) => run,
                Err(refused) => match held.find(padded, true) {
                    // SAFETY: `find` returns the first entry of a free run.
                    Some(run) => unsafe { held.claim(run) },
                    None => return Err(refused),
                },
            },
        };
        Ok(self.split_run(&mut held, run, slices, align))
    }

    /// Takes the aligned part of a claimed run into use, and frees the rest.
    fn split_run(
        &self,
        held: &mut RunLists,
        ClaimedRun { run, slices: length, dirty, used }: ClaimedRun,
        slices: usize,
        align: usize,
    ) -> *mut Page {
        let index = self.index_of(run);
        let before = (self.slice_at(index).addr().wrapping_neg() % align.max(SLICE)) >> SLICE_SHIFT;
        let first = self.entry(index + before);
        let after = length - before - slices;
        // Any part may have the memory; it is counted as far in front as possible.
        let dirty_before = dirty.min(before);
        let dirty_after = (dirty - dirty_before).saturating_sub(slices).min(after);
        // SAFETY: the three parts make up a run that this call has claimed. The neighbours of the outer parts are not free (free
        // neighbours are always joined), and the part between them is not.
        unsafe {
            if before > 0 {
                held.insert(run, before, dirty_before);
            }
            if after > 0 {
                held.insert(first.add(slices), after, dirty_after);
            }
            (*first).kind.set(CLAIMED);
            (*first).dirty.set(used.saturating_sub(before).min(slices) as u32);
            self.set_length(first, slices);
        }
        held.note_use();
        first
    }

    /// Writes the length of a run in use to its entries.
    ///
    /// # Safety
    /// The caller owns the run, and holds the lock of the slices.
    unsafe fn set_length(&self, run: *mut Page, slices: usize) {
        // SAFETY: the first and the last entry of a run that the caller owns: this function's contract.
        unsafe {
            (*run).slices.set(slices as u32);
            (*run.add(slices - 1)).slices_to_first.set(slices as u32 - 1);
            (*run).slices_to_first.set(0);
        }
    }

    /// The free run at the end of the heap, if there is one.
    fn trailing(&self, held: &RunLists) -> Option<*mut Page> {
        let last = held.top.checked_sub(1)?;
        // SAFETY: entries below the top are committed, and the last entry of a run leads to its first.
        unsafe {
            let run = self.entry(last - (*self.entry(last)).slices_to_first.get() as usize);
            ((*run).kind.get() == FREE_RUN).then_some(run)
        }
    }

    /// Claims a run at the end of the heap: what is free there, and what is committed in addition.
    fn grow_heap(
        &self,
        held: &mut RunLists,
        slices: usize,
        requested: usize,
    ) -> Result<ClaimedRun, HeapError> {
        let trailing = self.trailing(held);
        // SAFETY: `trailing` returns the first entry of a free run.
        let there = trailing.map_or(0, |run| unsafe { (*run).slices.get() as usize });
        let from = held.top - there;
        self.commit_slices(held, from.saturating_add(slices), requested)?;
        match trailing {
            // SAFETY: the run is still free: the lock has been held since `trailing`.
            Some(run) => unsafe {
                let (used, dirty) = held.remove(run);
                Ok(ClaimedRun { run, slices, dirty, used })
            },
            None => Ok(ClaimedRun { run: self.entry(from), slices, dirty: 0, used: 0 }),
        }
    }

    /// Commits the slices below `to`, and their table entries.
    fn commit_slices(&self, held: &mut RunLists, to: usize, requested: usize) -> Result<(), HeapError> {
        let used = self.origin_offset + (held.top << SLICE_SHIFT);
        let end = to.saturating_mul(SLICE).saturating_add(self.origin_offset);
        // (An end beyond the reservation is refused here.)
        self.backing.commit(used.min(end), end, requested)?;
        if to > held.table_end {
            match self.metadata.commit_table(held.table_end, to, self.max_slices, self.checks) {
                Ok(table_end) => held.table_end = table_end,
                Err(errno) => {
                    return Err(self.metadata_refused(errno, requested, end.saturating_sub(used)));
                }
            }
        }
        held.top = held.top.max(to);
        self.end.store(held.top << SLICE_SHIFT, Release);
        Ok(())
    }

    /// The error when the system refuses memory for the metadata.
    #[cold]
    pub(super) fn metadata_refused(&self, errno: Errno, requested: usize, effective: usize) -> HeapError {
        self.backing.commit_refused(errno, self.end.load(Relaxed), effective, requested)
    }

    /// Frees a run. Its entries may contain anything but the kind of a free run.
    ///
    /// # Safety
    /// The caller owns the run, which is in use and no longer needed.
    pub(super) unsafe fn free_run(&self, run: *mut Page) {
        let run = self.table_entry(run);
        let mut held = self.slices.lock();
        // SAFETY: the caller owns the run: this function's contract. The lock is held.
        unsafe {
            let slices = (*run).slices.get() as usize;
            self.free_run_locked(&mut held, run, slices);
        }
        if held.dirty > MAX_DIRTY {
            self.purge_expired(&mut held);
        }
    }

    /// Frees `slices` slices from `run` on, and joins them with free neighbours.
    ///
    /// # Safety
    /// The caller owns those slices, which are no longer needed, and `held` is this heap's lock.
    unsafe fn free_run_locked(&self, held: &mut RunLists, run: *mut Page, slices: usize) {
        let (mut run, mut slices, mut dirty) = (run, slices, slices);
        let index = self.index_of(run);
        // SAFETY: the caller owns the entries of the run: this function's contract. Entries below the top are committed; the last
        // entry of a run leads to its first; free runs are guarded by the lock, which is held.
        unsafe {
            for rest in 0..slices.min(MEDIUM_SLICES) {
                (*run.add(rest)).kind.set(UNUSED);
                (*run.add(rest)).tag.set(0);
            }
            let next = index + slices;
            if next < held.top && (*self.entry(next)).kind.get() == FREE_RUN {
                let (more, more_dirty) = held.remove(self.entry(next));
                slices += more;
                dirty += more_dirty;
            }
            if let Some(last) = index.checked_sub(1) {
                let before = self.entry(last - (*self.entry(last)).slices_to_first.get() as usize);
                if (*before).kind.get() == FREE_RUN {
                    let (more, more_dirty) = held.remove(before);
                    slices += more;
                    dirty += more_dirty;
                    run = before;
                }
            }
            held.insert(run, slices, dirty);
        }
    }

    /// Changes the length of a run in use, without moving it. Returns whether that was possible.
    ///
    /// # Safety
    /// The caller owns the run, and slices that are cut off are no longer needed.
    pub(super) unsafe fn resize_run(&self, run: *mut Page, slices: usize, requested: usize) -> bool {
        let run = self.table_entry(run);
        let mut held = self.slices.lock();
        // SAFETY: the caller owns the run: this function's contract. Entries below the top are committed; the entry behind the run
        // is the first of the next run, which the lock guards if it is free.
        unsafe {
            let length = (*run).slices.get() as usize;
            let next = self.index_of(run) + length;
            if slices <= length {
                if slices < length {
                    self.set_length(run, slices);
                    self.free_run_locked(&mut held, run.add(slices), length - slices);
                }
                return true;
            }
            let follows = self.entry(next);
            let free = if next < held.top && (*follows).kind.get() == FREE_RUN {
                (*follows).slices.get() as usize
            } else {
                0
            };
            let missing = slices - length;
            if free < missing {
                // (If the heap may not grow there may still be space elsewhere: the caller looks, and reports a refusal.)
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
            self.set_length(run, slices);
            held.note_use();
            true
        }
    }
}
