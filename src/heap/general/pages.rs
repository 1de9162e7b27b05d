//! Pages of blocks of one size class: how they are filled, parked, found again, and retired.
//!
//! A page's blocks are initialised as they are needed and then circulate: from `free` to the program, from there to
//! `local_free` or the remote free list, and from both back to `free` when that is empty. A page without a free block leaves
//! its queue, and returns with the first block that is freed.
//!
//! That a page is empty is noticed where it costs nothing, when as many blocks are in `local_free` as were initialised. The
//! page is then only put on a list of idle pages, because most such pages are used again at once. The list is swept at every
//! 64th time that a page has run out of all it has; a page that was idle in three sweeps is retired, and so are idle pages
//! beyond a share of the thread's pages.

use super::GeneralHeap;
use super::classes::{MAX_SMALL, MEDIUM_SLICES, SLICE, size_of_class};
use super::page::{BLOCK_PAGE, CONTINUATION, FULL, FreeBlock, Page, SLOW};
use super::remote_free::ParkResult;
use super::thread_heap::ThreadHeap;
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

/// The list of idle pages is swept once in so many runs of the slow path.
const SWEEP_INTERVAL: u32 = 64;
/// How many sweeps find a page idle before it is retired.
pub(super) const PATIENCE: u32 = 3;
/// A thread keeps so many idle pages, and one for every two pages it has.
const MAX_IDLE: u32 = 64;
/// How many bytes of a page are initialised at a time: few enough to be in the cache still when they are used.
const EXTEND_BYTES: usize = 8 << 10;
/// The minimum number of blocks that are initialised at a time.
const EXTEND_MIN_BLOCKS: usize = 4;

/// Every function here that takes a `&ThreadHeap` requires that the calling thread owns it, or holds the lock that guards it;
/// the pages in its queues and lists are then the calling thread's, too.
impl<T: ThreadSlot> GeneralHeap<T> {
    /// Finds or makes a page of a class with a block in `free`.
    ///
    /// # Safety
    /// The calling thread owns `local`, and the first page of that class has no block in `free`.
    pub(super) unsafe fn refill(&self, local: &ThreadHeap, class: usize) -> Result<*mut Page, HeapError> {
        // SAFETY: the calling thread owns `local`: this function's contract. Pages in its queues are live table entries.
        unsafe {
            self.drain_notified(local);
            // A page that is filled for the first time: nothing was freed in it, and there is nothing to sweep.
            let first = local.queue(class).first.get();
            if let Some(page) = first.as_ref()
                && page.free.get().is_null()
                && page.local_free.get().is_null()
                && self.extend_free_list(page)
            {
                return Ok(first);
            }
            let beat = local.heartbeat.get().wrapping_add(1);
            local.heartbeat.set(beat);
            if beat.is_multiple_of(SWEEP_INTERVAL) {
                self.sweep(local, PATIENCE, u32::MAX);
            }
            while let Some(page) = local.queue(class).first.get().as_ref() {
                if !page.free.get().is_null() || self.recycle_freed(page) || self.extend_free_list(page) {
                    return Ok(core::ptr::from_ref(page).cast_mut());
                }
                self.park_page(local, page);
            }
            self.new_page(local, class)
        }
    }

    /// Moves what was freed to `free`, which is empty. Returns whether that was anything.
    ///
    /// # Safety
    /// The calling thread owns the page.
    #[inline]
    unsafe fn recycle_freed(&self, page: &Page) -> bool {
        // SAFETY: the calling thread owns the page: this function's contract.
        unsafe { self.drain_remote(page) };
        let freed = page.local_free.get();
        if page.used.get() == 0 && page.initialised_bytes() > EXTEND_BYTES {
            // The whole page is free. Initialised again, its blocks are allocated in the order of their addresses. In the order
            // they were freed in, every next one would be a cache miss.
            page.local_free.set(null_mut());
            page.capacity.set(0);
            return false;
        }
        page.free.set(freed);
        page.local_free.set(null_mut());
        page.free_count.set(page.capacity.get().wrapping_sub(page.used.get()));
        page.used.set(page.capacity.get());
        !freed.is_null()
    }

    /// Moves the remote free list to `local_free`.
    ///
    /// # Safety
    /// The calling thread owns the page.
    pub(super) unsafe fn drain_remote(&self, page: &Page) {
        let Some((head, length)) = page.remote.take() else { return };
        let first: *mut FreeBlock = self.origin.wrapping_add(head).cast();
        let (mut last, mut count, max) = (first, 1, length.min(page.capacity.get()));
        // SAFETY: the blocks of the list are free, and only this thread reaches them since `take`. The list has `length` blocks,
        // unless the program wrote to a freed block; then it may end earlier, but not lead outside as long as that word is null.
        unsafe {
            while count < max {
                let next = (*last).0.get();
                if next.is_null() {
                    break;
                }
                last = next;
                count += 1;
            }
            (*last).0.set(page.local_free.get());
        }
        page.local_free.set(first);
        page.used.set(page.used.get().wrapping_sub(count));
    }

