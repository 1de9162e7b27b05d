//! What a thread has of a heap: a queue of pages for every class of blocks. Only the thread itself uses it, without
//! locks; what others tell it is in [`NotifiedPages`].

use super::classes::{CLASSES, DIRECT_ENTRIES, GRAIN, MAX_DIRECT, MAX_SMALL, class_of, direct_range};
use super::page::{EMPTY_PAGE, OwnerPtr, OwnerU32, Page, SLOW};
use super::remote_free::NotifiedPages;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize};

/// Pages that may have something free; blocks are taken from the first.
#[repr(C)]
#[derive(Debug)]
pub(super) struct PageQueue {
    pub(super) first: OwnerPtr<Page>,
    pub(super) last: OwnerPtr<Page>,
}

/// See the module. (Public for the malloc library, which keeps it where its threads find it.)
#[repr(C, align(128))]
#[derive(Debug)]
pub struct ThreadHeap {
    /// What its pages carry: its place among the threads' entries, plus one.
    pub(super) tag: OwnerU32,
    /// How often the slow path was taken.
    pub(super) heartbeat: OwnerU32,
    /// The pages it has, and those of them on the list of idle ones.
    pub(super) pages: OwnerU32,
    pub(super) idle_pages: OwnerU32,
    /// The pages that were found empty, latest first.
    pub(super) first_idle: OwnerPtr<Page>,
    /// The first page of each class, by size in grains.
    pub(super) direct: [OwnerPtr<Page>; DIRECT_ENTRIES],
    pub(super) queues: [PageQueue; CLASSES],
    /// What other threads write to.
    pub(super) shared_state: SharedState,
}

/// See [`ThreadHeap`].
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct SharedState {
    pub(super) notified: NotifiedPages,
    /// The thread that has it, by its key, or `VACANT`, or `LOST_IN_FORK`. Changed under the lock of the slices.
    pub(super) owner: AtomicUsize,
    /// The same thread by the system's numbers, its process's first: in a child that was forked without our knowing,
    /// nothing can be said of the threads of this entry.
    pub(super) thread: AtomicU64,
}

/// The tag of the first entry, which is that of all threads without one.
pub(super) const SHARED: u32 = 1;

/// Nobody has it.
pub(super) const VACANT: usize = 0;
/// Its thread was left behind by a fork, in the middle of whatever it did.
pub(super) const LOST_IN_FORK: usize = usize::MAX;

impl ThreadHeap {
    /// Makes an entry of fresh memory, which is zero.
    pub(super) fn begin(&self, index: usize) {
        self.tag.set(index as u32 + 1);
        for entry in &self.direct {
            entry.set(EMPTY_PAGE.get());
        }
    }

    /// The largest size of which a block may be at hand, in bytes.
    pub const MAX_DIRECT: usize = MAX_DIRECT;

    /// A block for `size` bytes if one is at hand, aligned to a grain: the fast path of every allocation. Of no bytes, it
    /// is one of the smallest.
    ///
    /// # Safety
    /// The entry is the calling thread's, and the size at most [`MAX_DIRECT`](Self::MAX_DIRECT).
    #[inline(always)]
    pub unsafe fn allocate_direct(this: *mut ThreadHeap, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise; what the entry leads to are its pages, or the one that has nothing.
        let block = unsafe { (*(*this).direct(size.wrapping_add(GRAIN - 1) / GRAIN)).pop() };
        NonNull::new(block.cast())
    }

    /// The largest size of the classes that share pages of one slice, in bytes.
    pub const MAX_SMALL: usize = MAX_SMALL;

    /// The same for sizes that no table leads to.
    ///
    /// # Safety
    /// The entry is the calling thread's, and the size from 1 to [`MAX_SMALL`](Self::MAX_SMALL).
    #[inline(always)]
    pub unsafe fn allocate_small(this: *mut ThreadHeap, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise; what is first in a queue is a page of this entry.
        unsafe {
            let first = (*this).queue(class_of(size)).first.get().as_ref()?;
            // (Where every block is looked at, it is not taken here.)
            if first.tag.get() & SLOW != 0 { None } else { NonNull::new(first.pop().cast()) }
        }
    }

    /// The page that a size's blocks are taken from. `grains` is the size in grains.
    #[inline]
    pub(super) fn direct(&self, grains: usize) -> *mut Page {
        debug_assert!(grains < DIRECT_ENTRIES);
        // SAFETY: the caller has compared the size.
        unsafe { self.direct.get_unchecked(grains) }.get()
    }

    #[inline]
    pub(super) fn queue(&self, class: usize) -> &PageQueue {
        debug_assert!(class < CLASSES);
        // SAFETY: classes are below this by their making.
        unsafe { self.queues.get_unchecked(class) }
    }

    /// Puts a page at the end of its queue.
    ///
    /// # Safety
    /// Both are the calling thread's, and the page is in no queue.
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
            self.show_first(class, is_fast);
        } else {
            // SAFETY: what is in a queue is a page of this thread's.
            unsafe { (*last).next.set(this) };
        }
    }

    /// Takes a page out of its queue.
    ///
    /// # Safety
    /// Both are the calling thread's, and the page is in its queue.
    pub(super) unsafe fn dequeue(&self, page: &Page, is_fast: bool) {
        let class = page.class.get() as usize;
        let queue = self.queue(class);
        let (next, prev) = (page.next.get(), page.prev.get());
        // SAFETY: a page's neighbours in a queue are pages of the same thread.
        unsafe {
            if next.is_null() {
                queue.last.set(prev);
            } else {
                (*next).prev.set(prev);
            }
            if prev.is_null() {
                queue.first.set(next);
                self.show_first(class, is_fast);
            } else {
                (*prev).next.set(next);
            }
        }
    }

    fn show_first(&self, class: usize, is_fast: bool) {
        let first = self.queue(class).first.get();
        let first = if first.is_null() || !is_fast { EMPTY_PAGE.get() } else { first };
        for entry in direct_range(class) {
            if let Some(entry) = self.direct.get(entry) {
                entry.set(first);
            }
        }
    }
}
