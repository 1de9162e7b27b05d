//! The entry that the table has for a slice: a page of blocks of one size, a run of free slices, or a large block.
//!
//! A run is described by its first slice's entry; the last one's says where the first is. Entries of slices in the
//! middle say nothing, those of a page of several slices excepted, which lead to the first.

use super::classes::SLICE_SHIFT;
use super::remote_free::RemoteFreeList;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};

/// A number of which one thread is the writer; others may look at it.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct OwnerU32(AtomicU32);

impl OwnerU32 {
    pub(super) const fn new(value: u32) -> Self {
        OwnerU32(AtomicU32::new(value))
    }

    #[inline]
    pub(super) fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: u32) {
        self.0.store(value, Relaxed);
    }

    /// [`set`](Self::set), and whoever reads it by [`get_published`](Self::get_published) sees what was written before.
    pub(super) fn publish(&self, value: u32) {
        self.0.store(value, Release);
    }

    /// See [`publish`](Self::publish).
    pub(super) fn get_published(&self) -> u32 {
        self.0.load(Acquire)
    }
}

/// A pointer of which one thread is the writer; others may look at it.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct OwnerPtr<T>(AtomicPtr<T>);

impl<T> OwnerPtr<T> {
    pub(super) const fn new(value: *mut T) -> Self {
        OwnerPtr(AtomicPtr::new(value))
    }

    #[inline]
    pub(super) fn get(&self) -> *mut T {
        self.0.load(Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: *mut T) {
        self.0.store(value, Relaxed);
    }
}

/// A free block: what it holds is the next one.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct FreeBlock(pub(super) OwnerPtr<FreeBlock>);

/// In the middle of a run, or never used.
pub(super) const UNUSED: u32 = 0;
/// A run of free slices.
pub(super) const FREE_RUN: u32 = 1;
/// A page of blocks.
pub(super) const BLOCK_PAGE: u32 = 2;
/// A slice of a page of several, not the first one.
pub(super) const CONTINUATION: u32 = 3;
/// A run that somebody has taken and not yet made into anything.
pub(super) const CLAIMED: u32 = 5;
/// One block that has the run to itself.
pub(super) const LARGE_BLOCK: u32 = 4;

/// In a tag: the page is in no queue, because it has nothing free.
pub(super) const FULL: u32 = 1 << 31;
/// In a tag: the page has several slices, or its blocks are looked at one by one. No thread's own tag has this, so that
/// one compare sends all such pages to the slow path.
pub(super) const SLOW: u32 = 1 << 30;

/// See the module. One line of the cache is the owner's, the other is read by everybody.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Page {
    /// What is allocated next.
    pub(super) free: OwnerPtr<FreeBlock>,
    /// What the owner freed since `free` was filled.
    pub(super) local_free: OwnerPtr<FreeBlock>,
    /// How many of the blocks that were capacity are not in `local_free`; 0 when all are.
    pub(super) used: OwnerU32,
    /// How many are in `free`: for whoever wants figures, since only the owner may follow a list.
    pub(super) free_count: OwnerU32,
    /// The blocks that were capacity.
    pub(super) capacity: OwnerU32,
    /// The blocks that there is reserved for.
    pub(super) reserved: OwnerU32,
    /// Not 0: on its owner's list of pages that were found empty, and looked at so often.
    pub(super) idle_sweeps: OwnerU32,
    /// Neighbours in a queue, or among free runs of a size.
    pub(super) next: OwnerPtr<Page>,
    pub(super) prev: OwnerPtr<Page>,
    pub(super) next_idle: OwnerPtr<Page>,

    /// Whose it is: a thread's tag, with `FULL` and `SLOW`. 0 for what is no page of blocks.
    pub(super) tag: OwnerU32,
    pub(super) kind: OwnerU32,
    /// The size of its blocks in bytes.
    pub(super) size: OwnerU32,
    pub(super) class: OwnerU32,
    /// The length of the run.
    pub(super) slices: OwnerU32,
    /// How many slices before this one the run begins.
    pub(super) slices_to_first: OwnerU32,
    /// Of a free run: how many slices may have memory. Of one that was just taken: how many, from its beginning, may be
    /// something else than zero.
    pub(super) dirty: OwnerU32,
    pub(super) remote: RemoteFreeList,
    pub(super) next_notified: AtomicUsize,
    /// The first byte.
    pub(super) start: OwnerPtr<u8>,
}

