//! Sampled guards: one block in N has a page of its own between two guard pages, and after it is freed the page stays
//! inaccessible as long as there are others. So an overflow, or a use after free, is a fault, which is named here and then
//! ends the process as it would have without this library.
//!
//! The idea is that of GWP-ASan and of Electric Fence before it. Blocks end where their page does, but for what their
//! alignment leaves; that is filled, and checked when the block is freed.

use crate::misuse;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use highwater::internal::sys::{
    Protection, SpinLock, abort_with, commit, observe_segv, page_size, protect, purge, reserve, thread_id,
    write_line,
};

/// How many blocks have pages of their own at a time.
const MAX_BLOCKS: usize = 1024;
/// How many pages the pool has: a guard before each block's page, and one at the end.
const PAGES: usize = 2 * MAX_BLOCKS + 1;
/// What the rest of a page is filled with.
const FILL: u8 = 0xC5;

/// The pages, and which of them are free.
pub(crate) struct GuardedPool {
    start: NonNull<u8>,
    page: usize,
    /// The N of "one block in N has a page of its own".
    interval: u32,
    calls: AtomicU32,
    pub(crate) free: SpinLock<FreeRing>,
}

/// The indices of free pages, the longest free one first.
pub(crate) struct FreeRing {
    indices: [u16; MAX_BLOCKS],
    first: usize,
    count: usize,
}

impl FreeRing {
    fn pop(&mut self) -> Option<usize> {
        let index = *self.indices.get(self.first).filter(|_| self.count > 0)?;
        self.first = (self.first + 1) % MAX_BLOCKS;
        self.count -= 1;
        Some(usize::from(index))
    }

    fn push(&mut self, index: usize) {
        let last = (self.first + self.count) % MAX_BLOCKS;
        if let Some(entry) = self.indices.get_mut(last) {
            *entry = index as u16;
            self.count += 1;
        }
    }
}

// SAFETY: the pointer leads to pages, and each page is accessed by the owner of its block alone.
unsafe impl Send for GuardedPool {}
// SAFETY: the free list is behind a lock, and each page is accessed by the owner of its block alone.
unsafe impl Sync for GuardedPool {}

/// What is known of the block of a page. The SIGSEGV handler reads it, so it is atomic, and not part of the pool.
struct BlockMetadata {
    /// The block's address; 0 if there never was one.
    block: AtomicUsize,
    size: AtomicUsize,
    is_live: AtomicBool,
    /// The thread that freed it last.
    freed_by: AtomicU32,
}

static METADATA: [BlockMetadata; MAX_BLOCKS] = [const {
    BlockMetadata {
        block: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        is_live: AtomicBool::new(false),
        freed_by: AtomicU32::new(0),
    }
}; MAX_BLOCKS];

/// The pool's first address, for the handler; 0 where there is none.
static START: AtomicUsize = AtomicUsize::new(0);

impl GuardedPool {
    /// A pool for one block in `interval`; `None` if there is no address space for it.
    pub(crate) fn new(interval: u32) -> Option<Self> {
        let page = page_size();
        let start = reserve(PAGES * page, Protection::None).ok()?;
        START.store(start.addr().get(), Relaxed);
        let indices = core::array::from_fn(|index| index as u16);
        Some(GuardedPool {
            start,
            page,
            interval,
            calls: AtomicU32::new(0),
            free: SpinLock::new(FreeRing { indices, first: 0, count: MAX_BLOCKS }),
        })
    }