    /// Initialises blocks that were never used, and puts them into `free`, which is empty. Returns whether there were any.
    ///
    /// # Safety
    /// The calling thread owns the page.
    unsafe fn extend_free_list(&self, page: &Page) -> bool {
        let (capacity, reserved, size) = (page.capacity.get(), page.reserved.get(), page.size.get() as usize);
        if capacity >= reserved {
            return false;
        }
        let max = if self.retires_at_once { 1 } else { (EXTEND_BYTES / size).max(EXTEND_MIN_BLOCKS) as u32 };
        let count = max.min(reserved - capacity);
        let mut block = page.start.get().wrapping_add(capacity as usize * size);
        page.free.set(block.cast());
        for _ in 1..count {
            let next = block.wrapping_add(size);
            // SAFETY: the block is within the page, because `capacity + count` is at most `reserved`, and it is not allocated.
            unsafe { (*block.cast::<FreeBlock>()).0.set(next.cast()) };
            block = next;
        }
        // SAFETY: the last block is within the page, because `capacity + count` is at most `reserved`, and it is not allocated.
        unsafe { (*block.cast::<FreeBlock>()).0.set(null_mut()) };
        page.capacity.set(capacity + count);
        page.free_count.set(count);
        page.used.set(page.used.get() + count);
        true
    }

    /// Takes a page without a free block out of its queue, unless another thread has freed one meanwhile.
    ///
    /// # Safety
    /// The calling thread owns `local`, and the page is in one of its queues.
    unsafe fn park_page(&self, local: &ThreadHeap, page: &Page) {
        if page.remote.park() == ParkResult::NotEmpty {
            return;
        }
        // SAFETY: the page is in a queue of `local`, which the calling thread owns: this function's contract.
        unsafe { local.dequeue(page, !self.checks) };
        page.tag.set(page.tag.get() | FULL);
    }

    /// Puts a parked page back into its queue.
    ///
    /// # Safety
    /// The calling thread owns `local` and the page, which [`park_page`](Self::park_page) took out.
    pub(super) unsafe fn unpark_page(&self, local: &ThreadHeap, page: &Page) {
        page.remote.unpark();
        page.tag.set(page.tag.get() & !FULL);
        // SAFETY: the page is in no queue, and the calling thread owns both: this function's contract.
        unsafe { local.enqueue(page, !self.checks) };
    }

    /// Drains the remote free lists of the pages that other threads have notified the owner of.
    ///
    /// # Safety
    /// The calling thread owns `local`.
    #[inline]
    pub(super) unsafe fn drain_notified(&self, local: &ThreadHeap) {
        let first = local.shared_state.notified.take();
        if first != 0 {
            // SAFETY: `first` is a list that was just taken from `local`, which the calling thread owns: this function's contract.
            unsafe { self.drain_notified_list(local, first) };
        }
    }

    /// # Safety
    /// The calling thread owns `local`, and has taken the list that begins with page number `first` from it.
    #[cold]
    unsafe fn drain_notified_list(&self, local: &ThreadHeap, first: usize) {
        let mut number = first;
        while number != 0 {
            // SAFETY: a page on the list is a page of `local`, which is not retired before it is acknowledged; the calling thread
            // owns `local`: this function's contract.
            unsafe {
                let page = &*self.entry(number - 1);
                number = page.next_notified.load(Relaxed);
                page.remote.acknowledge();
                self.drain_remote(page);
                if page.tag.get() & FULL == 0 {
                    self.note_if_idle(local, page);
                    continue;
                }
                while page.local_free.get().is_null() && page.remote.park() == ParkResult::NotEmpty {
                    self.drain_remote(page);
                }
                if !page.local_free.get().is_null() {
                    self.unpark_page(local, page);
                    self.note_if_idle(local, page);
                }
            }
        }
    }

    /// # Safety
    /// The calling thread owns `local`, and the page is in one of its queues.
    unsafe fn note_if_idle(&self, local: &ThreadHeap, page: &Page) {
        if page.used.get() == 0 {
            // SAFETY: the calling thread owns `local`, and the page is in one of its queues: this function's contract.
            unsafe { self.note_idle(local, page) };
        }
    }

