//! The table's entry for a slice: a page of blocks of one size, a run of free slices, or a large block.
//!
//! A run is described by the entry of its first slice; the entry of its last slice says where the first one is. Entries in
//! the middle of a run are unused, except in a page of several slices, where each leads to the first.

use super::classes::SLICE_SHIFT;
use super::owner_cell::{OwnerPtr, OwnerU32};
use super::remote_free::RemoteFreeList;
use core::ptr::null_mut;
use core::sync::atomic::AtomicUsize;

/// A free block: its first word is the next one in the list.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct FreeBlock(pub(super) OwnerPtr<FreeBlock>);

/// [`Page::kind`]: in the middle of a run, or never used.
pub(super) const UNUSED: u32 = 0;
/// [`Page::kind`]: a run of free slices.
pub(super) const FREE_RUN: u32 = 1;
/// [`Page::kind`]: a page of blocks.
pub(super) const BLOCK_PAGE: u32 = 2;
/// [`Page::kind`]: a slice of a page of several, but not its first.
pub(super) const CONTINUATION: u32 = 3;
/// [`Page::kind`]: one block that has the run to itself.
pub(super) const LARGE_BLOCK: u32 = 4;
/// [`Page::kind`]: a run that a thread has taken out of its list and not yet made anything of.
pub(super) const CLAIMED: u32 = 5;

/// A flag in [`Page::tag`]: the page is in no queue, because it has no free block.
pub(super) const FULL: u32 = 1 << 31;
/// A flag in [`Page::tag`]: the page has several slices, or its blocks are checked one by one. A thread's own tag never has
/// it, so one compare sends all such pages to the slow path.
pub(super) const SLOW: u32 = 1 << 30;

/// See the module. One cache line is the owner's; the other is read by all threads.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Page {
    /// The blocks that are allocated next.
    pub(super) free: OwnerPtr<FreeBlock>,
    /// The blocks that the owner freed since `free` was refilled.
    pub(super) local_free: OwnerPtr<FreeBlock>,
    /// How many initialised blocks are not in `local_free`: live, in `free`, or on the remote free list.
    pub(super) used: OwnerU32,
    /// How many blocks are in `free`: for statistics, because only the owner may follow a list.
    pub(super) free_count: OwnerU32,
    /// How many blocks are initialised: they were on a list at least once.
    pub(super) capacity: OwnerU32,
    /// How many blocks the page has space for.
    pub(super) reserved: OwnerU32,
    /// Not 0: the page is on its owner's list of idle pages, and this many sweeps found it idle.
    pub(super) idle_sweeps: OwnerU32,
    /// Neighbours in a queue, or in a list of free runs.
    pub(super) next: OwnerPtr<Page>,
    pub(super) prev: OwnerPtr<Page>,
    pub(super) next_idle: OwnerPtr<Page>,

    /// The owner's tag, with `FULL` and `SLOW`. 0 if this is not a page of blocks.
    pub(super) tag: OwnerU32,
    pub(super) kind: OwnerU32,
    /// The size of its blocks in bytes.
    pub(super) size: OwnerU32,
    pub(super) class: OwnerU32,
    /// The length of the run.
    pub(super) slices: OwnerU32,
    /// How many slices before this one the run begins.
    pub(super) slices_to_first: OwnerU32,
    /// Of a free run: how many of its slices may have memory. Of a run that was just claimed: how many, from its beginning,
    /// may be nonzero.
    pub(super) dirty: OwnerU32,
    pub(super) remote: RemoteFreeList,
    pub(super) next_notified: AtomicUsize,
    /// The first byte.
    pub(super) start: OwnerPtr<u8>,
}

const _: () = assert!(core::mem::size_of::<Page>() == 128);
const _: () = assert!(core::mem::offset_of!(Page, tag) == 64);

/// Stands where a thread has no page, as mimalloc's empty page does. It is never written to.
pub(super) struct EmptyPage(core::cell::UnsafeCell<Page>);

// SAFETY: no thread writes to it.
unsafe impl Sync for EmptyPage {}

