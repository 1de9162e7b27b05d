//! A range of addresses beside the region for what the heap stores about it: the thread heaps, the table of slices, and, for a
//! checked heap, one bit for every address where a block can start.
//!
//! Each of the three is committed from its beginning as it is needed. Committed memory is zero at first, and stays committed.

use super::classes::{GRAIN, SLICE};
use super::page::Page;
use super::thread_heap::ThreadHeap;
use crate::sys::{self, Errno, Protection};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

/// How many thread heaps there can be. The first is shared by all threads without one of their own.
pub(super) const MAX_THREAD_HEAPS: usize = 1024;

/// How many slices' entries are committed together: 64 KiB of table for 32 MiB of region.
const STEP: usize = 512;

/// How many bytes of live bits a slice has.
const BITS: usize = SLICE / GRAIN / 8;

/// See the module.
pub(super) struct HeapMetadata {
    start: NonNull<u8>,
    len: usize,
    /// The offsets of the table and of the live bits.
    table: usize,
    bits: usize,
}

// SAFETY: an address range that this value owns; what is stored there are atomics.
unsafe impl Send for HeapMetadata {}
// SAFETY: methods that take `&self` only compute addresses and commit memory, which any thread may do.
unsafe impl Sync for HeapMetadata {}

impl HeapMetadata {
    /// The offsets of the table and of the live bits, and the length of the range.
    fn layout(slices: usize, checks: bool) -> (usize, usize, usize) {
        let page = sys::page_size();
        let table = (MAX_THREAD_HEAPS * size_of::<ThreadHeap>()).next_multiple_of(page);
        let bits = table + (slices * size_of::<Page>()).next_multiple_of(page);
        let len = bits + if checks { (slices * BITS).next_multiple_of(page) } else { 0 };
        (table, bits, len)
    }

    /// How many bytes a heap of so many slices reserves.
    pub(super) fn bytes(slices: usize, checks: bool) -> usize {
        Self::layout(slices, checks).2
    }

    /// Reserves the range for a heap of so many slices; `checks` is whether it has live bits.
    pub(super) fn reserve(slices: usize, checks: bool) -> Result<Self, Errno> {
        let (table, bits, len) = Self::layout(slices, checks);
        let start = sys::reserve(len, Protection::None)?;
        // SAFETY: the range was mapped just now, and only this call knows it.
        unsafe {
            sys::set_dumpable(start.as_ptr(), len, false);
            sys::set_name(start, len, c"highwater:heap table");
        }
        Ok(HeapMetadata { start, len, table, bits })
    }

    pub(super) fn thread_heaps(&self) -> *mut ThreadHeap {
        self.start.as_ptr().cast()
    }

    pub(super) fn table(&self) -> *mut Page {
        self.start.as_ptr().wrapping_add(self.table).cast()
    }

    pub(super) fn bits(&self) -> *const AtomicU64 {
        self.start.as_ptr().wrapping_add(self.bits).cast()
    }

    /// Commits the thread heaps `from..to`.
    pub(super) fn commit_thread_heaps(&self, from: usize, to: usize) -> Result<(), Errno> {
        self.commit_elements(0, size_of::<ThreadHeap>(), from, to)
    }

    /// Commits the entries of the slices from `from` to at least `to`, of `all`, where those before `from` are committed
    /// already. Returns where the committed entries end then.
    pub(super) fn commit_table(
        &self,
        from: usize,
        to: usize,
        all: usize,
        checks: bool,
    ) -> Result<usize, Errno> {
        let to = to.next_multiple_of(STEP).min(all);
        self.commit_elements(self.table, size_of::<Page>(), from, to)?;
        if checks {
            self.commit_elements(self.bits, BITS, from, to)?;
        }
        Ok(to)
    }

    /// Commits the elements `from..to`, of `size` bytes each, of an array at an offset.
    fn commit_elements(&self, offset: usize, size: usize, from: usize, to: usize) -> Result<(), Errno> {
        let page = sys::page_size();
        let from = offset + from * size / page * page;
        let to = offset + (to * size).next_multiple_of(page);
        let (start, len) = (self.start.as_ptr().wrapping_add(from), to - from);
        // SAFETY: a part of the range that this value owns.
        unsafe {
            sys::set_dumpable(start, len, true);
            sys::commit(start, len)
        }
    }
}

impl Drop for HeapMetadata {
    fn drop(&mut self) {
        // SAFETY: this value owns the range, and is dropped with the heap: no reference into the range exists any more.
        unsafe { sys::release(self.start, self.len) };
    }
}

const _: () = assert!(STEP * size_of::<Page>() == 64 << 10);
