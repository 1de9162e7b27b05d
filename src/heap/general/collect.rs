//! Empty pages give their slices back: before the heap grows, when it cannot, and on request.

use super::GeneralHeap;
use super::page::Page;
use super::pages::PATIENCE;
use super::thread_heap::{SHARED, ThreadHeap, VACANT};
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use crate::sys;
use core::sync::atomic::Ordering::Relaxed;

/// How many slices the heap grows by before the thread heaps without a thread are searched for empty pages again.
const SEARCH_INTERVAL: usize = 256;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// Allocates a run: from the free ones, after retiring empty pages, or by growing the heap, in this order.
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
            // SAFETY: `local` is the calling thread's own thread heap, or guarded by a lock that it holds.
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
                // SAFETY: `local` is the calling thread's own thread heap, or guarded by a lock that it holds.
                unsafe { self.collect(core::ptr::from_ref(local).cast_mut()) };
            }
            self.collect_abandoned();
            if local.is_none_or(|local| local.tag.get() != SHARED) {
                self.collect_shared();
            }
            let has_more = self.slices.lock().free > free;
            // (The first refusal is the one that has the cause.)
            if has_more {
                self.allocate_run(slices, align, requested).map_err(|_| refused)
            } else {
                Err(refused)
            }
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

    /// Retires every empty page of a thread heap.
    ///
    /// # Safety
    /// The calling thread owns `local`, or holds the lock that guards it.
    pub(super) unsafe fn collect(&self, local: *mut ThreadHeap) {
        // SAFETY: the calling thread is the only one that uses `local` and its pages: this function's contract.
        unsafe {
            let local = &*local;
            self.drain_notified(local);
            self.sweep(local, PATIENCE, u32::MAX);
            for queue in &local.queues {
                let mut page = queue.first.get();
                while let Some(this) = page.as_ref() {
                    let next = this.next.get();
                    self.drain_remote(this);
                    if this.is_empty() {
                        this.merge_free_lists();
                        local.list_idle(this);
                    }
                    page = next;
                }
            }
            self.sweep(local, 0, 0);
        }
    }

    /// Retires the empty pages of the thread heaps that no thread owns.
    pub(super) fn collect_abandoned(&self) {
        let (key, thread) = (T::key(), sys::this_thread());
        let mut next = 1;
        loop {
            let held = self.slices.lock();
            let found = (next..held.thread_heaps).find(|&index| {
                // SAFETY: the index is below the number of thread heaps that were made.
                let owner = unsafe { (*self.thread_heap_at(index)).shared_state.owner.load(Relaxed) };
                owner == VACANT || owner != key && self.is_abandoned(index)
            });
            let Some(index) = found else { return };
            let local = self.thread_heap_at(index);
            // SAFETY: no thread owns the thread heap, which was found out under the lock; from here on this thread does.
            unsafe {
                // Not by its key: the thread may own another one.
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

    /// Retires the empty pages of the shared thread heap. The caller must not hold its lock.
    pub(super) fn collect_shared(&self) {
        let _held = self.shared.lock();
        // SAFETY: `shared` guards the first thread heap, and is locked.
        unsafe { self.collect(self.thread_heap_at(0)) };
    }
}
