//! The check of everything that the heap stores about its blocks.

use super::GeneralHeap;
use super::classes::{GRAIN, SLICE, size_of_class};
use super::page::{BLOCK_PAGE, CLAIMED, CONTINUATION, FREE_RUN, FULL, FreeBlock, LARGE_BLOCK, Page, SLOW};
use super::run_lists::RunLists;
use super::thread_heap::VACANT;
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

/// The maximum number of blocks in a page.
const MAX_BLOCKS: usize = SLICE / GRAIN;

/// A set of a page's blocks, by index.
struct BlockSet([u64; MAX_BLOCKS / 64]);

impl BlockSet {
    /// Adds one. Returns whether it is new.
    fn insert(&mut self, index: usize) -> bool {
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
    /// Checks the runs of slices and the pages in them. A page's lists are followed only if no other thread can be changing
    /// them.
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
            // SAFETY: the last slice of the run is below the top, as the condition above says, so its entry is committed.
            let last = unsafe { &*self.entry(index + slices - 1) };
            if last.slices_to_first.get() as usize != slices - 1 {
                return Err(corrupt(address, "the index of a run's first slice"));
            }
            let kind = page.kind.get_published();
            let is_free = kind == FREE_RUN;
            match kind {
                FREE_RUN => {
                    if was_free {
                        return Err(corrupt(address, "a free run beside a free run"));
                    }
                    if !held.has(page) {
                        return Err(corrupt(address, "the list of free runs"));
                    }
                    free += slices;
                    dirty += page.dirty.get() as usize;
                }
                LARGE_BLOCK | CLAIMED => {}
                BLOCK_PAGE => self.check_page(&held, page, index)?,
                _ => return Err(corrupt(address, "the kind of a slice")),
            }
            was_free = is_free;
            index += slices;
        }
        if (free, dirty) != (held.free, held.dirty) {
            return Err(corrupt(self.origin.addr(), "the count of free slices"));
        }
        Ok(())
    }

    /// Whether no thread but the calling one can be changing a page with this tag.
    fn is_quiescent(&self, held: &RunLists, tag: u32) -> bool {
        let owner = (tag & !(FULL | SLOW)).wrapping_sub(1) as usize;
        if owner >= held.thread_heaps {
            return false;
        }
        // SAFETY: the index is below the number of thread heaps that were made.
        let key = unsafe { (*self.thread_heap_at(owner)).shared_state.owner.load(Relaxed) };
        key == T::key() || key == VACANT
    }

    fn check_page(&self, held: &RunLists, page: &Page, index: usize) -> Result<(), HeapError> {
        let start = self.slice_at(index);
        let wrong = |what| Err(corrupt(start.addr(), what));
        let (size, tag) = (page.size.get() as usize, page.tag.get());
        if !self.is_quiescent(held, tag) {
            return Ok(());
        }
        if size == 0 || size != size_of_class(page.class.get() as usize) || page.start.get() != start {
            return wrong("the size of a page's blocks");
        }
        if page.reserved.get() as usize != page.bytes() / size || page.capacity.get() > page.reserved.get() {
            return wrong("the number of a page's blocks");
        }
        for rest in 1..page.slices.get() {
            // SAFETY: a slice of the page, which is below the top, so its entry is committed.
            let entry = unsafe { &*self.entry(index + rest as usize) };
            if entry.kind.get() != CONTINUATION || entry.slices_to_first.get() != rest {
                return wrong("the index of a page's first slice");
            }
        }
        let mut seen = BlockSet([0; MAX_BLOCKS / 64]);
        let mut counts = [0; 3];
        for (count, list) in counts.iter_mut().zip(self.lists(page)) {
            *count = self
                .count(page, list, &mut seen)
                .ok_or_else(|| corrupt(start.addr(), "a list of free blocks"))?;
        }
        let [free, local_free, _] = counts;
        if local_free.wrapping_add(page.used.get()) != page.capacity.get() {
            return wrong("the count of freed blocks");
        }
        if free != page.free_count.get() {
            return wrong("the count of free blocks");
        }
        // (Other threads may free blocks of a full page at any time.)
        if tag & FULL != 0 && free + local_free > 0 {
            return wrong("the mark of a page without a free block");
        }
        Ok(())
    }

    /// The lists of a quiescent page: `free`, `local_free`, and the remote free list.
    fn lists(&self, page: &Page) -> [*mut FreeBlock; 3] {
        let remote = page.remote.peek().map_or(null_mut(), |at| self.origin.wrapping_add(at).cast());
        [page.free.get(), page.local_free.get(), remote]
    }

    /// The length of a list, if it contains only blocks of the page that are not in `seen`.
    fn count(&self, page: &Page, list: *mut FreeBlock, seen: &mut BlockSet) -> Option<u32> {
        let (size, capacity) = (page.size.get() as usize, page.capacity.get());
        let (mut block, mut count) = (list, 0);
        while !block.is_null() {
            let within = block.addr().wrapping_sub(page.start.get().addr());
            let index = within.checked_div(size)?;
            let is_block = index < capacity as usize && within.is_multiple_of(size);
            if !is_block || count == capacity || !seen.insert(index) {
                return None;
            }
            count += 1;
            // SAFETY: the address of a block of the page, as was just checked: committed, aligned, and read as an atomic word.
            block = unsafe { (*block).0.get() };
        }
        Some(count)
    }
}