    /// Puts a page on the list of idle ones, and sweeps the list if it is long.
    ///
    /// # Safety
    /// The calling thread owns `local`, and the page is in one of its queues.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn note_idle(&self, local: &ThreadHeap, page: &Page) {
        if page.idle_sweeps.get() != 0 {
            page.idle_sweeps.set(1);
            return;
        }
        local.list_idle(page);
        let max = if self.retires_at_once { 0 } else { MAX_IDLE + local.pages.get() / 2 };
        if local.idle_pages.get() > max {
            // SAFETY: the calling thread owns `local`: this function's contract.
            unsafe { self.sweep(local, PATIENCE, max / 2) };
        }
    }

    /// Looks at all idle pages: retires those that `patience` sweeps found idle, and those beyond the first `max`.
    ///
    /// # Safety
    /// The calling thread owns `local`, or holds the lock that guards it.
    pub(super) unsafe fn sweep(&self, local: &ThreadHeap, patience: u32, max: u32) {
        let mut page = local.first_idle.get();
        local.first_idle.set(null_mut());
        let (mut last, mut kept): (*mut Page, u32) = (null_mut(), 0);
        // SAFETY: a page on the list of idle ones is a page of `local` until it is retired below.
        while let Some(this) = unsafe { page.as_ref() } {
            let next = this.next_idle.get();
            let sweeps = this.idle_sweeps.get();
            let stays = if !this.is_idle() {
                this.idle_sweeps.set(0);
                false
            } else if sweeps >= patience || kept >= max {
                this.idle_sweeps.set(0);
                // SAFETY: the page is idle, so it is in a queue of `local`. Once retired it may be another thread's, and is not
                // touched again.
                let is_retired = unsafe { self.retire(local, this) };
                if !is_retired {
                    this.idle_sweeps.set(1);
                }
                !is_retired
            } else {
                this.idle_sweeps.set(sweeps + 1);
                true
            };
            if stays {
                this.next_idle.set(null_mut());
                // SAFETY: `last` is null or a page that stays on the list.
                match unsafe { last.as_ref() } {
                    Some(last) => last.next_idle.set(page),
                    None => local.first_idle.set(page),
                }
                last = page;
                kept += 1;
            }
            page = next;
        }
        local.idle_pages.set(kept);
    }

    /// Frees an empty page's slices, unless another thread is about to notify the owner of it. Returns whether it did.
    ///
    /// # Safety
    /// The calling thread owns `local`, and the page is in one of its queues and has no live block.
    unsafe fn retire(&self, local: &ThreadHeap, page: &Page) -> bool {
        if page.remote.is_notified() {
            return false;
        }
        let run = core::ptr::from_ref(page).cast_mut();
        // SAFETY: the page is in a queue of `local`, and no block of it is live: this function's contract. It is on no list of
        // notified pages: that was just asked, and only a push on a parked page changes it.
        unsafe {
            local.dequeue(page, !self.checks);
            local.pages.set(local.pages.get() - 1);
            self.free_run(run);
        }
        true
    }

    /// Makes a page of a class, with blocks in `free`, and puts it into its queue.
    ///
    /// # Safety
    /// The calling thread owns `local`.
    #[cold]
    unsafe fn new_page(&self, local: &ThreadHeap, class: usize) -> Result<*mut Page, HeapError> {
        let size = size_of_class(class);
        let slices = if size <= MAX_SMALL { 1 } else { MEDIUM_SLICES };
        let run = self.allocate_run_or_collect(Some(local), slices, SLICE, size)?;
        // SAFETY: the run was claimed just now, so its entries are committed and only this call uses them. The calling thread owns
        // `local`: this function's contract.
        unsafe {
            let page = &*run;
            for rest in 1..slices {
                let entry = &*run.add(rest);
                entry.slices_to_first.set(rest as u32);
                entry.kind.set(CONTINUATION);
            }
            page.free.set(null_mut());
            page.local_free.set(null_mut());
            page.used.set(0);
            page.free_count.set(0);
            page.capacity.set(0);
            page.reserved.set((slices * SLICE / size) as u32);
            page.idle_sweeps.set(0);
            page.start.set(self.slice_at(self.index_of(run)));
            page.size.set(size as u32);
            page.class.set(class as u32);
            page.remote.reset();
            page.kind.publish(BLOCK_PAGE);
            let is_slow = slices > 1 || self.checks;
            page.tag.set(local.tag.get() | if is_slow { SLOW } else { 0 });
            local.pages.set(local.pages.get() + 1);
            self.extend_free_list(page);
            local.enqueue(page, !self.checks);
        }
        Ok(run)
    }
}
