//! The general policy: many sizes, many threads, in any order.
//!
//! The region is divided into slices of 64 KiB. What is known about a slice is in a table beside the region: an address minus
//! the origin, shifted, *is* the index. Blocks up to 64 KiB are in pages of one size class, and each page has one owner
//! thread; larger blocks have runs of slices. Nothing is stored in front of a block, and one compare recognises a foreign
//! pointer.
//!
//! - `classes`: sizes; `page`: the entries of the table; `metadata`: the memory they are in
//! - `slow_path`: allocation and free beyond the fast paths; `pages`: how pages are filled, parked, and retired; `remote_free`:
//!   frees by other threads
//! - `thread_heap`: a thread's part of the heap; `thread_slot`: how a thread finds it; `threads`: how a thread gets one
//! - `run_lists`, `slices`, `large`: runs of slices, and the blocks that are one; `collect`, `purge`: what gives memory back
//!
//! The fast paths are in this file: an allocation pops the first block of the first page of its class; a free pushes on the
//! page's second list if the page has this thread's tag. Free lists per page, the second list, and the list of other threads'
//! frees are mimalloc's (Leijen, Zorn, de Moura, "Mimalloc: Free List Sharding in Action", 2019). What differs: everything
//! else that a free has to look at is in the tag, so one compare is enough; each list of a page has a counter of its own, so
//! statistics can be read while its owner is running; and an empty page stays where it is (see `pages`).
//!
//! # Threads and forks
//! One lock guards the slices, another the thread heap of those threads that have none of their own. Neither is held while
//! user code runs. A thread that forks acquires both first. In the child the thread heaps of other threads are never used
//! again, with their pages: their owners may have been in the middle of anything. Blocks in them can be freed, as by another
//! thread, and are not reused.

mod check;
mod classes;
mod collect;
mod find;
mod large;
mod live_bits;
mod metadata;
mod owner_cell;
mod page;
mod pages;
mod purge;
mod remote_free;
mod run_lists;
mod slices;
mod slow_path;
mod stats;
mod thread_heap;
mod thread_slot;
mod threads;

/// The atomics of the protocol, in one place so that it also runs under loom.
mod atomic {
    pub(crate) use core::sync::atomic::{AtomicUsize, Ordering};
}

use super::backing::HeapBacking;
use super::placement_policy::PlacementPolicy;
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
use metadata::HeapMetadata;
use page::Page;
use run_lists::RunLists;
pub use thread_heap::ThreadHeap;
pub use thread_slot::{NativeSlot, ThreadSlot};

/// See the module. `T` is how a thread finds its thread heap.
pub(crate) struct GeneralHeap<T: ThreadSlot = NativeSlot> {
    /// The first slice.
    origin: *mut u8,
    table: *mut Page,
    /// The end of the slices that were ever used, in bytes from the origin.
    end: AtomicUsize,
    id: u64,
    /// Not 0: there are too many threads; so many calls go by before a thread without a thread heap looks for one again.
    crowded: AtomicU32,
    /// Whether every block has a bit that says if it is live.
    checks: bool,
    /// Whether no empty page is kept, for benchmarks. (Blocks are then initialised one by one, or no page would look empty.)
    retires_at_once: bool,
    /// How many slices fit into the reservation.
    max_slices: usize,
    /// The offset of the first slice in the region.
    origin_offset: usize,
    slices: CachePadded<SpinLock<RunLists>>,
    /// Guards the first thread heap, which all threads without one of their own share.
    shared: CachePadded<SpinLock<()>>,
    metadata: HeapMetadata,
    backing: HeapBacking,
    slot: PhantomData<fn() -> T>,
}

// SAFETY: `origin` and `table` point into the region and the metadata, which this value owns. Everything in there that two
// threads can reach at a time is an atomic; the rest is used by one thread at a time, a page's owner or a lock's holder.
unsafe impl<T: ThreadSlot> Send for GeneralHeap<T> {}
// SAFETY: every method that takes `&self` reaches shared memory only through atomics, as a page's owner, or under a lock.
unsafe impl<T: ThreadSlot> Sync for GeneralHeap<T> {}

impl<T: ThreadSlot> GeneralHeap<T> {
    /// A heap over a region of its own.
    pub(crate) fn new(region: Region, options: General) -> Result<Self, HeapError> {
        let checks = options.checks;
        let start = region.as_ptr();
        let origin_offset = start.addr().wrapping_neg() % SLICE;
        let bytes = region.reserved_bytes().saturating_sub(origin_offset).min(remote_free::OFFSET_LIMIT);
        let max_slices = bytes >> SLICE_SHIFT;
        let backing = HeapBacking::new(region);
        let metadata = HeapMetadata::reserve(max_slices, checks)
            .map_err(|errno| backing.reserve_refused(errno, HeapMetadata::bytes(max_slices, checks)))?;
        let heap = GeneralHeap {
            origin: start.wrapping_add(origin_offset),
            table: metadata.table(),
            end: AtomicUsize::new(0),
            id: thread_slot::new_heap_id(),
            crowded: AtomicU32::new(0),
            checks,
            retires_at_once: options.retires_at_once,
            max_slices,
            origin_offset,
            slices: CachePadded::new(SpinLock::new(RunLists::new())),
            shared: CachePadded::new(SpinLock::new(())),
            metadata,
            backing,
            slot: PhantomData,
        };
        heap.make_shared()?;
        Ok(heap)
    }

