//! Blocks of size classes, off the fast path: pages are filled, parked, found again, retired.
//!
//! A page's blocks are carved as they are needed and then go round: from `free` to the program, from there to
//! `local_free` or the list of other threads, and from both to `free` when that has run out. A page without anything
//! free leaves its queue, and is back with the first block that is freed.
//!
//! That a page is empty is noticed where it costs nothing, when as many blocks are in `local_free` as were carved, and
//! nothing is done about it then but to note the page: most such pages are used again at once. Noted pages are looked
//! at every 64th time that a page has run out of all it has; one that was idle three times in a row is given back, and so is what
//! exceeds a share of the thread's pages.

use super::General;
use super::classes::{MEDIUM_SLICES, MOST_SMALL, SLICE, size_of_class};
use super::local::Local;
use super::page::{BLOCKS, Block, FULL, NONE, Page, REST, SLOW};
use super::remote::Park;
use super::threads::ThreadSlot;
use crate::heap::HeapError;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

/// The slow path looks at idle pages every so many times.
const SWEEP: u32 = 64;
/// How often a page is found idle before it is given back.
const PATIENCE: u32 = 3;
/// A thread keeps so many idle pages, and one for every two that it has.
const MOST_IDLE: u32 = 64;
/// How much of a page is carved at a time, in bytes: little enough to be in the cache still when it is used.
const CARVE: usize = 8 << 10;
/// So many blocks at least.
const CARVE_BLOCKS: usize = 4;

