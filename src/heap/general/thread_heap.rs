//! A thread's part of a heap: a queue of pages for every class of blocks. Only the thread itself uses it, without locks;
//! other threads reach it through [`NotifiedPages`].

use super::classes::{CLASSES, DIRECT_ENTRIES, GRAIN, MAX_DIRECT, MAX_SMALL, class_of, direct_range};
use super::owner_cell::{OwnerPtr, OwnerU32};
use super::page::{EMPTY_PAGE, Page, SLOW};
use super::remote_free::NotifiedPages;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize};

/// The pages of a class that may have a free block; blocks are allocated from the first.
#[repr(C)]
#[derive(Debug)]
pub(super) struct PageQueue {
    pub(super) first: OwnerPtr<Page>,
    pub(super) last: OwnerPtr<Page>,
}

/// A thread's part of a heap. (Public for the malloc library, which stores it where its threads find it.)
#[repr(C, align(128))]
#[derive(Debug)]
pub struct ThreadHeap {
    /// What its pages carry: its index among the thread heaps, plus one.
    pub(super) tag: OwnerU32,
    /// How often the slow path ran.
    pub(super) heartbeat: OwnerU32,
    /// How many pages it has, and how many of them are on the list of idle ones.
    pub(super) pages: OwnerU32,
    pub(super) idle_pages: OwnerU32,
    /// The pages that were found idle, latest first.
    pub(super) first_idle: OwnerPtr<Page>,
    /// The first page of each class, by block size in grains.
    pub(super) direct: [OwnerPtr<Page>; DIRECT_ENTRIES],
    pub(super) queues: [PageQueue; CLASSES],
    /// What other threads write to.
    pub(super) shared_state: ThreadHeapShared,
}

/// The part of a [`ThreadHeap`] that other threads write to.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct ThreadHeapShared {
    pub(super) notified: NotifiedPages,
    /// The key of the thread that owns it, or `VACANT`, or `LOST_IN_FORK`. Changed under the lock of the slices.
    pub(super) owner: AtomicUsize,
    /// The same thread by the kernel's ids, its process's in the upper half. A child that was forked without a call to
    /// [`before_fork`](crate::heap::Heap::before_fork) can tell by it that the thread was one of its parent's.
    pub(super) thread: AtomicU64,
}

/// The tag of the first thread heap, which all threads without one of their own share.
pub(super) const SHARED: u32 = 1;

/// In place of an owner: no thread.
pub(super) const VACANT: usize = 0;
/// In place of an owner: a thread of the parent process, which may have been in the middle of a call when it forked.
pub(super) const LOST_IN_FORK: usize = usize::MAX;

impl ThreadHeap {
    /// Initialises a thread heap in zeroed memory.
    pub(super) fn begin(&self, index: usize) {
        self.tag.set(index as u32 + 1);
        for entry in &self.direct {
            entry.set(EMPTY_PAGE.get());
        }
    }

    /// The largest size that [`allocate_direct`](Self::allocate_direct) can serve, in bytes.
    pub const MAX_DIRECT: usize = MAX_DIRECT;

    /// Allocates a block of `size` bytes, aligned to a grain, if the first page of its class has a free block: the fast path of
    /// every allocation. For 0 bytes the block is one of the smallest.
    ///
    /// # Safety
    /// `this` is the calling thread's, and `size` is at most [`MAX_DIRECT`](Self::MAX_DIRECT).
    #[inline(always)]
    pub unsafe fn allocate_direct(this: *mut ThreadHeap, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: `this` is the calling thread's and the size is in the table: this function's contract. Every entry of the
        // table is a page of this thread or the empty page.
        let block = unsafe { (*(*this).direct(size.wrapping_add(GRAIN - 1) / GRAIN)).pop() };
        NonNull::new(block.cast())
    }

    /// The largest block size whose pages have one slice, in bytes.
    pub const MAX_SMALL: usize = MAX_SMALL;

    /// [`allocate_direct`](Self::allocate_direct) for sizes that are not in its table.
    ///
    /// # Safety
    /// `this` is the calling thread's, and `size` is from 1 to [`MAX_SMALL`](Self::MAX_SMALL).
    #[inline(always)]
    pub unsafe fn allocate_small(this: *mut ThreadHeap, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: `this` is the calling thread's: this function's contract. The first page of a queue is a page of this thread.
        unsafe {
            let first = (*this).queue(class_of(size)).first.get().as_ref()?;
            // (In a checked heap every allocation sets a bit, which the slow path does.)
            if first.tag.get() & SLOW != 0 { None } else { NonNull::new(first.pop().cast()) }
        }
    }

    /// The page that blocks of a size are allocated from. `grains` is the size in grains.
    #[inline]
    pub(super) fn direct(&self, grains: usize) -> *mut Page {
        debug_assert!(grains < DIRECT_ENTRIES);
        // SAFETY: callers pass sizes up to `MAX_DIRECT`, which are below `DIRECT_ENTRIES` in grains.
        unsafe { self.direct.get_unchecked(grains) }.get()
    }

    #[inline]
    pub(super) fn queue(&self, class: usize) -> &PageQueue {
        debug_assert!(class < CLASSES);
        // SAFETY: a class comes from `class_of`, or from a page that was made for one: it is below `CLASSES`.
        unsafe { self.queues.get_unchecked(class) }
    }

    /// Puts a page at the end of its queue. `is_fast` is whether the table by size may lead to it.
    ///
    /// # Safety
    /// The page and the thread heap are the calling thread's, and the page is in no queue.
    pub(super) unsafe fn enqueue(&self, page: &Page, is_fast: bool) {
        let class = page.class.get() as usize;
        let queue = self.queue(class);
        let this = core::ptr::from_ref(page).cast_mut();
        let last = queue.last.get();
        page.prev.set(last);
        page.next.set(core::ptr::null_mut());
        queue.last.set(this);
        if last.is_null() {
            queue.first.set(this);
            self.update_direct(class, is_fast);
        } else {
            // SAFETY: a page in this queue is a live entry of the table, and this thread's.
            unsafe { (*last).next.set(this) };
        }
    }

    /// Takes a page out of its queue.
    ///
    /// # Safety
    /// The page and the thread heap are the calling thread's, and the page is in its queue.
    pub(super) unsafe fn dequeue(&self, page: &Page, is_fast: bool) {
        let class = page.class.get() as usize;
        let queue = self.queue(class);
        let (next, prev) = (page.next.get(), page.prev.get());
        // SAFETY: the neighbours of a page in this queue are live entries of the table, and this thread's.
        unsafe {
            if next.is_null() {
                queue.last.set(prev);
            } else {
                (*next).prev.set(prev);
            }
            if prev.is_null() {
                queue.first.set(next);
                self.update_direct(class, is_fast);
            } else {
                (*prev).next.set(next);
            }
        }
    }

    /// Puts a page of this thread heap on the list of idle ones, if it is not there.
    pub(super) fn list_idle(&self, page: &Page) {
        if page.idle_sweeps.get() == 0 {
            page.idle_sweeps.set(1);
            page.next_idle.set(self.first_idle.get());
            self.first_idle.set(core::ptr::from_ref(page).cast_mut());
            self.idle_pages.set(self.idle_pages.get() + 1);
        }
    }

    /// Lets the table by size lead to the first page of a class.
    fn update_direct(&self, class: usize, is_fast: bool) {
        let first = self.queue(class).first.get();
        let first = if first.is_null() || !is_fast { EMPTY_PAGE.get() } else { first };
        for entry in direct_range(class) {
            if let Some(entry) = self.direct.get(entry) {
                entry.set(first);
            }
        }
    }
}