    /// Allocates a block of `size` bytes if the first page of its class has a free one: the fast path of every allocation.
    /// Returns `None` for sizes and alignments that no block can have.
    #[inline(always)]
    pub(crate) fn allocate_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        const { assert!(ThreadHeap::MAX_DIRECT.is_power_of_two() && GRAIN.is_power_of_two()) };
        // Nonzero for 0 bytes, for more than `MAX_DIRECT`, for no power of two, and for more than a grain. Combined in one
        // word; as branches they are twice as many instructions.
        let too_large = size.wrapping_sub(1) >> ThreadHeap::MAX_DIRECT.ilog2();
        let too_wide = align.wrapping_sub(1) & (align | !(GRAIN - 1));
        if too_large | too_wide != 0 {
            return None;
        }
        let local = T::get(self.id);
        if local.is_null() {
            return None;
        }
        // SAFETY: a slot returns the calling thread's own thread heap, and `size` is at most `MAX_DIRECT`.
        unsafe { ThreadHeap::allocate_direct(local, size) }
    }

    /// Frees a block if it is on a page that the calling thread owns and that is not full: the fast path of every free. Returns
    /// whether it did.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, it is no longer used. (It may be null.)
    #[inline(always)]
    pub(crate) unsafe fn deallocate_fast(&self, block: *mut u8) -> bool {
        let offset = block.addr().wrapping_sub(self.origin.addr());
        let local = T::get(self.id);
        if offset >= self.end.load(Relaxed) || local.is_null() {
            return false;
        }
        // SAFETY: table entries below `end` are committed. A slot returns the calling thread's own thread heap, and a page with
        // its tag is the calling thread's.
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

    /// Allocates a block of `size` bytes.
    #[inline]
    pub(crate) fn allocate_block(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        match self.allocate_fast(size, align) {
            Some(block) => Ok(block),
            None => self.allocate_slow(size, align),
        }
    }

    /// Frees a block.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, it is no longer used.
    #[inline]
    pub(crate) unsafe fn deallocate_block(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: a live block is no longer used: this function's contract.
        unsafe { if self.deallocate_fast(block.as_ptr()) { Ok(()) } else { self.deallocate_slow(block) } }
    }
}

/// [`Heap`](crate::heap::Heap) has tried the fast paths before it calls these: they are not tried again.
impl<T: ThreadSlot> PlacementPolicy for GeneralHeap<T> {
    #[inline]
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.allocate_slow(size, align)
    }

    fn allocate_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.allocate_slow_zeroed(size, align)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: a live block is no longer used: this function's contract.
        unsafe { self.deallocate_slow(block) }
    }

    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        // SAFETY: a live block is no longer used: this function's contract.
        unsafe { self.resize(block, size, align) }
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        let page = self.find(block)?;
        if self.checks && !self.is_marked_live(block) {
            return Err(HeapError::DoubleFree { address: block.addr().get() });
        }
        Ok(page.usable_size())
    }

    fn backing(&self) -> &HeapBacking {
        &self.backing
    }

    fn check(&self) -> Result<(), HeapError> {
        self.check_all()
    }

    fn stats(&self) -> HeapStats {
        self.collect_stats()
    }

    fn trim(&self, keep: usize) -> usize {
        let local = self.find_own();
        if !local.is_null() {
            // SAFETY: `find_own` returns the calling thread's own thread heap.
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
        // SAFETY: no call of this heap has two guards of the same lock at a time.
        unsafe {
            self.shared.lock_for_fork();
            self.slices.lock_for_fork();
        }
    }

    unsafe fn after_fork(&self, is_child: bool) {
        // (In a child the other threads of the parent do not exist, whatever the caller says. The process id alone is not
        // enough: the child may be in a PID namespace of its own.)
        let is_child = is_child || self.slices.is_in_child();
        // SAFETY: this thread, or the one that it is a copy of, called `before_fork`: this function's contract.
        let were_held = unsafe { self.slices.unlock_after_fork() & self.shared.unlock_after_fork() };
        // (A fork in the middle of a call of the only thread: there are no other threads.)
        if is_child && were_held {
            self.mark_others_lost();
        }
    }
}
