//! How slices are filled, freed, and reused.

use super::super::HeapError;
use super::super::backing::HeapBacking;
use super::marks::BlockMarks;
use super::slice_table::{SliceKind, SliceTable};
use crate::math::page::align_up_saturating;
use crate::policy::Bump;
use core::ptr::NonNull;

/// (In this order no two neighbours are always written together: see `StackState`.)
#[repr(C)]
pub(super) struct BumpState {
    pub(super) slices: SliceTable,
    pub(super) grain: usize,
    /// The slice that is being filled, its next position and its end, which are equal if there is none.
    pub(super) current: usize,
    pub(super) next: usize,
    pub(super) end: usize,
    /// Everything up to this position is known to be committed.
    committed: usize,
    /// Up to this position the fast path may place a block of the current slice: the minimum of `end` and `committed`.
    ready: usize,
    /// The start of the current slice and its marks, valid while `ready` is not 0.
    start: usize,
    marks: BlockMarks,
    /// The slices below this one were in use at some time.
    pub(super) top: usize,
    pub(super) is_open: bool,
    pub(super) free: usize,
    pub(super) live_blocks: usize,
    pub(super) peak_live_bytes: usize,
    pub(super) live_bytes: usize,
    /// For [`BlockMarks::begin_short`](super::marks::BlockMarks::begin_short).
    spare: [u64; 2],
}

/// In place of a slice: none.
pub(super) const NO_SLICE: usize = usize::MAX;

/// A live block: its position, its slice, and its length in bytes.
#[derive(Clone, Copy)]
pub(super) struct BumpBlock {
    pub(super) position: usize,
    pub(super) slice: usize,
    pub(super) len: usize,
    pub(super) is_large: bool,
}