pub(super) static EMPTY_PAGE: EmptyPage = EmptyPage(core::cell::UnsafeCell::new(Page {
    free: OwnerPtr::new(null_mut()),
    local_free: OwnerPtr::new(null_mut()),
    used: OwnerU32::new(0),
    free_count: OwnerU32::new(0),
    capacity: OwnerU32::new(0),
    reserved: OwnerU32::new(0),
    idle_sweeps: OwnerU32::new(0),
    next: OwnerPtr::new(null_mut()),
    prev: OwnerPtr::new(null_mut()),
    next_idle: OwnerPtr::new(null_mut()),
    tag: OwnerU32::new(0),
    kind: OwnerU32::new(UNUSED),
    size: OwnerU32::new(0),
    class: OwnerU32::new(0),
    slices: OwnerU32::new(0),
    slices_to_first: OwnerU32::new(0),
    dirty: OwnerU32::new(0),
    remote: RemoteFreeList(AtomicUsize::new(0)),
    next_notified: AtomicUsize::new(0),
    start: OwnerPtr::new(null_mut()),
}));

impl EmptyPage {
    pub(super) const fn get(&'static self) -> *mut Page {
        self.0.get()
    }
}

impl Page {
    /// Takes the first block of `free`; null if there is none. For the owner.
    #[inline]
    pub(super) fn pop(&self) -> *mut FreeBlock {
        let block = self.free.get();
        if !block.is_null() {
            // SAFETY: a block in `free` is committed memory whose first word is the list's; only the owner changes the list.
            self.free.set(unsafe { (*block).0.get() });
            // (Separate from everything else it is one instruction.)
            self.free_count.set(self.free_count.get().wrapping_sub(1));
        }
        block
    }

    /// Frees a block into `local_free`. Returns whether all initialised blocks are there now. For the owner.
    ///
    /// # Safety
    /// It is a live block of this page, and no longer used.
    #[inline]
    pub(super) unsafe fn push(&self, block: *mut FreeBlock) -> bool {
        // SAFETY: the block is a block of this page, so it has at least 16 bytes, and is no longer used: this function's
        // contract.
        unsafe { (*block).0.set(self.local_free.get()) };
        self.local_free.set(block);
        self.count_freed()
    }

    /// Subtracts one from `used`. Returns whether that left 0.
    #[inline(always)]
    fn count_freed(&self) -> bool {
        // From an atomic load, a subtraction and an atomic store the compiler makes three instructions if the difference is
        // compared.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: `used` is this page's field, written by its owner only; for other threads the instruction is an atomic load
        // and an atomic store.
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

    /// How many blocks are live. Exact while no call is in progress, whichever thread asks: it reads what the owner and the
    /// threads that free for it count, and no block.
    pub(super) fn live(&self) -> u32 {
        let free = self.free_count.get().saturating_add(self.remote.count());
        self.used.get().saturating_sub(free).min(self.reserved.get())
    }

    /// The bytes of the run.
    pub(super) fn bytes(&self) -> usize {
        (self.slices.get() as usize) << SLICE_SHIFT
    }

    /// The bytes of the initialised blocks.
    pub(super) fn initialised_bytes(&self) -> usize {
        self.capacity.get() as usize * self.size.get() as usize
    }

    /// Whether no block is live, as far as one can tell without counting: all blocks are in `local_free`.
    pub(super) fn is_idle(&self) -> bool {
        self.free.get().is_null() && self.used.get() == 0
    }

    /// Whether no block is live. For the owner, after it has drained the remote free list.
    pub(super) fn is_empty(&self) -> bool {
        self.kind.get() != UNUSED && self.free_count.get() == self.used.get()
    }

    /// Moves `free` into `local_free`, so that an empty page is idle.
    pub(super) fn merge_free_lists(&self) {
        while let Some(block) = core::ptr::NonNull::new(self.pop()) {
            // SAFETY: `pop` returned a block of this page that only this call knows.
            unsafe { self.push(block.as_ptr()) };
        }
    }
}