const _: () = assert!(core::mem::size_of::<Page>() == 128);
const _: () = assert!(core::mem::offset_of!(Page, tag) == 64);

/// Stands where a thread has no page; never written to.
pub(super) struct EmptyPage(core::cell::UnsafeCell<Page>);

// SAFETY: nobody writes to it.
unsafe impl Sync for EmptyPage {}

pub(super) static EMPTY_PAGE: EmptyPage = EmptyPage(core::cell::UnsafeCell::new(Page {
    free: OwnerPtr::new(core::ptr::null_mut()),
    local_free: OwnerPtr::new(core::ptr::null_mut()),
    used: OwnerU32::new(0),
    free_count: OwnerU32::new(0),
    capacity: OwnerU32::new(0),
    reserved: OwnerU32::new(0),
    idle_sweeps: OwnerU32::new(0),
    next: OwnerPtr::new(core::ptr::null_mut()),
    prev: OwnerPtr::new(core::ptr::null_mut()),
    next_idle: OwnerPtr::new(core::ptr::null_mut()),
    tag: OwnerU32::new(0),
    kind: OwnerU32::new(UNUSED),
    size: OwnerU32::new(0),
    class: OwnerU32::new(0),
    slices: OwnerU32::new(0),
    slices_to_first: OwnerU32::new(0),
    dirty: OwnerU32::new(0),
    remote: RemoteFreeList(AtomicUsize::new(0)),
    next_notified: AtomicUsize::new(0),
    start: OwnerPtr::new(core::ptr::null_mut()),
}));

impl EmptyPage {
    pub(super) const fn get(&'static self) -> *mut Page {
        self.0.get()
    }
}

impl Page {
    /// Takes a block from what is at hand; null if nothing is. For the owner.
    #[inline]
    pub(super) fn pop(&self) -> *mut FreeBlock {
        let block = self.free.get();
        if !block.is_null() {
            // SAFETY: a free block's first word is the list's, and nobody but the owner changes it.
            self.free.set(unsafe { (*block).0.get() });
            // (Apart from everything else it is one instruction.)
            self.free_count.set(self.free_count.get().wrapping_sub(1));
        }
        block
    }

    /// Takes a block back; whether all that were capacity are back now. For the owner.
    ///
    /// # Safety
    /// It is a live block of this page, and nothing refers to it any more.
    #[inline]
    pub(super) unsafe fn push(&self, block: *mut FreeBlock) -> bool {
        // SAFETY: the block is the page's now, and has reserved for a word.
        unsafe { (*block).0.set(self.local_free.get()) };
        self.local_free.set(block);
        self.count_freed()
    }

    /// Takes one off `out`; whether that left none.
    #[inline(always)]
    fn count_freed(&self) -> bool {
        // Of an atomic load, a difference and an atomic store the compiler makes three instructions if the difference is
        // compared.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: the word is this page's, and other threads see what they see of an atomic load and a store.
        unsafe {
            core::arch::asm!(
                "dec dword ptr [{} + {}]",
                "jz {}",
                in(reg) core::ptr::from_ref(self),
                const core::mem::offset_of!(Page, used),
                label { return true },
                options(nostack)
            );
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        {
            let used = self.used.get().wrapping_sub(1);
            self.used.set(used);
            if used == 0 {
                return true;
            }
        }
        false
    }

    /// How many blocks are live. Exact where no call is in the middle of something, whoever the page's owner is: it goes by
    /// what the owner and the threads that free for it count, and looks at no block.
    pub(super) fn live(&self) -> u32 {
        let free = self.free_count.get().saturating_add(self.remote.count());
        self.used.get().saturating_sub(free).min(self.reserved.get())
    }

    /// The bytes of the run.
    pub(super) fn bytes(&self) -> usize {
        (self.slices.get() as usize) << SLICE_SHIFT
    }

    /// Whether nothing of it is allocated, as far as that is known without counting: all blocks are in `local_free`.
    pub(super) fn is_idle(&self) -> bool {
        self.free.get().is_null() && self.used.get() == 0
    }
}
