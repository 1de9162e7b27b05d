//! Which thread owns which thread heap.
//!
//! A thread finds its thread heap through a [`ThreadSlot`]. If the slot has none, the thread heaps are searched under the lock:
//! for the thread's own (another heap may have replaced it in the slot), for one without an owner, for one whose thread has
//! ended without releasing it, and only then one is made. A thread heap goes from thread to thread as a whole, with its pages
//! and what other threads have freed in them.
//!
//! That the next owner sees what an ended thread has written is guaranteed by the system: a thread's id is free, or its stack
//! another thread's, only after its last instruction. (A race detector that knows only the atomics reports this.)
//!
//! A thread that gets none, because there are too many, shares the first thread heap with all others like it, under a lock.

use super::GeneralHeap;
use super::metadata::MAX_THREAD_HEAPS;
use super::run_lists::RunLists;
use super::thread_heap::{LOST_IN_FORK, ThreadHeap, ThreadHeapShared, VACANT};
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use crate::sys;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

/// How many thread heaps are probed at once for whether their thread has ended.
const MAX_PROBES: usize = 8;

/// How many calls of threads without a thread heap go by before one of them looks for one again.
const RETRY_AFTER: u32 = 256;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// The thread heap at an index; it has been made.
    pub(super) fn thread_heap_at(&self, index: usize) -> *mut ThreadHeap {
        self.metadata.thread_heaps().wrapping_add(index)
    }

    /// What other threads may read and write of the thread heap at an index, which has been made.
    fn shared_state_at(&self, index: usize) -> &ThreadHeapShared {
        // SAFETY: a thread heap that was made is committed as long as the metadata, which `self` owns, and its shared state
        // consists of atomics.
        unsafe { &(*self.thread_heap_at(index)).shared_state }
    }

    /// Makes the thread heap that threads without one of their own share.
    pub(super) fn make_shared(&self) -> Result<(), HeapError> {
        let mut held = self.slices.lock();
        self.make_thread_heap(&mut held.thread_heaps).map(|_| ())
    }

    fn make_thread_heap(&self, made: &mut usize) -> Result<*mut ThreadHeap, HeapError> {
        let index = *made;
        let size = size_of::<ThreadHeap>();
        self.metadata
            .commit_thread_heaps(index, index + 1)
            .map_err(|errno| self.metadata_refused(errno, size, size))?;
        let local = self.thread_heap_at(index);
        // SAFETY: its memory was committed just now and is zero; it has no owner yet.
        unsafe { (*local).begin(index) };
        *made += 1;
        Ok(local)
    }

    /// Gets a thread heap for the calling thread; `None` if it must share the first one.
    #[cold]
    #[inline(never)]
    pub(super) fn join(&self) -> Option<*mut ThreadHeap> {
        let crowded = self.crowded.load(Relaxed);
        if crowded > 0 {
            self.crowded.store(crowded - 1, Relaxed);
            return None;
        }
        let (key, thread) = (T::key(), sys::this_thread());
        let mut held = self.slices.lock();
        let is_vacant = |&index: &usize| self.shared_state_at(index).owner.load(Relaxed) == VACANT;
        let made = 1..held.thread_heaps;
        let found = made.clone().find(|&index| self.belongs_to(index, key, thread));
        let found = found.or_else(|| made.clone().find(is_vacant));
        let found = found.or_else(|| self.find_abandoned(&mut held));
        let local = match found {
            Some(index) => self.thread_heap_at(index),
            None if held.thread_heaps < MAX_THREAD_HEAPS => {
                self.make_thread_heap(&mut held.thread_heaps).ok()?
            }
            None => {
                self.crowded.store(RETRY_AFTER, Relaxed);
                return None;
            }
        };
        // SAFETY: the thread heap was made, and no thread owns it: that was found out under the lock.
        unsafe {
            (*local).shared_state.owner.store(key, Relaxed);
            (*local).shared_state.thread.store(thread, Relaxed);
        }
        // (The slot may allocate.)
        drop(held);
        T::set(self.id, local);
        Some(local)
    }

    /// The calling thread's own thread heap, even if its slot has forgotten it; null if it has none.
    pub(super) fn find_own(&self) -> *mut ThreadHeap {
        let local = T::lookup(self.id);
        if !local.is_null() {
            return local;
        }
        let (key, thread) = (T::key(), sys::this_thread());
        let held = self.slices.lock();
        for index in 1..held.thread_heaps {
            if self.belongs_to(index, key, thread) {
                // It may have been an ended thread's with the same key: from here on it is not abandoned.
                self.shared_state_at(index).thread.store(thread, Relaxed);
                return self.thread_heap_at(index);
            }
        }
        null_mut()
    }

    /// Whether a thread heap belongs to the thread with this key and these ids: it is the thread's own, or that of an ended
    /// thread with the same key. One of another process does not, whatever its key: a child that was forked without
    /// `before_fork` makes its threads where the parent had some, which may have been in the middle of anything. Under the lock.
    fn belongs_to(&self, index: usize, key: usize, thread: u64) -> bool {
        let state = self.shared_state_at(index);
        state.owner.load(Relaxed) == key && state.thread.load(Relaxed) >> 32 == thread >> 32
    }

    /// A thread heap whose thread has ended, among a few that are probed in turn: a probe takes a system call.
    fn find_abandoned(&self, held: &mut RunLists) -> Option<usize> {
        let owned = held.thread_heaps - 1;
        (0..owned.min(MAX_PROBES)).find_map(|_| {
            held.last_probed = held.last_probed.wrapping_add(1);
            let index = 1 + held.last_probed % owned;
            self.is_abandoned(index).then_some(index)
        })
    }

    /// Whether the thread that owns a thread heap has ended. Under the lock.
    pub(super) fn is_abandoned(&self, index: usize) -> bool {
        let state = self.shared_state_at(index);
        let owner = state.owner.load(Relaxed);
        let thread = state.thread.load(Relaxed);
        let is_this_process = thread >> 32 == u64::from(sys::process_id());
        owner != VACANT && owner != LOST_IN_FORK && is_this_process && !sys::thread_exists(thread as u32)
    }

    /// Gives up the calling thread's thread heap: another thread may own it from here on. For a thread that ends; if it uses
    /// the heap again it gets one again.
    #[cfg_attr(not(any(test, feature = "internal")), expect(dead_code, reason = "for the malloc library"))]
    pub(crate) fn release_thread(&self) {
        let local = self.find_own();
        if local.is_null() {
            return;
        }
        // SAFETY: `find_own` returns the calling thread's own thread heap.
        unsafe { self.collect(local) };
        let held = self.slices.lock();
        // SAFETY: the calling thread owns it until the lock is released.
        unsafe { (*local).shared_state.owner.store(VACANT, Relaxed) };
        T::set(self.id, null_mut());
        drop(held);
    }

    /// In a child: marks the thread heaps of the threads that do not exist here, so that they are left alone.
    pub(super) fn mark_others_lost(&self) {
        let (own, thread) = (self.find_own(), sys::this_thread());
        let made = self.slices.lock().thread_heaps;
        for index in 1..made {
            let state = self.shared_state_at(index);
            if self.thread_heap_at(index) == own {
                state.thread.store(thread, Relaxed);
            } else if state.owner.load(Relaxed) != VACANT {
                state.owner.store(LOST_IN_FORK, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::thread_slot::{NativeSlot, SLOT_ENTRIES};
    use super::*;
    use crate::heap::General;
    use crate::heap::placement_policy::PlacementPolicy;

    fn heap() -> GeneralHeap {
        GeneralHeap::new(crate::region::Region::builder().reserve(64 << 20).build(), General::new()).unwrap()
    }

    #[test]
    fn a_released_thread_heap_goes_to_the_next_thread() {
        let heap = heap();
        let kept = heap.allocate_block(100, 16).unwrap();
        let mine = heap.find_own().addr();
        heap.release_thread();
        assert!(heap.find_own().is_null());
        heap.release_thread();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                heap.allocate_block(100, 16).unwrap();
                assert_eq!(heap.find_own().addr(), mine, "with the blocks in it");
            });
        });
        // SAFETY: the block is live, and freed only here.
        unsafe { heap.deallocate_block(kept) }.unwrap();
        heap.check().unwrap();
    }

    #[test]
    fn a_slot_keeps_the_heaps_that_were_used_last() {
        let heaps: [_; SLOT_ENTRIES + 2] = core::array::from_fn(|_| heap());
        for _ in 0..3 {
            for heap in &heaps {
                let block = heap.allocate_block(24, 16).unwrap();
                let local = NativeSlot::lookup(heap.id);
                assert!(!local.is_null() && local == heap.find_own());
                // SAFETY: the block is live, and freed only here.
                unsafe { heap.deallocate_block(block) }.unwrap();
            }
        }
        for heap in &heaps {
            assert_eq!(heap.slices.lock().thread_heaps, 2, "the shared one, and one for this thread");
        }
    }

    #[test]
    fn a_thread_heap_found_by_a_reused_key_is_not_abandoned() {
        let heap = heap();
        heap.allocate_block(100, 16).unwrap();
        let local = heap.find_own();
        // As in a thread at the address of one that has ended.
        NativeSlot::set(heap.id, null_mut());
        // SAFETY: `find_own` returned a thread heap that was made. (No thread has such an id.)
        unsafe { (*local).shared_state.thread.store(sys::this_thread() | u64::from(u32::MAX >> 1), Relaxed) };
        assert_eq!(heap.find_own(), local);
        assert!(!heap.is_abandoned(1), "or another thread would take it at the same time");
    }

    /// A slot that stores nothing.
    struct NoSlot;

    // SAFETY: it always returns null; the keys are those of another slot.
    unsafe impl ThreadSlot for NoSlot {
        fn get(_heap: u64) -> *mut ThreadHeap {
            null_mut()
        }

        fn set(_heap: u64, _local: *mut ThreadHeap) {}

        fn key() -> usize {
            NativeSlot::key()
        }
    }

    #[test]
    fn a_slot_that_stores_nothing_works() {
        let region = crate::region::Region::builder().reserve(64 << 20).build();
        let heap = GeneralHeap::<NoSlot>::new(region, General::new()).unwrap();
        for _ in 0..3 {
            let blocks: [_; 100] =
                core::array::from_fn(|index| heap.allocate_block(1 + index * 50, 16).unwrap());
            for block in blocks {
                // SAFETY: the block is live, and freed only here.
                unsafe { heap.deallocate_block(block) }.unwrap();
            }
            heap.check().unwrap();
        }
        heap.trim(0);
        assert_eq!(heap.slices.lock().thread_heaps, 2);
        assert_eq!(heap.stats().live_blocks, 0);
        assert_eq!(heap.stats().free_runs, 1);
    }

    #[test]
    fn in_a_child_the_thread_heaps_of_others_are_lost() {
        let heap = heap();
        let mine = heap.allocate_block(100, 16).map(|_| heap.find_own()).unwrap();
        std::thread::scope(|threads| {
            let other = threads
                .spawn(|| heap.allocate_block(100, 16).map(|_| heap.find_own().addr()).unwrap())
                .join()
                .unwrap();
            heap.before_fork();
            // SAFETY: `before_fork` was called above. (The thread pretends to be the child.)
            unsafe { heap.after_fork(true) };
            assert_eq!(heap.find_own(), mine);
            let fresh = threads
                .spawn(|| heap.allocate_block(100, 16).map(|_| heap.find_own().addr()).unwrap())
                .join()
                .unwrap();
            assert_ne!(fresh, other, "no thread gets one that may have been in use");
        });
        heap.check().unwrap();
    }
}