    pub(crate) fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.start.addr().get()) < PAGES * self.page
    }

    /// The page of a block: the odd ones, between guards.
    fn page_of(&self, index: usize) -> NonNull<u8> {
        // SAFETY: `index` is below `MAX_BLOCKS`, so the page lies in the pool.
        unsafe { self.start.add((2 * index + 1) * self.page) }
    }

    /// Allocates a block of zeros in a page of its own, if it is the turn of one and a page is free.
    pub(crate) fn allocate(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if size > self.page
            || align > self.page
            || !self.calls.fetch_add(1, Relaxed).is_multiple_of(self.interval)
        {
            return None;
        }
        let index = self.free.lock().pop()?;
        let page = self.page_of(index);
        // SAFETY: a page of the pool, which is this call's since its index was popped.
        if unsafe { commit(page.as_ptr(), self.page) }.is_err() {
            self.free.lock().push(index);
            return None;
        }
        let at = (self.page - size) & !(align - 1);
        // SAFETY: `at + size` is at most a page; the page is committed and this call's.
        let block = unsafe {
            let block = page.add(at);
            block.add(size).write_bytes(FILL, self.page - at - size);
            block
        };
        let known = &METADATA[index];
        known.size.store(size, Relaxed);
        known.block.store(block.addr().get(), Relaxed);
        known.is_live.store(true, Release);
        Some(block)
    }

    /// The index and the metadata of the block that begins at an address; for any other address the process ends.
    fn find(&self, block: NonNull<u8>) -> (usize, &'static BlockMetadata) {
        let address = block.addr().get();
        let page = (address - self.start.addr().get()) / self.page;
        let index = page / 2;
        let Some(known) = METADATA.get(index).filter(|_| page % 2 == 1) else {
            abort_with(format_args!("invalid pointer: {address:#x} is in a guard"));
        };
        let start = known.block.load(Relaxed);
        if start != address {
            abort_with(format_args!(
                "interior pointer: {address:#x} is {} bytes from the start of the block at {start:#x}",
                address.wrapping_sub(start).cast_signed()
            ));
        }
        (index, known)
    }

    /// The size that was asked for.
    pub(crate) fn usable_size(&self, block: NonNull<u8>) -> usize {
        let (_, known) = self.find(block);
        if !known.is_live.load(Acquire) {
            abort_with(format_args!("use after free: the block at {block:p} is free"));
        }
        known.size.load(Relaxed)
    }

    /// Deallocates a block.
    ///
    /// # Safety
    /// The address lies in the pool; if it is a live block, it is not used any more.
    pub(crate) unsafe fn deallocate(&self, block: NonNull<u8>) {
        let (index, known) = self.find(block);
        if !known.is_live.swap(false, Acquire) {
            abort_with(format_args!("double free: the block at {block:p} is free"));
        }
        known.freed_by.store(thread_id(), Relaxed);
        let size = known.size.load(Relaxed);
        let page = self.page_of(index);
        // SAFETY: the block was live, so its page is committed; the swap above made the page this call's.
        unsafe {
            let rest = page.add(self.page).addr().get() - block.addr().get() - size;
            let behind = core::slice::from_raw_parts(block.add(size).as_ptr(), rest);
            if let Some(at) = behind.iter().position(|byte| *byte != FILL) {
                misuse::die_of_overflow(block, Some((size, at)));
            }
            if !purge(page.as_ptr(), self.page) {
                page.write_bytes(0, self.page);
            }
            // (Where the limit of mappings is met, a use after free is not found.)
            let _ = protect(page.as_ptr(), self.page);
        }
        self.free.lock().push(index);
    }
}

/// Has faults in the pool named from now on, before they go to the handler that SIGSEGV had before. A program that installs
/// a handler of its own later gets its faults, and passes them on or not.
pub(crate) fn report_faults() {
    // (Where the system refuses, faults end the process without a name.)
    let _ = observe_segv(|address| {
        let (start, page) = (START.load(Relaxed), page_size());
        if address.wrapping_sub(start) < PAGES * page {
            write_line(format_args!("{}", PoolFault { address, start, page }));
        }
    });
}

/// A fault in the pool, as a line.
struct PoolFault {
    address: usize,
    start: usize,
    page: usize,
}

impl fmt::Display for PoolFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PoolFault { address, start, page } = *self;
        let number = (address - start) / page;
        let known = |index: usize| METADATA.get(index).filter(|known| known.block.load(Relaxed) != 0);
        if number % 2 == 1 {
            let Some(known) = known(number / 2) else { return write!(f, "invalid access at {address:#x}") };
            let (block, size) = (known.block.load(Relaxed), known.size.load(Relaxed));
            let at = address.wrapping_sub(block).cast_signed();
            return write!(
                f,
                "use after free: access at {address:#x}, {at} bytes from the start of the block of {size} bytes at \
                 {block:#x}, which thread {} freed",
                known.freed_by.load(Relaxed)
            );
        }
        // In a guard: of the block before it, or of the one behind.
        let before = number.checked_sub(2).and_then(|number| known(number / 2));
        let behind = known(number / 2);
        let distance = |known: &BlockMetadata| {
            let (block, size) = (known.block.load(Relaxed), known.size.load(Relaxed));
            (block, size, if address < block { block - address } else { address - (block + size) })
        };
        let is_nearer = |a: &BlockMetadata, b: &BlockMetadata| distance(a).2 <= distance(b).2;
        match (before, behind) {
            (Some(known), other) if other.is_none_or(|other| is_nearer(known, other)) => {
                let (block, size, at) = distance(known);
                write!(
                    f,
                    "heap overflow: access at {address:#x}, {at} bytes past the end of the block of {size} bytes at {block:#x}"
                )
            }
            (_, Some(known)) => {
                let (block, size, at) = distance(known);
                write!(
                    f,
                    "heap underflow: access at {address:#x}, {at} bytes before the block of {size} bytes at {block:#x}"
                )
            }
            _ => write!(f, "invalid access at {address:#x}"),
        }
    }
}
