//! Looking at everything: whether it is as it was left, and how much of it there is.

use super::GeneralHeap;
use super::classes::{SLICE, SLICE_SHIFT, size_of_class};
use super::page::{BLOCK_PAGE, CLAIMED, CONTINUATION, FREE_RUN, FULL, FreeBlock, LARGE_BLOCK, Page, SLOW};
use super::slices::{RunLists, bin_of};
use super::threads::ThreadSlot;
use crate::heap::{HeapError, HeapStats};
use core::sync::atomic::Ordering::Relaxed;

/// The blocks that a page can have at most.
const MAX_BLOCKS: usize = SLICE / super::classes::GRAIN;

/// A set of a page's blocks.
struct BlockSet([u64; MAX_BLOCKS / 64]);

impl BlockSet {
    /// Adds one; whether it is new.
    fn add(&mut self, index: usize) -> bool {
        let Some(word) = self.0.get_mut(index / 64) else { return false };
        let is_new = *word & (1 << (index % 64)) == 0;
        *word |= 1 << (index % 64);
        is_new
    }
}

fn corrupt(address: usize, what: &'static str) -> HeapError {
    HeapError::Corrupt { address, what }
}

impl<T: ThreadSlot> GeneralHeap<T> {
    /// Walks the slices, then the pages in them. The lists of a page are followed only where nobody can be changing them:
    /// not those of another thread that may be running.
    pub(super) fn check_all(&self) -> Result<(), HeapError> {
        let _shared = self.shared.lock();
        let held = self.slices.lock();
        let (mut index, mut free, mut dirty) = (0, 0, 0);
        let mut was_free = false;
        while index < held.top {
            // SAFETY: entries below the top are committed.
            let page = unsafe { &*self.entry(index) };
            let address = self.slice_at(index).addr();
            let slices = page.slices.get() as usize;
            if slices == 0 || slices > held.top - index {
                return Err(corrupt(address, "the length of a run"));
            }
            // SAFETY: as above.
            let last = unsafe { &*self.entry(index + slices - 1) };
            if last.slices_to_first.get() as usize != slices - 1 {
                return Err(corrupt(address, "the way from the last slice of a run to its first"));
            }
            let kind = page.kind.get_published();
            let is_free = kind == FREE_RUN;
            match kind {
                FREE_RUN => {
                    if was_free {
                        return Err(corrupt(address, "a free run beside a free run"));
                    }
                    if !Self::is_listed(&held, page) {
                        return Err(corrupt(address, "the list of free runs"));
                    }
                    free += slices;
                    dirty += page.dirty.get() as usize;
                }
                LARGE_BLOCK | CLAIMED => {}
                BLOCK_PAGE => self.check_page(&held, page, index)?,
                _ => return Err(corrupt(address, "what a slice is")),
            }
            was_free = is_free;
            index += slices;
        }
        if (free, dirty) != (held.free, held.dirty) {
            return Err(corrupt(self.origin.addr(), "the count of free slices"));
        }
        Ok(())
    }

    fn is_listed(held: &RunLists, page: &Page) -> bool {
        let mut run = held.first_of(bin_of(page.slices.get() as usize));
        // SAFETY: what is in a list is an entry of the table.
        while let Some(this) = unsafe { run.as_ref() } {
            if core::ptr::eq(this, page) {
                return true;
            }
            run = this.next.get();
        }
        false
    }

    /// Whether nobody but the calling thread can be changing a page of this tag.
    fn is_quiet(&self, held: &RunLists, tag: u32) -> bool {
        let owner = (tag & !(FULL | SLOW)).wrapping_sub(1) as usize;
        if owner >= held.thread_heaps {
            return false;
        }
        // SAFETY: below the number of entries that are made.
        let key = unsafe { (*self.thread_heap_at(owner)).shared_state.owner.load(Relaxed) };
        key == T::key() || key == super::thread_heap::VACANT
    }

    fn check_page(&self, held: &RunLists, page: &Page, index: usize) -> Result<(), HeapError> {
        let start = self.slice_at(index);
        let wrong = |what| Err(corrupt(start.addr(), what));
        let (size, tag) = (page.size.get() as usize, page.tag.get());
        if !self.is_quiet(held, tag) {
            return Ok(());
        }
        if size == 0 || size != size_of_class(page.class.get() as usize) || page.start.get() != start {
            return wrong("the size of a page's blocks");
        }
        if page.reserved.get() as usize != page.bytes() / size || page.capacity.get() > page.reserved.get() {
            return wrong("the number of a page's blocks");
        }
        for rest in 1..page.slices.get() {
            // SAFETY: the page's own entries.
            let entry = unsafe { &*self.entry(index + rest as usize) };
            if entry.kind.get() != CONTINUATION || entry.slices_to_first.get() != rest {
                return wrong("the way from a slice of a page to its first");
            }
        }
        let mut seen = BlockSet([0; MAX_BLOCKS / 64]);
        let mut counts = [0; 3];
        for (count, list) in counts.iter_mut().zip(self.lists(page)) {
            *count = self
                .count(page, list, |_, is_new| is_new, &mut seen)
                .ok_or_else(|| corrupt(start.addr(), "a list of free blocks"))?;
        }
        if counts[1].wrapping_add(page.used.get()) != page.capacity.get() {
            return wrong("the count of freed blocks");
        }
        if counts[0] != page.free_count.get() {
            return wrong("the count of free blocks");
        }
        // (What other threads free they may free at any time.)
        if tag & FULL != 0 && counts[0] + counts[1] > 0 {
            return wrong("the mark of a page that has nothing free");
        }
        Ok(())
    }

    /// The lists of a page: at hand, freed by the owner, freed by others. For a page that is quiet.
    fn lists(&self, page: &Page) -> [*mut FreeBlock; 3] {
        let remote =
            page.remote.peek().map_or(core::ptr::null_mut(), |at| self.origin.wrapping_add(at).cast());
        [page.free.get(), page.local_free.get(), remote]
    }

    /// The length of a list, if all that is in it are blocks of the page that `is_right` agrees to.
    fn count(
        &self,
        page: &Page,
        list: *mut FreeBlock,
        is_right: impl Fn(usize, bool) -> bool,
        seen: &mut BlockSet,
    ) -> Option<u32> {
        let (size, capacity) = (page.size.get() as usize, page.capacity.get());
        let (mut block, mut count) = (list, 0);
        while !block.is_null() {
            let within = block.addr().wrapping_sub(page.start.get().addr());
            let index = within.checked_div(size)?;
            let is_block = index < capacity as usize && within.is_multiple_of(size);
            if !is_block || count == capacity || !is_right(index, seen.add(index)) {
                return None;
            }
            count += 1;
            // SAFETY: a block within a page, which is committed memory, and read as one word.
            block = unsafe { (*block).0.get() };
        }
        Some(count)
    }

    /// Goes by what every page's owner counts, and follows no list: a block that was free when it was reached may be
    /// somebody's by the time that it is read.
    pub(super) fn figures(&self) -> HeapStats {
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
