//! Blocks of size classes, off the fast path: pages are filled, parked, found again, retired.
//!
//! A page's blocks are capacity as they are needed and then go round: from `free` to the program, from there to
//! `local_free` or the list of other threads, and from both to `free` when that has run out. A page without anything
//! free leaves its queue, and is back with the first block that is freed.
//!
//! That a page is empty is noticed where it costs nothing, when as many blocks are in `local_free` as were capacity, and
//! nothing is done about it then but to note the page: most such pages are used again at once. Noted pages are looked
//! at every 64th time that a page has run out of all it has; one that was idle three times in a row is given back, and so is what
//! exceeds a share of the thread's pages.

use super::GeneralHeap;
use super::classes::{MAX_SMALL, MEDIUM_SLICES, SLICE, size_of_class};
use super::page::{BLOCK_PAGE, CONTINUATION, FULL, FreeBlock, Page, SLOW, UNUSED};
use super::remote_free::ParkResult;
use super::thread_heap::ThreadHeap;
use super::threads::ThreadSlot;
use crate::heap::HeapError;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

/// The slow path looks at idle pages every so many times.
const SWEEP: u32 = 64;
/// How often a page is found idle before it is given back.
const PATIENCE: u32 = 3;
/// A thread keeps so many idle pages, and one for every two that it has.
const MAX_IDLE: u32 = 64;
/// How much of a page is capacity at a time, in bytes: little enough to be in the cache still when it is used.
const EXTEND_BYTES: usize = 8 << 10;
/// So many blocks at least.
const EXTEND_MIN_BLOCKS: usize = 4;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// A page of a class that has something in `free`.
    ///
    /// # Safety
    /// The entry is the calling thread's, and the first page of that class has nothing.
    pub(super) unsafe fn refill(&self, local: &ThreadHeap, class: usize) -> Result<*mut Page, HeapError> {
        // SAFETY: the caller's promise; pages in this entry's queues are its own.
        unsafe {
            self.drain_notified(local);
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
            if beat.is_multiple_of(SWEEP) {
                self.sweep(local, PATIENCE, u32::MAX);
            }
            loop {
                let page = local.queue(class).first.get();
                let Some(first) = page.as_ref() else { break };
                if !first.free.get().is_null() || self.recycle_freed(first) || self.extend_free_list(first) {
                    return Ok(page);
                }
                self.park_page(local, first);
            }
            self.new_page(local, class)
        }
    }

    /// Puts what was freed into `free`, which has run out; whether that was anything.
    #[inline]
    unsafe fn recycle_freed(&self, page: &Page) -> bool {
        // SAFETY: the caller's page.
        unsafe { self.drain_remote(page) };
        let freed = page.local_free.get();
        if page.used.get() == 0 && page.initialised_bytes() > EXTEND_BYTES {
            // All of it: capacity again, the blocks are used in the order of their addresses and not in the one that they
            // were freed in, where every next one is a miss of the cache.
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

    /// Takes what other threads have freed; how many blocks that were.
    pub(super) unsafe fn drain_remote(&self, page: &Page) -> u32 {
        let Some((head, most)) = page.remote.take() else { return 0 };
        let first: *mut FreeBlock = self.origin.wrapping_add(head).cast();
        let (mut last, mut count, most) = (first, 1, most.min(page.capacity.get()));
        // SAFETY: the blocks of the list are free, and this thread's since it was taken. It is as long as was counted,
        // unless somebody wrote to a block that was freed.
        unsafe {
            while count < most {
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
        count
    }

    /// Makes blocks of what was not used yet; whether there was anything.
    unsafe fn extend_free_list(&self, page: &Page) -> bool {
        let (capacity, reserved, size) = (page.capacity.get(), page.reserved.get(), page.size.get() as usize);
        if capacity >= reserved {
            return false;
        }
        let most = if self.retires_at_once { 1 } else { (EXTEND_BYTES / size).max(EXTEND_MIN_BLOCKS) as u32 };
        let count = most.min(reserved - capacity);
        let mut block = page.start.get().wrapping_add(capacity as usize * size);
        page.free.set(block.cast());
        for _ in 1..count {
            let next = block.wrapping_add(size);
            // SAFETY: within the page, and nobody's.
            unsafe { (*block.cast::<FreeBlock>()).0.set(next.cast()) };
            block = next;
        }
        // SAFETY: as above.
        unsafe { (*block.cast::<FreeBlock>()).0.set(null_mut()) };
        page.capacity.set(capacity + count);
        page.free_count.set(count);
        page.used.set(page.used.get() + count);
        true
    }

    /// Takes a page out of its queue because it has nothing, unless it has after all.
    unsafe fn park_page(&self, local: &ThreadHeap, page: &Page) {
        if page.remote.park() == ParkResult::NotEmpty {
            return;
        }
        // SAFETY: the caller's page, the first of its queue.
        unsafe { local.dequeue(page, !self.checks) };
        page.tag.set(page.tag.get() | FULL);
    }

    /// Puts a page back that something has been freed in.
    pub(super) unsafe fn unpark_page(&self, local: &ThreadHeap, page: &Page) {
        page.remote.unpark();
        page.tag.set(page.tag.get() & !FULL);
        // SAFETY: it was taken out by `park_page`.
        unsafe { local.enqueue(page, !self.checks) };
    }

    /// Looks at the pages that other threads have told of.
    #[inline]
    pub(super) unsafe fn drain_notified(&self, local: &ThreadHeap) {
        let first = local.shared_state.notified.take();
        if first != 0 {
            // SAFETY: the caller's entry.
            unsafe { self.drain_notified_list(local, first) };
        }
    }

    #[cold]
    unsafe fn drain_notified_list(&self, local: &ThreadHeap, first: usize) {
        let mut number = first;
        while number != 0 {
            // SAFETY: a page that was told of is this entry's for as long as it is on the list.
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

    unsafe fn note_if_idle(&self, local: &ThreadHeap, page: &Page) {
        if page.used.get() == 0 {
            // SAFETY: the caller's page.
            unsafe { self.note_idle(local, page) };
        }
    }

    /// Notes that a page is empty.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn note_idle(&self, local: &ThreadHeap, page: &Page) {
        let is_noted = page.idle_sweeps.get() != 0;
        page.idle_sweeps.set(1);
        if is_noted {
            return;
        }
        page.next_idle.set(local.first_idle.get());
        local.first_idle.set(core::ptr::from_ref(page).cast_mut());
        local.idle_pages.set(local.idle_pages.get() + 1);
        let most = if self.retires_at_once { 0 } else { MAX_IDLE + local.pages.get() / 2 };
        if local.idle_pages.get() > most {
            // SAFETY: the caller's entry.
            unsafe { self.sweep(local, PATIENCE, most / 2) };
        }
    }

    /// Looks at the noted pages: gives back what was idle so often, and what exceeds `most`.
    pub(super) unsafe fn sweep(&self, local: &ThreadHeap, patience: u32, most: u32) {
        let mut page = local.first_idle.get();
        local.first_idle.set(null_mut());
        let (mut last, mut kept): (*mut Page, u32) = (null_mut(), 0);
        // SAFETY: noted pages are this entry's until they are taken off the list here.
        while let Some(this) = unsafe { page.as_ref() } {
            let next = this.next_idle.get();
            let age = this.idle_sweeps.get();
            let stays = if !this.is_idle() {
                this.idle_sweeps.set(0);
                false
            } else if age >= patience || kept >= most {
                this.idle_sweeps.set(0);
                // SAFETY: it is empty and in a queue. Afterwards it may be another thread's.
                let is_gone = unsafe { self.retire(local, this) };
                if !is_gone {
                    this.idle_sweeps.set(1);
                }
                !is_gone
            } else {
                this.idle_sweeps.set(age + 1);
                true
            };
            if stays {
                this.next_idle.set(null_mut());
                // SAFETY: as above.
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

    /// Gives an empty page's slices back, unless another thread is about to tell of it.
    unsafe fn retire(&self, local: &ThreadHeap, page: &Page) -> bool {
        if page.remote.is_notified() {
            return false;
        }
        let run = core::ptr::from_ref(page).cast_mut();
        // SAFETY: the page is in its queue, and nothing of it is allocated.
        unsafe {
            local.dequeue(page, !self.checks);
            local.pages.set(local.pages.get() - 1);
            self.free_run(run);
        }
        true
    }

    /// A new page, the first of its queue.
    #[cold]
    unsafe fn new_page(&self, local: &ThreadHeap, class: usize) -> Result<*mut Page, HeapError> {
        let size = size_of_class(class);
        let slices = if size <= MAX_SMALL { 1 } else { MEDIUM_SLICES };
        let run = self.allocate_run_or_collect(Some(local), slices, SLICE, size)?;
        // Collecting may have emptied pages, but they are not of this class: their queue would not have run out.
        // SAFETY: the run is ours, and its entries are committed.
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

    /// Gives back every page of an entry that is empty.
    ///
    /// # Safety
    /// The entry is the calling thread's.
    pub(super) unsafe fn collect(&self, local: *mut ThreadHeap) {
        // SAFETY: the caller's promise; pages in this entry's queues are its own.
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
                        this.merge();
                        self.note_idle_quietly(local, this);
                    }
                    page = next;
                }
            }
            self.sweep(local, 0, 0);
        }
    }

    /// Notes a page without looking at others.
    unsafe fn note_idle_quietly(&self, local: &ThreadHeap, page: &Page) {
        if page.idle_sweeps.get() == 0 {
            page.idle_sweeps.set(1);
            page.next_idle.set(local.first_idle.get());
            local.first_idle.set(core::ptr::from_ref(page).cast_mut());
            local.idle_pages.set(local.idle_pages.get() + 1);
        }
    }
}

impl Page {
    fn initialised_bytes(&self) -> usize {
        self.capacity.get() as usize * self.size.get() as usize
    }

    /// Whether nothing of it is allocated. For the owner, who has gathered what others freed.
    fn is_empty(&self) -> bool {
        self.kind.get() != UNUSED && self.free_count.get() == self.used.get()
    }

    /// Puts `free` into `local_free`, so that an empty page looks like one.
    fn merge(&self) {
        while let Some(block) = core::ptr::NonNull::new(self.pop()) {
            // SAFETY: it was free.
            unsafe { self.push(block.as_ptr()) };
        }
    }
}
