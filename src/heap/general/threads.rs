//! Which thread has which entry.
//!
//! A thread finds its entry through a [`ThreadSlot`]. When that has nothing, the entries are looked through under the
//! lock: for the thread's own (another heap may have taken its place in the slot), for one without a thread, for one
//! whose thread has ended without saying so, and only then is one made. An entry goes from thread to thread as a whole:
//! its pages, and what other threads have freed in them, come with it.
//!
//! That whoever comes later sees what an ended thread has written is the work of the system: its number is free, or its
//! stack is another thread's, only when it has done its last. (A race detector that knows no more than the atomics does
//! not see that, and says so.)
//!
//! A thread that gets none, because there are too many, uses the first entry with all others like it, under a lock.

use super::GeneralHeap;
use super::meta::MAX_THREAD_HEAPS;
use super::slices::RunLists;
use super::thread_heap::{LOST_IN_FORK, ThreadHeap, VACANT};
use crate::heap::HeapError;
use crate::sys;
use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// Where a thread keeps which entry of a heap it has.
///
/// # Safety
/// `get` and `lookup` return null, or what this very thread gave to `set` last, for that heap. No two threads that live at
/// a time have the same key.
pub unsafe trait ThreadSlot: 'static {
    /// The calling thread's entry of the heap of this number; null if that takes longer to say, or is not known.
    fn get(heap: u64) -> *mut ThreadHeap;

    /// The same, and null only if it is not known.
    fn lookup(heap: u64) -> *mut ThreadHeap {
        Self::get(heap)
    }

    /// Notes it; null to forget it.
    fn set(heap: u64, local: *mut ThreadHeap);

    /// A number that no other living thread has, and not 0 or `usize::MAX`.
    fn key() -> usize;
}

/// The slot of Rust programs: a `thread_local!` that needs neither initialisation nor a destructor, for four heaps at a
/// time. Its address is the key. A thread that ends leaves its entries as they are; the next one that is made at the
/// same address has them at once.
#[derive(Debug)]
pub struct NativeSlot;

struct NativeSlotEntry {
    heap: Cell<u64>,
    local: Cell<*mut ThreadHeap>,
}

const SLOT_ENTRIES: usize = 4;

thread_local! {
    static SLOT: [NativeSlotEntry; SLOT_ENTRIES] =
        const { [const { NativeSlotEntry { heap: Cell::new(0), local: Cell::new(null_mut()) } }; SLOT_ENTRIES] };
}

// SAFETY: a thread-local variable, which is found by the heap's number; its address is the key.
unsafe impl ThreadSlot for NativeSlot {
    #[inline(always)]
    fn get(heap: u64) -> *mut ThreadHeap {
        SLOT.with(|[first, ..]| {
            if first.heap.get() != heap {
                return null_mut();
            }
            let local = first.local.get();
            // SAFETY: with no entry the number is 0.
            unsafe { core::hint::assert_unchecked(!local.is_null()) };
            local
        })
    }

    /// Moves what is found to the front.
    fn lookup(heap: u64) -> *mut ThreadHeap {
        SLOT.with(|slot| {
            let [first, ..] = slot;
            let Some(at) = slot.iter().position(|known| known.heap.get() == heap) else { return null_mut() };
            for later in slot.iter().skip(1).take(at) {
                first.heap.swap(&later.heap);
                first.local.swap(&later.local);
            }
            first.local.get()
        })
    }

    fn set(heap: u64, local: *mut ThreadHeap) {
        SLOT.with(|slot| {
            let known = slot.iter().find(|known| known.heap.get() == heap);
            // The one that was used least lately goes.
            let known = known.unwrap_or(&slot[SLOT_ENTRIES - 1]);
            known.heap.set(if local.is_null() { 0 } else { heap });
            known.local.set(local);
        });
    }

    fn key() -> usize {
        SLOT.with(|slot| core::ptr::from_ref(slot).addr())
    }
}

/// A number for a heap; not 0.
pub(super) fn new_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed).wrapping_add(1)
}

/// How many threads are asked for at once.
const PROBES: usize = 8;

