//! Blocks that have slices of their own, and whatever is off the fast path for every block: found, freed, resized.

use super::GeneralHeap;
use super::classes::{GRAIN, MAX_MEDIUM, SLICE, SLICE_SHIFT, class_for};
use super::page::{BLOCK_PAGE, CONTINUATION, FREE_RUN, FULL, FreeBlock, LARGE_BLOCK, Page, SLOW, UNUSED};
use super::thread_heap::{SHARED, ThreadHeap};
use super::threads::ThreadSlot;
use crate::admission::{OutOfMemory, RefusedRequest, explain};
use crate::heap::HeapError;
use crate::sys::Errno;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// How far the top moves before the entries without a thread are looked through for empty pages, in slices.
const SEARCH_INTERVAL: usize = 256;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// A block that is not at hand.
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_slow(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let local = T::lookup(self.id);
        let Some(class) = class_for(size, align) else {
            return self.allocate_large(local, size, align).map(|(block, _)| block);
        };
        let local = if local.is_null() { self.join() } else { Some(local) };
        // SAFETY: the entry is this thread's, or for as long as the lock is held.
        unsafe {
            match local {
                Some(local) => self.allocate_in(&*local, class),
                None => {
                    let _held = self.shared.lock();
                    self.allocate_in(&*self.thread_heap_at(0), class)
                }
            }
        }
    }

    /// # Safety
    /// The entry is the calling thread's.
    unsafe fn allocate_in(&self, local: &ThreadHeap, class: usize) -> Result<NonNull<u8>, HeapError> {
        // SAFETY: the caller's promise; what is first in a queue is a page of this entry.
        let block = unsafe {
            let first = local.queue(class).first.get();
            let block = if first.is_null() { core::ptr::null_mut() } else { (*first).pop() };
            if block.is_null() { (*self.refill(local, class)?).pop() } else { block }
        };
        let Some(block) = NonNull::new(block.cast::<u8>()) else {
            return Err(HeapError::Corrupt {
                address: self.origin.addr(),
                what: "a page's list of free blocks",
            });
        };
        if self.checks {
            self.mark(block);
        }
        Ok(block)
    }

    /// A block of zeros.
    pub(super) fn allocate_block_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let (block, used) = match class_for(size, align) {
            Some(_) => (self.allocate_block(size, align)?, size),
            None => self.allocate_large(T::lookup(self.id), size, align)?,
        };
        let used = if self.backing.empties_to_zero() { used.min(size) } else { size };
        // SAFETY: a fresh block of so many bytes.
        unsafe { self.backing.clear(block, used) };
        Ok(block)
    }

    /// With it comes how many bytes from its start may be something else than zero, in fresh anonymous memory.
    fn allocate_large(
        &self,
        local: *mut ThreadHeap,
        size: usize,
        align: usize,
    ) -> Result<(NonNull<u8>, usize), HeapError> {
        // SAFETY: the slot's entry is the calling thread's.
        let local = unsafe { local.as_ref() };
        let run = self.allocate_run_or_collect(local, size.div_ceil(SLICE).max(1), align, size)?;
        // SAFETY: the run is ours, and nobody knows of it. Its address is no null: the table is not at the origin.
        let (block, used) = unsafe {
            (*run).tag.set(0);
            (*run).start.set(self.slice_at(self.index_of(run)));
            (*run).kind.publish(LARGE_BLOCK);
            (NonNull::new_unchecked((*run).start.get()), (*run).dirty.get() as usize)
        };
        if self.checks {
            self.mark(block);
        }
        Ok((block, used << SLICE_SHIFT))
    }

    /// A run, if need be of what empty pages have; only then the heap grows.
    pub(super) fn allocate_run_or_collect(
        &self,
        local: Option<&ThreadHeap>,
        slices: usize,
        align: usize,
        requested: usize,
    ) -> Result<*mut Page, HeapError> {
        if let Some(run) = self.allocate_free_run(slices, align) {
            return Ok(run);
        }
        if let Some(local) = local.filter(|local| local.idle_pages.get() > 0) {
            // SAFETY: the entry is the calling thread's.
            unsafe { self.sweep(local, 0, 0) };
            if let Some(run) = self.allocate_free_run(slices, align) {
                return Ok(run);
            }
        }
        if self.is_time_to_search() {
            self.collect_abandoned();
            if let Some(run) = self.allocate_free_run(slices, align) {
                return Ok(run);
            }
        }
        let free = self.slices.lock().free;
        self.allocate_run(slices, align, requested).or_else(|refused| {
            if let Some(local) = local {
                // SAFETY: as above.
                unsafe { self.collect(core::ptr::from_ref(local).cast_mut()) };
            }
            self.collect_abandoned();
            if local.is_none_or(|local| local.tag.get() != SHARED) {
                self.collect_shared();
            }
            let more = self.slices.lock().free > free;
            // The first refusal is the one that says why.
            if more { self.allocate_run(slices, align, requested).map_err(|_| refused) } else { Err(refused) }
        })
    }

    fn is_time_to_search(&self) -> bool {
        let mut held = self.slices.lock();
        let is_time = held.thread_heaps > 2 && held.top >= held.searched_top + SEARCH_INTERVAL;
        if is_time {
            held.searched_top = held.top;
        }
        is_time
    }

    /// The page of a block, if a block can start there.
    pub(super) fn find(&self, block: NonNull<u8>) -> Result<&Page, HeapError> {
        let address = block.addr().get();
        let offset = address.wrapping_sub(self.origin.addr());
        let end = self.end.load(Relaxed);
        if offset >= end {
            return Err(self.outside(address, end));
        }
        let mut index = offset >> SLICE_SHIFT;
        // SAFETY: entries below the end are committed, and those of a page lead to its first.
        let page = unsafe {
            let entry = &*self.entry(index);
            if entry.kind.get() == CONTINUATION {
                index = index.saturating_sub(entry.slices_to_first.get() as usize);
            }
            &*self.entry(index)
        };
        let within = offset.wrapping_sub(index << SLICE_SHIFT);
        match page.kind.get() {
            LARGE_BLOCK if within == 0 => Ok(page),
            LARGE_BLOCK => Err(HeapError::InsideBlock { address, block: address - within }),
            BLOCK_PAGE => {
                let size = page.size.get() as usize;
                match within.checked_rem(size).unwrap_or(0) {
                    0 if size == 0 => Err(HeapError::NotABlock { address }),
                    0 if within / size < page.capacity.get() as usize => Ok(page),
                    0 => Err(HeapError::NotABlock { address }),
                    inside => Err(HeapError::InsideBlock { address, block: address - inside }),
                }
            }
            FREE_RUN if within == 0 => Err(HeapError::DoubleFree { address }),
            UNUSED => Err(self.inside_what(address, index)),
            _ => Err(HeapError::NotABlock { address }),
        }
    }

    #[cold]
    fn outside(&self, address: usize, end: usize) -> HeapError {
        let start = self.origin.addr();
        if address < start {
            HeapError::BelowHeap { address, start }
        } else {
            HeapError::AboveHeap { address, end: start + end }
        }
    }

    /// What is wrong with an address whose slice's entry says nothing.
    #[cold]
    fn inside_what(&self, address: usize, mut index: usize) -> HeapError {
        let _held = self.slices.lock();
        while index > 0 {
            index -= 1;
            // SAFETY: entries below one that is committed.
            let entry = unsafe { &*self.entry(index) };
            match entry.kind.get() {
                UNUSED => {}
                LARGE_BLOCK => return HeapError::InsideBlock { address, block: self.slice_at(index).addr() },
                _ => break,
            }
        }
        HeapError::NotABlock { address }
    }

    /// Takes back a block that is not on a page of this thread's that has blocks free.
    ///
    /// # Safety
    /// If it is a live block of this heap, nothing refers to it any more.
    #[inline(never)]
    pub(super) unsafe fn deallocate_slow(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let page = self.find(block)?;
        if self.checks && !self.unmark(block) {
            return Err(HeapError::DoubleFree { address: block.addr().get() });
        }
        if page.kind.get() == LARGE_BLOCK {
            // SAFETY: the caller's promise.
            unsafe { self.free_run(core::ptr::from_ref(page).cast_mut()) };
            return Ok(());
        }
        let tag = page.tag.get();
        // SAFETY: the slot's entry is the calling thread's.
        let local = unsafe { T::lookup(self.id).as_ref() };
        match local.filter(|local| local.tag.get() == tag & !(FULL | SLOW)) {
            // SAFETY: the page is this thread's, and the caller's promise.
            Some(local) => unsafe {
                if tag & FULL != 0 {
                    self.unpark_page(local, page);
                }
                if page.push(block.as_ptr().cast()) {
                    self.note_idle(local, page);
                }
            },
            // SAFETY: the caller's promise.
            None => unsafe { self.deallocate_remote(page, tag, block) },
        }
        Ok(())
    }

    /// # Safety
    /// A live block of this page, and nothing refers to it any more. The page belongs to whoever has this tag.
    unsafe fn deallocate_remote(&self, page: &Page, tag: u32, block: NonNull<u8>) {
        let offset = block.addr().get().wrapping_sub(self.origin.addr());
        let link = block.cast::<FreeBlock>();
        let must_tell = page.remote.push(offset, |next| {
            let next = next.map_or(core::ptr::null_mut(), |next| self.origin.wrapping_add(next).cast());
            // SAFETY: the block is the heap's, and nobody else's before it is published.
            unsafe { link.as_ref().0.set(next) };
        });
        if must_tell {
            let owner = (tag & !(FULL | SLOW)).wrapping_sub(1) as usize;
            // SAFETY: a tag is that of an entry that was made.
            let told = unsafe { &(*self.thread_heap_at(owner)).shared_state.notified };
            told.push(self.index_of(page) + 1, |next| page.next_notified.store(next, Relaxed));
        }
    }

    /// How many bytes a block's owner may use.
    pub(super) fn usable(&self, page: &Page) -> usize {
        if page.kind.get() == LARGE_BLOCK { page.bytes() } else { page.size.get() as usize }
    }

    /// See [`Policy::reallocate`](crate::heap::block_allocator::BlockAllocator::reallocate).
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn resize(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let page = self.find(block)?;
        if self.checks && !self.is_marked(block) {
            return Err(HeapError::DoubleFree { address: block.addr().get() });
        }
        let usable = self.usable(page);
        if block.addr().get().is_multiple_of(align) {
            if page.kind.get() == LARGE_BLOCK {
                // A block that is to be small moves to where small ones are.
                if size > MAX_MEDIUM
                    // SAFETY: the caller's promise; nobody refers to what is cut off.
                    && unsafe {
                        let run = core::ptr::from_ref(page).cast_mut();
                        self.resize_run(run, size.div_ceil(SLICE), size)
                    }
                {
                    return Ok(block);
                }
            } else if size <= usable && size >= usable / 2 {
                return Ok(block);
            }
        }
        let new = match self.allocate_block(size, align) {
            Ok(new) => new,
            // It is long enough for less, if there is nowhere else.
            Err(_) if size <= usable && block.addr().get().is_multiple_of(align) => {
                if page.kind.get() == LARGE_BLOCK {
                    let run = core::ptr::from_ref(page).cast_mut();
                    // SAFETY: the caller's promise; nobody refers to what is cut off.
                    unsafe { self.resize_run(run, size.div_ceil(SLICE), size) };
                }
                return Ok(block);
            }
            Err(refused) => return Err(refused),
        };
        // SAFETY: two blocks that do not overlap, both at least so long; and the caller's promise.
        unsafe {
            new.copy_from_nonoverlapping(block, usable.min(size));
            self.deallocate_block(block)?;
        }
        Ok(new)
    }

    /// A failure of the system to give the heap what it keeps its books in.
    #[cold]
    pub(super) fn refused(&self, errno: Errno, requested: usize, effective: usize) -> HeapError {
        let used = self.end.load(Relaxed);
        let request = RefusedRequest::Allocation { requested, effective };
        let refusal = explain(errno, effective);
        HeapError::OutOfMemory(OutOfMemory::new(self.backing.control(), request, used, refusal))
    }

    /// The word and the bit of a place where a block can start.
    fn bit(&self, block: NonNull<u8>) -> (&AtomicU64, u64) {
        let grain = block.addr().get().wrapping_sub(self.origin.addr()) / GRAIN;
        // SAFETY: below the end the bits are committed with the table.
        (unsafe { &*self.meta.bits().wrapping_add(grain / 64) }, 1 << (grain % 64))
    }

    fn mark(&self, block: NonNull<u8>) {
        let (word, bit) = self.bit(block);
        word.fetch_or(bit, AcqRel);
    }

    /// Whether it was live.
    fn unmark(&self, block: NonNull<u8>) -> bool {
        let (word, bit) = self.bit(block);
        word.fetch_and(!bit, AcqRel) & bit != 0
    }

    pub(super) fn is_marked(&self, block: NonNull<u8>) -> bool {
        let (word, bit) = self.bit(block);
        word.load(Acquire) & bit != 0
    }
}