/// Prefetches the cache line where the next block will start: it will be written to, and stores wait for each other.
#[inline(always)]
fn fetch(next: NonNull<u8>) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch is a hint, and does not fault at any address.
    unsafe {
        core::arch::x86_64::_mm_prefetch(next.as_ptr().cast(), core::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = next;
}

impl BumpState {
    pub(super) fn new(backing: &HeapBacking, options: Bump) -> Self {
        let slices = SliceTable::of(backing, options.slice, options.grain);
        BumpState {
            grain: options.grain,
            current: NO_SLICE,
            next: 0,
            end: 0,
            committed: 0,
            ready: 0,
            start: 0,
            marks: slices.marks_of_none(),
            top: slices.first,
            is_open: false,
            free: 0,
            live_blocks: 0,
            live_bytes: 0,
            peak_live_bytes: 0,
            spare: [0; 2],
            slices,
        }
    }

    /// Frees everything.
    pub(super) fn restart(&mut self) {
        *self = BumpState {
            current: NO_SLICE,
            next: 0,
            end: 0,
            ready: 0,
            top: self.slices.first,
            free: 0,
            live_blocks: 0,
            live_bytes: 0,
            peak_live_bytes: 0,
            ..*self
        };
    }

    /// The length of a small block of so many bytes.
    #[inline]
    fn rounded(&self, size: usize) -> usize {
        align_up_saturating(size, self.grain)
    }

    #[inline]
    fn is_small(&self, len: usize, align: usize) -> bool {
        len.max(align) <= self.slices.largest_small()
    }

    #[inline]
    pub(super) fn count(&mut self, before: usize, after: usize) {
        self.live_bytes = self.live_bytes - before + after;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }

    /// See [`BumpHeap`](super::BumpHeap::allocate_fast).
    #[inline]
    pub(super) fn allocate_fast(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        // (0 bytes wrap to more than there can be.)
        if align > self.grain || size.wrapping_sub(1) >= self.slices.largest_small() {
            return None;
        }
        let len = (size + (self.grain - 1)) & !(self.grain - 1);
        let (start, end) = (self.next, self.next + len);
        if end > self.ready {
            return None;
        }
        fetch(self.slices.at(end));
        let (first, grains) = (self.slices.grains(start - self.start), self.slices.grains(len));
        if grains <= 64 {
            self.marks.begin_short(first, grains, &mut self.spare);
        } else {
            self.marks.begin(first, first, first + grains);
        }
        self.slices.set_live(self.current, self.slices.live(self.current) + 1);
        self.next = end;
        self.live_blocks += 1;
        self.count(0, len);
        Some(self.slices.at(start))
    }

    /// See [`BumpHeap`](super::BumpHeap::deallocate_fast).
    #[inline]
    pub(super) fn deallocate_fast(&mut self, address: usize) -> bool {
        let Some(block) = self.find_small(address) else { return false };
        let slices = self.slices;
        let live = slices.live(block.slice) - 1;
        if live == 0 && block.slice != self.current {
            return false;
        }
        self.live_blocks -= 1;
        self.live_bytes -= block.len;
        slices.set_live(block.slice, live);
        // (The start stays marked, so that a double free is detected.)
        slices.marks(block.slice).end(slices.grain(block.position));
        if live == 0 {
            self.next = slices.data(self.current);
        }
        true
    }

    #[inline(never)]
    pub(super) fn allocate(
        &mut self,
        backing: &HeapBacking,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let len = self.rounded(size);
        if !self.is_small(len, align) {
            return self.allocate_large(backing, size, align);
        }
        let mut start = align_up_saturating(self.next, align.max(self.grain));
        if start + len > self.end {
            start = self.refill(backing, size, len, align)?;
        }
        if start + len > self.committed
            && let Err(refused) = self.commit(backing, self.next, start + len, size)
        {
            // A free slice needs no more memory. (The first refusal is the one that has the cause.)
            if self.free == 0 {
                return Err(refused);
            }
            start = self.refill(backing, size, len, align).map_err(|_| refused)?;
        }
        let end = start + len;
        self.ready = self.end.min(self.committed);
        let marks = self.slices.marks(self.current);
        (self.start, self.marks) = (self.slices.start_of(self.current), marks);
        let (before, first) = (self.slices.grain(self.next), self.slices.grain(start));
        marks.begin(before, first, first + self.slices.grains(len));
        self.slices.set_live(self.current, self.slices.live(self.current) + 1);
        self.next = end;
        self.live_blocks += 1;
        self.count(0, len);
        Ok(self.slices.at(start))
    }

    /// Commits the memory up to the position `to`; `used` is where the memory in use ends.
    #[cold]
    #[inline(never)]
    fn commit(
        &mut self,
        backing: &HeapBacking,
        used: usize,
        to: usize,
        size: usize,
    ) -> Result<(), HeapError> {
        backing.commit(self.slices.offset(used), self.slices.offset(to), size)?;
        self.committed = self.slices.position(backing.at(backing.committed()).addr().get());
        Ok(())
    }

    /// Begins another slice. Returns where a block starts in it.
    #[cold]
    #[inline(never)]
    fn refill(
        &mut self,
        backing: &HeapBacking,
        size: usize,
        len: usize,
        align: usize,
    ) -> Result<usize, HeapError> {
        self.open(backing, size)?;
        let slices = self.slices;
        let slice = slices.next(slices.first, self.top, true);
        // (The last slice may not be full.)
        let is_last = self.current != NO_SLICE && self.current + 1 == self.top;
        let used = if is_last { self.next } else { self.used() };
        let used = slices.offset(used);
        let start = align_up_saturating(slices.data(slice), align.max(self.grain));
        // (Only the last slice of the region may be too short.)
        if slice >= slices.count || start + len > slices.end_of(slice) {
            return backing.refuse(used, len, slices.offset(slices.end()), size);
        }
        backing.commit(used, slices.offset(start + len), size)?;
        if slice == self.top {
            slices.set_kind(slice, SliceKind::Fresh);
            self.top += 1;
        } else {
            self.free -= 1;
        }
        slices.set_free(slice, false);
        self.retire_current();
        if !matches!(slices.kind(slice), SliceKind::Blocks(_)) {
            slices.marks(slice).clear();
        }
        slices.set_kind(slice, SliceKind::Blocks(0));
        slices.set_live(slice, 0);
        (self.current, self.next, self.end) = (slice, slices.data(slice), slices.end_of(slice));
        Ok(start)
    }

    /// Commits the table, once.
    pub(super) fn open(&mut self, backing: &HeapBacking, size: usize) -> Result<(), HeapError> {
        if !self.is_open {
            self.slices.open(backing, size)?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Where the slices end that were ever in use.
    pub(super) fn used(&self) -> usize {
        self.slices.start_of(self.top).min(self.slices.end()).max(self.slices.low())
    }

    /// Stops filling the current slice.
    fn retire_current(&mut self) {
        if self.current == NO_SLICE {
            return;
        }
        let end = self.next - self.slices.start_of(self.current);
        self.slices.set_kind(self.current, SliceKind::Blocks(end));
        if self.slices.live(self.current) == 0 {
            self.free_slices(self.current, 1);
        }
        (self.current, self.next, self.end, self.ready) = (NO_SLICE, 0, 0, 0);
    }

    pub(super) fn free_slices(&mut self, slice: usize, count: usize) {
        (slice..slice + count).for_each(|slice| self.slices.set_free(slice, true));
        self.free += count;
    }

    #[inline]
    pub(super) fn free(&mut self, block: BumpBlock) {
        let slices = self.slices;
        self.live_blocks -= 1;
        self.count(block.len, 0);
        let live = slices.live(block.slice) - 1;
        slices.set_live(block.slice, live);
        if block.is_large {
            self.free_slices(block.slice, block.len.div_ceil(slices.size()));
            return;
        }
        // (The start stays marked, so that a double free is detected.)
        slices.marks(block.slice).end(slices.grain(block.position));
        if live > 0 {
            return;
        }
        if block.slice == self.current {
            self.next = slices.data(self.current);
        } else {
            self.free_slices(block.slice, 1);
        }
    }

    /// Changes the length of a live block without moving it. Returns whether that was possible.
    pub(super) fn resize(
        &mut self,
        backing: &HeapBacking,
        block: BumpBlock,
        size: usize,
    ) -> Result<bool, HeapError> {
        let slices = self.slices;
        if block.is_large {
            return self.resize_large(backing, block, size);
        }
        let len = self.rounded(size);
        let (old_end, end) = (block.position + block.len, block.position.saturating_add(len));
        if block.slice != self.current || old_end != self.next || end > self.end {
            return Ok(len <= block.len);
        }
        if end > old_end {
            backing.commit(slices.offset(old_end), slices.offset(end), size)?;
            slices
                .marks(block.slice)
                .erase(slices.grain(block.position) + 1, slices.grain(block.position) + slices.grains(len));
        }
        self.next = end;
        self.count(block.len, len);
        Ok(true)
    }

    /// Lowers the top below the free slices there. Returns where the memory in use ends, in bytes from the region's start.
    pub(super) fn lower(&mut self) -> usize {
        if self.current != NO_SLICE && self.slices.live(self.current) == 0 {
            self.retire_current();
        }
        // (The caller returns memory to the system.)
        (self.committed, self.ready) = (0, 0);
        while self.top > self.slices.first && self.slices.is_free(self.top - 1) {
            self.top -= 1;
            self.free -= 1;
        }
        if self.is_open { self.slices.offset(self.used()) } else { 0 }
    }
}