impl<T: ThreadSlot> General<T> {
    /// A page of a class that has something in `free`.
    ///
    /// # Safety
    /// The entry is the calling thread's, and the first page of that class has nothing.
    pub(super) unsafe fn refill(&self, local: &Local, class: usize) -> Result<*mut Page, HeapError> {
        // SAFETY: the caller's promise; pages in this entry's queues are its own.
        unsafe {
            self.hear(local);
            let first = local.queue(class).first.get();
            if let Some(page) = first.as_ref()
                && page.free.get().is_null()
                && page.local_free.get().is_null()
                && self.carve(page)
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
                if !first.free.get().is_null() || self.turn(first) || self.carve(first) {
                    return Ok(page);
                }
                self.set_aside(local, first);
            }
            self.fresh(local, class)
        }
    }

    /// Puts what was freed into `free`, which has run out; whether that was anything.
    #[inline]
    unsafe fn turn(&self, page: &Page) -> bool {
        // SAFETY: the caller's page.
        unsafe { self.gather(page) };
        let freed = page.local_free.get();
        if page.out.get() == 0 && page.bytes_carved() > CARVE {
            // All of it: carved again, the blocks are used in the order of their addresses and not in the one that they
            // were freed in, where every next one is a miss of the cache.
            page.local_free.set(null_mut());
            page.carved.set(0);
            return false;
        }
        page.free.set(freed);
        page.local_free.set(null_mut());
        page.at_hand.set(page.carved.get().wrapping_sub(page.out.get()));
        page.out.set(page.carved.get());
        !freed.is_null()
    }

    /// Takes what other threads have freed; how many blocks that were.
    pub(super) unsafe fn gather(&self, page: &Page) -> u32 {
        let Some((head, most)) = page.remote.take() else { return 0 };
        let first: *mut Block = self.origin.wrapping_add(head).cast();
        let (mut last, mut count, most) = (first, 1, most.min(page.carved.get()));
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
        page.out.set(page.out.get().wrapping_sub(count));
        count
    }

    /// Makes blocks of what was not used yet; whether there was anything.
    unsafe fn carve(&self, page: &Page) -> bool {
        let (carved, room, size) = (page.carved.get(), page.room.get(), page.size.get() as usize);
        if carved >= room {
            return false;
        }
        let most = if self.keeps_none { 1 } else { (CARVE / size).max(CARVE_BLOCKS) as u32 };
        let count = most.min(room - carved);
        let mut block = page.start.get().wrapping_add(carved as usize * size);
        page.free.set(block.cast());
        for _ in 1..count {
            let next = block.wrapping_add(size);
            // SAFETY: within the page, and nobody's.
            unsafe { (*block.cast::<Block>()).0.set(next.cast()) };
            block = next;
        }
        // SAFETY: as above.
        unsafe { (*block.cast::<Block>()).0.set(null_mut()) };
        page.carved.set(carved + count);
        page.at_hand.set(count);
        page.out.set(page.out.get() + count);
        true
    }

    /// Takes a page out of its queue because it has nothing, unless it has after all.
    unsafe fn set_aside(&self, local: &Local, page: &Page) {
        if page.remote.park() == Park::NotEmpty {
            return;
        }
        // SAFETY: the caller's page, the first of its queue.
        unsafe { local.dequeue(page, !self.checks) };
        page.tag.set(page.tag.get() | FULL);
    }

    /// Puts a page back that something has been freed in.
    pub(super) unsafe fn set_back(&self, local: &Local, page: &Page) {
        page.remote.watch();
        page.tag.set(page.tag.get() & !FULL);
        // SAFETY: it was taken out by `set_aside`.
        unsafe { local.enqueue(page, !self.checks) };
    }

    /// Looks at the pages that other threads have told of.
    #[inline]
    pub(super) unsafe fn hear(&self, local: &Local) {
        let first = local.others.told.take();
        if first != 0 {
            // SAFETY: the caller's entry.
            unsafe { self.hear_of(local, first) };
        }
    }

    #[cold]
    unsafe fn hear_of(&self, local: &Local, first: usize) {
        let mut number = first;
        while number != 0 {
            // SAFETY: a page that was told of is this entry's for as long as it is on the list.
            unsafe {
                let page = &*self.entry(number - 1);
                number = page.next_told.load(Relaxed);
                page.remote.heard();
                self.gather(page);
                if page.tag.get() & FULL == 0 {
                    self.note_if_idle(local, page);
                    continue;
                }
                while page.local_free.get().is_null() && page.remote.park() == Park::NotEmpty {
                    self.gather(page);
                }
                if !page.local_free.get().is_null() {
                    self.set_back(local, page);
                    self.note_if_idle(local, page);
                }
            }
        }
    }

    unsafe fn note_if_idle(&self, local: &Local, page: &Page) {
        if page.out.get() == 0 {
            // SAFETY: the caller's page.
            unsafe { self.note_idle(local, page) };
        }
    }

    /// Notes that a page is empty.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn note_idle(&self, local: &Local, page: &Page) {
        let is_noted = page.idle.get() != 0;
        page.idle.set(1);
        if is_noted {
            return;
        }
        page.next_idle.set(local.idle.get());
        local.idle.set(core::ptr::from_ref(page).cast_mut());
        local.idles.set(local.idles.get() + 1);
        let most = if self.keeps_none { 0 } else { MOST_IDLE + local.pages.get() / 2 };
        if local.idles.get() > most {
            // SAFETY: the caller's entry.
            unsafe { self.sweep(local, PATIENCE, most / 2) };
        }
    }

    /// Looks at the noted pages: gives back what was idle so often, and what exceeds `most`.
    pub(super) unsafe fn sweep(&self, local: &Local, patience: u32, most: u32) {
        let mut page = local.idle.get();
        local.idle.set(null_mut());
        let (mut last, mut kept): (*mut Page, u32) = (null_mut(), 0);
        // SAFETY: noted pages are this entry's until they are taken off the list here.
        while let Some(this) = unsafe { page.as_ref() } {
            let next = this.next_idle.get();
            let age = this.idle.get();
            let stays = if !this.is_idle() {
                this.idle.set(0);
                false
            } else if age >= patience || kept >= most {
                this.idle.set(0);
                // SAFETY: it is empty and in a queue. Afterwards it may be another thread's.
                let is_gone = unsafe { self.retire(local, this) };
                if !is_gone {
                    this.idle.set(1);
                }
                !is_gone
            } else {
                this.idle.set(age + 1);
                true
            };
            if stays {
                this.next_idle.set(null_mut());
                // SAFETY: as above.
                match unsafe { last.as_ref() } {
                    Some(last) => last.next_idle.set(page),
                    None => local.idle.set(page),
                }
                last = page;
                kept += 1;
            }
            page = next;
        }
        local.idles.set(kept);
    }

    /// Gives an empty page's slices back, unless another thread is about to tell of it.
    unsafe fn retire(&self, local: &Local, page: &Page) -> bool {
        if page.remote.is_told() {
            return false;
        }
        let run = core::ptr::from_ref(page).cast_mut();
        // SAFETY: the page is in its queue, and nothing of it is allocated.
        unsafe {
            local.dequeue(page, !self.checks);
            local.pages.set(local.pages.get() - 1);
            self.give_run(run);
        }
        true
    }

    /// A new page, the first of its queue.
    #[cold]
    unsafe fn fresh(&self, local: &Local, class: usize) -> Result<*mut Page, HeapError> {
        let size = size_of_class(class);
        let slices = if size <= MOST_SMALL { 1 } else { MEDIUM_SLICES };
        let run = self.take_run_or_collect(Some(local), slices, SLICE, size)?;
        // Collecting may have emptied pages, but they are not of this class: their queue would not have run out.
        // SAFETY: the run is ours, and its entries are committed.
        unsafe {
            let page = &*run;
            for rest in 1..slices {
                let entry = &*run.add(rest);
                entry.back.set(rest as u32);
                entry.kind.set(REST);
            }
            page.free.set(null_mut());
            page.local_free.set(null_mut());
            page.out.set(0);
            page.at_hand.set(0);
            page.carved.set(0);
            page.room.set((slices * SLICE / size) as u32);
            page.idle.set(0);
            page.start.set(self.slice_at(self.index_of(run)));
            page.size.set(size as u32);
            page.class.set(class as u32);
            page.remote.reset();
            page.kind.publish(BLOCKS);
            let is_slow = slices > 1 || self.checks;
            page.tag.set(local.tag.get() | if is_slow { SLOW } else { 0 });
            local.pages.set(local.pages.get() + 1);
            self.carve(page);
            local.enqueue(page, !self.checks);
        }
        Ok(run)
    }

    /// Gives back every page of an entry that is empty.
    ///
    /// # Safety
    /// The entry is the calling thread's.
    pub(super) unsafe fn collect(&self, local: *mut Local) {
        // SAFETY: the caller's promise; pages in this entry's queues are its own.
        unsafe {
            let local = &*local;
            self.hear(local);
            self.sweep(local, PATIENCE, u32::MAX);
            for queue in &local.queues {
                let mut page = queue.first.get();
                while let Some(this) = page.as_ref() {
                    let next = this.next.get();
                    self.gather(this);
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
    unsafe fn note_idle_quietly(&self, local: &Local, page: &Page) {
        if page.idle.get() == 0 {
            page.idle.set(1);
            page.next_idle.set(local.idle.get());
            local.idle.set(core::ptr::from_ref(page).cast_mut());
            local.idles.set(local.idles.get() + 1);
        }
    }
}

impl Page {
    fn bytes_carved(&self) -> usize {
        self.carved.get() as usize * self.size.get() as usize
    }

    /// Whether nothing of it is allocated. For the owner, who has gathered what others freed.
    fn is_empty(&self) -> bool {
        self.kind.get() != NONE && self.at_hand.get() == self.out.get()
    }

    /// Puts `free` into `local_free`, so that an empty page looks like one.
    fn merge(&self) {
        while let Some(block) = core::ptr::NonNull::new(self.pop()) {
            // SAFETY: it was free.
            unsafe { self.push(block.as_ptr()) };
        }
    }
}
