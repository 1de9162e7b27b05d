//! The general policy: many sizes, many threads, in any order.
//!
//! The region is cut into slices of 64 KiB. What is known about a slice is in a table beside the region, at the place
//! that its offset says: an address minus the origin, shifted, *is* the index. Blocks up to 64 KiB share pages of one
//! size class, which belong to one thread each; larger ones have runs of slices. EmptyPage is kept in front of a block, and
//! a foreign pointer is found by one compare.
//!
//! - `classes`: sizes; `page`: the table's entries; `meta`: where they are
//! - `small`: pages, their lists, and when they are given back; `remote`: frees by other threads
//! - `local`, `threads`: what a thread has, and how it comes to it
//! - `slices`, `large`: runs of slices, and the blocks that are one; `purge`: what the system gets back of them
//!
//! The fast paths are here: an allocation takes the first block of the first page of its class, a free pushes on its
//! page's other list if the page carries this thread's tag. Free lists per page, the second list, and the list of other
//! threads are mimalloc's (Leijen, Zorn, de Moura, "Mimalloc: Free List Sharding in Action", 2019). What differs: whatever
//! a free has to look at besides is in the tag, so that one compare tells; each list of a page has a count of its own, so
//! that figures can be had while its owner is running; and an empty page is left where it is (see `small`).
//!
//! # Threads and forks
//! One lock guards the slices, one the entry of those threads that have none. Neither is held while user code runs. Who
//! forks takes both first. In the child the entries of other threads are left alone for good, with their pages: those may
//! be in the middle of anything. Their blocks can be freed as by another thread, and are not used again.

mod check;
mod classes;
mod large;
mod meta;
mod page;
mod purge;
mod remote_free;
mod slices;
mod small;
mod thread_heap;
mod threads;

/// The atomics of the protocol, in one place so that it also runs under loom.
mod atomic {
    pub(crate) use core::sync::atomic::{AtomicUsize, Ordering};
}

use super::backing::HeapBacking;
use super::block_allocator::BlockAllocator;
use super::{General, HeapError, HeapStats};
use crate::region::Region;
use crate::sys::SpinLock;
pub(crate) use classes::good_size;
use classes::{GRAIN, SLICE, SLICE_SHIFT};
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicUsize};
use crossbeam_utils::CachePadded;
use meta::HeapMetadata;
use page::Page;
use slices::RunLists;
pub use thread_heap::ThreadHeap;
pub use threads::{NativeSlot, ThreadSlot};

/// See the module. `T` is how a thread finds what it has.
pub(crate) struct GeneralHeap<T: ThreadSlot = NativeSlot> {
    /// The first slice.
    origin: *mut u8,
    table: *mut Page,
    /// Where the slices end that were ever used, in bytes from the origin.
    end: AtomicUsize,
    id: u64,
    /// Not 0: there are too many threads, and it was looked for an entry lately.
    crowded: AtomicU32,
    /// Whether every block has a bit that says if it is live.
    checks: bool,
    /// Whether no empty page is kept, for benchmarks. (Blocks are then capacity one by one, or none would look empty.)
    retires_at_once: bool,
    /// The slices that the reservation has reserved for.
    all: usize,
    /// Where the first slice is in the region.
    origin_offset: usize,
    slices: CachePadded<SpinLock<RunLists>>,
    shared: CachePadded<SpinLock<()>>,
    meta: HeapMetadata,
    backing: HeapBacking,
    slot: PhantomData<fn() -> T>,
}

// SAFETY: the pointers lead into the region and the table, which go with it; what is in there is of atomics, and used by
// one thread at a time: by a page's owner, or whoever holds the lock.
unsafe impl<T: ThreadSlot> Send for GeneralHeap<T> {}
// SAFETY: as above.
unsafe impl<T: ThreadSlot> Sync for GeneralHeap<T> {}

impl<T: ThreadSlot> GeneralHeap<T> {
    /// A heap over a region of its own.
    pub(crate) fn new(region: Region, options: General) -> Result<Self, HeapError> {
        let checks = options.checks;
        let start = region.as_ptr();
        let origin_offset = start.addr().wrapping_neg() % SLICE;
        let all = region.reserved_bytes().saturating_sub(origin_offset).min(remote_free::OFFSET_LIMIT)
            >> SLICE_SHIFT;
        let backing = HeapBacking::new(region);
        let meta = HeapMetadata::reserve(all, checks).map_err(|errno| {
            use crate::admission::{OutOfMemory, RefusedRequest, explain_call};
            use crate::sys::evidence::RefusedCall;
            let bytes = HeapMetadata::bytes(all, checks);
            let request = RefusedRequest::Allocation { requested: bytes, effective: bytes };
            let refusal = explain_call(errno, RefusedCall::Reserve(bytes));
            HeapError::OutOfMemory(OutOfMemory::new(backing.control(), request, 0, refusal))
        })?;
        let heap = GeneralHeap {
            origin: start.wrapping_add(origin_offset),
            table: meta.table(),
            end: AtomicUsize::new(0),
            id: threads::new_id(),
            crowded: AtomicU32::new(0),
            checks,
            retires_at_once: options.retires_at_once,
            all,
            origin_offset,
            slices: CachePadded::new(SpinLock::new(RunLists::new())),
            shared: CachePadded::new(SpinLock::new(())),
            meta,
            backing,
            slot: PhantomData,
        };
        heap.make_shared()?;
        Ok(heap)
    }

