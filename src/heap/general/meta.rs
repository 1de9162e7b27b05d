//! A range of addresses beside the region, for what is kept about it: the threads' entries, the table of slices, and, for
//! a heap that checks, a bit for every place where a block can start.
//!
//! Each of the three is committed from its beginning as it is needed. What is committed is zero and stays.

use super::classes::{GRAIN, SLICE};
use super::page::Page;
use super::thread_heap::ThreadHeap;
use crate::sys::{self, Errno, Protection};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;

/// How many threads at once have an entry of their own; the first entry is everybody else's.
pub(super) const MAX_THREAD_HEAPS: usize = 1024;

/// The slices whose entries are committed together: 64 KiB of table for 32 MiB of region.
const STEP: usize = 512;

/// See the module.
pub(super) struct HeapMetadata {
    start: NonNull<u8>,
    len: usize,
    table: usize,
    bits: usize,
}

// SAFETY: a range of memory; what is in it are atomics.
unsafe impl Send for HeapMetadata {}
// SAFETY: as above.
unsafe impl Sync for HeapMetadata {}

/// The bytes of bits that a slice has.
const BITS: usize = SLICE / GRAIN / 8;

fn up_to(unit: usize, bytes: usize) -> usize {
    bytes.next_multiple_of(unit)
}

impl HeapMetadata {
    /// Where the table and the bits begin, and where they end.
    fn places(slices: usize, checks: bool) -> (usize, usize, usize) {
        let page = sys::page_size();
        let table = up_to(page, MAX_THREAD_HEAPS * size_of::<ThreadHeap>());
        let bits = table + up_to(page, slices * size_of::<Page>());
        let len = bits + if checks { up_to(page, slices * BITS) } else { 0 };
        (table, bits, len)
    }

    /// The bytes that a heap of so many slices reserves.
    pub(super) fn bytes(slices: usize, checks: bool) -> usize {
        Self::places(slices, checks).2
    }

    /// Reserves what a heap of so many slices needs; `checks` is whether it has bits.
    pub(super) fn reserve(slices: usize, checks: bool) -> Result<Self, Errno> {
        let (table, bits, len) = Self::places(slices, checks);
        let start = sys::reserve(len, Protection::None)?;
        // SAFETY: the whole range is ours, and new.
        unsafe {
            sys::set_dumpable(start.as_ptr(), len, false);
            sys::set_name(start, len, c"highwater:heap table");
        }
        Ok(HeapMetadata { start, len, table, bits })
    }

    pub(super) fn locals(&self) -> *mut ThreadHeap {
        self.start.as_ptr().cast()
    }

    pub(super) fn table(&self) -> *mut Page {
        self.start.as_ptr().wrapping_add(self.table).cast()
    }

    pub(super) fn bits(&self) -> *const AtomicU64 {
        self.start.as_ptr().wrapping_add(self.bits).cast()
    }

    /// Commits the entries of the first `count` threads.
    pub(super) fn commit_locals(&self, from: usize, count: usize) -> Result<(), Errno> {
        let page = sys::page_size();
        let from = from * size_of::<ThreadHeap>() / page * page;
        self.commit(from, up_to(page, count * size_of::<ThreadHeap>()))
    }

    /// Commits the table from slice `from` to at least slice `to`, of `all`; up to where it is committed then.
    pub(super) fn commit_table(
        &self,
        from: usize,
        to: usize,
        all: usize,
        checks: bool,
    ) -> Result<usize, Errno> {
        let page = sys::page_size();
        let to = up_to(STEP, to).min(all);
        let part =
            |at: usize, size: usize| self.commit(at + from * size / page * page, at + up_to(page, to * size));
        part(self.table, size_of::<Page>())?;
        if checks {
            part(self.bits, BITS)?;
        }
        Ok(to)
    }

    fn commit(&self, from: usize, to: usize) -> Result<(), Errno> {
        let (start, len) = (self.start.as_ptr().wrapping_add(from), to - from);
        // SAFETY: a part of our own range.
        unsafe {
            sys::set_dumpable(start, len, true);
            sys::commit(start, len)
        }
    }
}

impl Drop for HeapMetadata {
    fn drop(&mut self) {
        // SAFETY: the heap is gone, and nobody else knows of the range.
        unsafe { sys::release(self.start, self.len) };
    }
}

const _: () = assert!(STEP * size_of::<Page>() == 64 << 10);