/// How many calls of threads without an entry go by before one of them looks for one again.
const RETRY_AFTER: u32 = 256;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// The entry at a place; it has been made.
    pub(super) fn thread_heap_at(&self, index: usize) -> *mut ThreadHeap {
        self.meta.locals().wrapping_add(index)
    }

    /// Makes the entry that is everybody's.
    pub(super) fn make_shared(&self) -> Result<(), HeapError> {
        let mut held = self.slices.lock();
        self.make_thread_heap(&mut held.thread_heaps).map(|_| ())
    }

    fn make_thread_heap(&self, made: &mut usize) -> Result<*mut ThreadHeap, HeapError> {
        let index = *made;
        let size = size_of::<ThreadHeap>();
        self.meta.commit_locals(index, index + 1).map_err(|errno| self.refused(errno, size, size))?;
        let local = self.thread_heap_at(index);
        // SAFETY: it is committed, zero, and nobody has it.
        unsafe { (*local).begin(index) };
        *made += 1;
        Ok(local)
    }

    /// An entry for the calling thread; `None` if it has to use the first one with others.
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
        let owner = |index: usize| {
            // SAFETY: below the number of entries that are made.
            unsafe { &(*self.thread_heap_at(index)).shared_state.owner }
        };
        let places = 1..held.thread_heaps;
        let own = places.clone().find(|&index| self.belongs_to(index, key, thread));
        let found = own.or_else(|| places.clone().find(|&index| owner(index).load(Relaxed) == VACANT));
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
        // SAFETY: the entry is this thread's from here on: whoever had it is gone.
        unsafe {
            (*local).shared_state.owner.store(key, Relaxed);
            (*local).shared_state.thread.store(thread, Relaxed);
        }
        // (What is told of it may want memory.)
        drop(held);
        T::set(self.id, local);
        Some(local)
    }

    /// The calling thread's entry, also if its slot has forgotten it; null if it has none.
    pub(super) fn find_own(&self) -> *mut ThreadHeap {
        let local = T::lookup(self.id);
        if !local.is_null() {
            return local;
        }
        let (key, thread) = (T::key(), sys::this_thread());
        let held = self.slices.lock();
        for index in 1..held.thread_heaps {
            if self.belongs_to(index, key, thread) {
                let local = self.thread_heap_at(index);
                // It may have been an ended thread's of the same key: from here on it is not deserted.
                // SAFETY: below the number of entries that are made.
                unsafe { (*local).shared_state.thread.store(thread, Relaxed) };
                return local;
            }
        }
        null_mut()
    }

    /// Whether an entry is that of the thread with this key and these numbers: the thread's own, or one's that has ended and
    /// whose key it has got. Another process's is not, whatever its key: a child that was forked without our knowing makes its
    /// threads where the parent had some, and those may have been in the middle of anything. Under the lock.
    fn belongs_to(&self, index: usize, key: usize, thread: u64) -> bool {
        // SAFETY: below the number of entries that are made.
        let shared_state = unsafe { &(*self.thread_heap_at(index)).shared_state };
        shared_state.owner.load(Relaxed) == key && shared_state.thread.load(Relaxed) >> 32 == thread >> 32
    }

    /// An entry whose thread has ended, among a few that are looked at in turn: asking takes a system call.
    fn find_abandoned(&self, held: &mut RunLists) -> Option<usize> {
        let others = held.thread_heaps - 1;
        (0..others.min(PROBES)).find_map(|_| {
            held.last_probed = held.last_probed.wrapping_add(1);
            let index = 1 + held.last_probed % others;
            self.is_abandoned(index).then_some(index)
        })
    }

    /// Whether an entry's thread has ended. Under the lock.
    fn is_abandoned(&self, index: usize) -> bool {
        // SAFETY: below the number of entries that are made.
        let shared_state = unsafe { &(*self.thread_heap_at(index)).shared_state };
        let owner = shared_state.owner.load(Relaxed);
        let thread = shared_state.thread.load(Relaxed);
        let is_ours = thread >> 32 == u64::from(sys::process_id());
        owner != VACANT && owner != LOST_IN_FORK && is_ours && !sys::thread_exists(thread as u32)
    }

    /// The calling thread does without an entry from here on: another one may have it. For a thread that ends; if it
    /// goes on to use the heap it gets one again.
    pub(crate) fn release_thread(&self) {
        let local = self.find_own();
        if local.is_null() {
            return;
        }
        // SAFETY: it is the calling thread's.
        unsafe { self.collect(local) };
        let held = self.slices.lock();
        // SAFETY: as above, until the lock is opened.
        unsafe { (*local).shared_state.owner.store(VACANT, Relaxed) };
        T::set(self.id, null_mut());
        drop(held);
    }

    /// Gives back the empty pages of entries that no thread has.
    pub(super) fn collect_abandoned(&self) {
        let (key, thread) = (T::key(), sys::this_thread());
        let mut next = 1;
        loop {
            let held = self.slices.lock();
            let found = (next..held.thread_heaps).find(|&index| {
                // SAFETY: below the number of entries that are made.
                let owner = unsafe { (*self.thread_heap_at(index)).shared_state.owner.load(Relaxed) };
                owner == VACANT || owner != key && self.is_abandoned(index)
            });
            let Some(index) = found else { return };
            let local = self.thread_heap_at(index);
            // SAFETY: nobody has it, so that this thread may.
            unsafe {
                // Not by the key: the thread may have another one.
                (*local).shared_state.owner.store(key ^ 1, Relaxed);
                (*local).shared_state.thread.store(thread, Relaxed);
                drop(held);
                self.collect(local);
                let held = self.slices.lock();
                (*local).shared_state.owner.store(VACANT, Relaxed);
                drop(held);
            }
            next = index + 1;
        }
    }

    /// Gives back the empty pages of the threads that have no entry. Not for one of them that has the lock.
    pub(super) fn collect_shared(&self) {
        let _held = self.shared.lock();
        // SAFETY: the entry is whose the lock is.
        unsafe { self.collect(self.thread_heap_at(0)) };
    }

    /// In a child: the entries of the threads that are not here any more stay as they are.
    pub(super) fn mark_others_lost(&self) {
        let (mine, thread) = (self.find_own(), sys::this_thread());
        let made = self.slices.lock().thread_heaps;
        for index in 1..made {
            let local = self.thread_heap_at(index);
            // SAFETY: below the number of entries that are made.
            let shared_state = unsafe { &(*local).shared_state };
            let owner = shared_state.owner.load(Relaxed);
            if local == mine {
                shared_state.thread.store(thread, Relaxed);
            } else if owner != VACANT {
                shared_state.owner.store(LOST_IN_FORK, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::General;
    use crate::heap::block_allocator::BlockAllocator;

    fn heap() -> GeneralHeap {
        GeneralHeap::new(crate::region::Region::builder().reserve(64 << 20).build(), General::new()).unwrap()
    }

    #[test]
    fn a_thread_that_leaves_hands_its_entry_on() {
        let heap = heap();
        let kept = heap.allocate_block(100, 16).unwrap();
        let mine = heap.find_own().addr();
        heap.release_thread();
        assert!(heap.find_own().is_null());
        heap.release_thread();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                heap.allocate_block(100, 16).unwrap();
                assert_eq!(heap.find_own().addr(), mine, "with what is allocated in it");
            });
        });
        // SAFETY: a live block, freed once.
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
                // SAFETY: a live block, freed once.
                unsafe { heap.deallocate_block(block) }.unwrap();
            }
        }
        for heap in &heaps {
            assert_eq!(heap.slices.lock().thread_heaps, 2, "one for all, and one for this thread");
        }
    }

    #[test]
    fn what_is_found_by_a_key_that_came_back_is_not_deserted() {
        let heap = heap();
        heap.allocate_block(100, 16).unwrap();
        let local = heap.find_own();
        // As for a thread at the address of one that has ended.
        NativeSlot::set(heap.id, null_mut());
        // SAFETY: an entry that was made. (No thread has such a number.)
        unsafe { (*local).shared_state.thread.store(sys::this_thread() | u64::from(u32::MAX >> 1), Relaxed) };
        assert_eq!(heap.find_own(), local);
        assert!(!heap.is_abandoned(1), "or somebody else takes it at the same time");
    }

    /// Another way for threads to find what they have: none does.
    struct NoSlot;

    // SAFETY: it knows nothing; the keys are another's.
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
    fn a_slot_that_keeps_nothing_is_slow_and_right() {
        let region = crate::region::Region::builder().reserve(64 << 20).build();
        let heap = GeneralHeap::<NoSlot>::new(region, General::new()).unwrap();
        for _ in 0..3 {
            let blocks: [_; 100] =
                core::array::from_fn(|index| heap.allocate_block(1 + index * 50, 16).unwrap());
            for block in blocks {
                // SAFETY: a live block, freed once.
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
    fn in_a_child_the_entries_of_others_are_lost() {
        let heap = heap();
        let mine = heap.allocate_block(100, 16).map(|_| heap.find_own()).unwrap();
        std::thread::scope(|threads| {
            let other = threads
                .spawn(|| heap.allocate_block(100, 16).map(|_| heap.find_own().addr()).unwrap())
                .join()
                .unwrap();
            heap.before_fork();
            // SAFETY: as a child would, which this thread pretends to be.
            unsafe { heap.after_fork(true) };
            assert_eq!(heap.find_own(), mine);
            let fresh = threads
                .spawn(|| heap.allocate_block(100, 16).map(|_| heap.find_own().addr()).unwrap())
                .join()
                .unwrap();
            assert_ne!(fresh, other, "nobody gets what may be in the middle of anything");
        });
        heap.check().unwrap();
    }
}