    /// A block for `size` bytes if one is at hand: the fast path of every allocation. (Of what there can be no block of,
    /// nothing is at hand.)
    #[inline(always)]
    pub(crate) fn allocate_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        const { assert!(ThreadHeap::MAX_DIRECT.is_power_of_two() && GRAIN.is_power_of_two()) };
        // Not 0 for no bytes at all, more than `MAX_DIRECT`, no power of two, and more than a grain: in one word, as branches they
        // are twice as many instructions.
        let too_large = size.wrapping_sub(1) >> ThreadHeap::MAX_DIRECT.ilog2();
        let too_wide = align.wrapping_sub(1) & (align | !(GRAIN - 1));
        if too_large | too_wide != 0 {
            return None;
        }
        let local = T::get(self.id);
        if local.is_null() {
            return None;
        }
        // SAFETY: the slot's entry is this thread's, and the size was compared.
        unsafe { ThreadHeap::allocate_direct(local, size) }
    }

    /// Takes a block back if it is on a page of the calling thread's that has blocks free, and returns whether it did: the
    /// fast path of every free.
    ///
    /// # Safety
    /// If it is a live block of this heap, nothing refers to it any more. (Anything else may be null.)
    #[inline(always)]
    pub(crate) unsafe fn deallocate_fast(&self, block: *mut u8) -> bool {
        let offset = block.addr().wrapping_sub(self.origin.addr());
        let local = T::get(self.id);
        if offset >= self.end.load(Relaxed) || local.is_null() {
            return false;
        }
        // SAFETY: entries below the end are committed; the slot's entry is this thread's, and so is a page with its tag.
        unsafe {
            let (page, local) = (&*self.table.add(offset >> SLICE_SHIFT), &*local);
            if page.tag.get() != local.tag.get() {
                return false;
            }
            if page.push(block.cast()) {
                self.note_idle(local, page);
            }
        }
        true
    }

    /// A block for `size` bytes.
    #[inline]
    pub(crate) fn allocate_block(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        match self.allocate_fast(size, align) {
            Some(block) => Ok(block),
            None => self.allocate_slow(size, align),
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// If it is a live block of this heap, nothing refers to it any more.
    #[inline]
    pub(crate) unsafe fn deallocate_block(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: the caller's promise.
        unsafe { if self.deallocate_fast(block.as_ptr()) { Ok(()) } else { self.deallocate_slow(block) } }
    }
}

impl<T: ThreadSlot> BlockAllocator for GeneralHeap<T> {
    #[inline]
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.allocate_block(size, align)
    }

    fn allocate_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.allocate_block_zeroed(size, align)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_block(block) }
    }

    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        // SAFETY: the caller's promise.
        unsafe { self.resize(block, size, align) }
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        let page = self.find(block)?;
        if self.checks && !self.is_marked(block) {
            return Err(HeapError::DoubleFree { address: block.addr().get() });
        }
        Ok(self.usable(page))
    }

    fn backing(&self) -> &HeapBacking {
        &self.backing
    }

    fn check(&self) -> Result<(), HeapError> {
        self.check_all()
    }

    fn stats(&self) -> HeapStats {
        self.figures()
    }

    fn trim(&self, keep: usize) -> usize {
        let local = self.find_own();
        if !local.is_null() {
            // SAFETY: it is the calling thread's.
            unsafe { self.collect(local) };
        }
        self.collect_abandoned();
        self.collect_shared();
        self.purge(&mut self.slices.lock(), keep >> SLICE_SHIFT)
    }

    fn is_locked(&self) -> bool {
        self.slices.is_held() || self.shared.is_held()
    }

    fn before_fork(&self) {
        // SAFETY: every call has one guard of each at a time.
        unsafe {
            self.shared.lock_for_fork();
            self.slices.lock_for_fork();
        }
    }

    unsafe fn after_fork(&self, is_child: bool) {
        // (What is known here, whatever is said: in a child the threads of the parent are never there. The number alone does
        // not do, as the child may have a namespace of its own.)
        let is_child = is_child || self.slices.is_in_child();
        // SAFETY: this thread, or the one that it is the copy of, has both.
        let was_taken = unsafe { self.slices.unlock_after_fork() & self.shared.unlock_after_fork() };
        // (In the middle of a call of the only thread there are no others.)
        if is_child && was_taken {
            self.mark_others_lost();
        }
    }
}
