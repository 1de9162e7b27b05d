//! Filling slices, emptying them, and finding them again.

use super::super::HeapError;
use super::super::backing::HeapBacking;
use super::marks::BlockMarks;
use super::slices::{PAGE, SliceKind, SliceTable};
use crate::heap::options::Bump;
use crate::math::page::align_up_saturating;
use core::ptr::NonNull;

/// (In this order no two neighbours are always changed together: see the stack's.)
#[repr(C)]
pub(super) struct BumpState {
    pub(super) slices: SliceTable,
    pub(super) grain: usize,
    /// The slice that is being filled, from here to there; where there is none they are equal.
    pub(super) current: usize,
    pub(super) next: usize,
    pub(super) end: usize,
    /// Up to here everything is known to be committed.
    committed: usize,
    /// Up to here a block of the current slice may reach without more ado: the smaller of both.
    ready: usize,
    /// Where the current slice starts, and its marks; for as long as anything is `ready`.
    start: usize,
    marks: BlockMarks,
    /// The slices from the first one up to this one were in use at some time.
    pub(super) top: usize,
    pub(super) is_open: bool,
    pub(super) free: usize,
    pub(super) live_blocks: usize,
    pub(super) peak_live_bytes: usize,
    pub(super) live_bytes: usize,
    /// For [`BlockMarks::begin_short`](super::marks::BlockMarks::begin_short).
    spare: [u64; 2],
}

/// No slice.
pub(super) const NO_SLICE: usize = usize::MAX;

/// A live block: where it is, its slice, and its length in bytes.
#[derive(Clone, Copy)]
pub(super) struct BumpBlock {
    pub(super) position: usize,
    pub(super) slice: usize,
    pub(super) len: usize,
    pub(super) is_large: bool,
}

/// Asks for the line that the next block will start in: it is going to be written to, and stores wait for each other.
#[inline(always)]
fn fetch(next: NonNull<u8>) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, which faults nowhere.
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

    /// Everything is free, as in the beginning.
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

    /// What a block of so many bytes takes.
    #[inline]
    fn rounded(&self, size: usize) -> usize {
        align_up_saturating(size, self.grain)
    }

    #[inline]
    fn is_small(&self, len: usize, align: usize) -> bool {
        len.max(align) <= self.slices.largest_small()
    }

    #[inline]
    fn count(&mut self, before: usize, after: usize) {
        self.live_bytes = self.live_bytes - before + after;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }

    /// See [`BumpHeap`](super::BumpHeap::allocate_fast).
    #[inline]
    pub(super) fn allocate_fast(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        // (No bytes at all wrap to more than there can be.)
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
        // The start stays marked, should the same block be freed once more.
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
            // What was used before and is free needs no more memory. (The first refusal is the one that says why.)
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

    /// Commits the memory up to a position, of which that up to `used` is in use.
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

    /// Begins another slice; where a block starts in it.
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
        // (The last slice may not have been full.)
        let is_last = self.current != NO_SLICE && self.current + 1 == self.top;
        let used = if is_last { self.next } else { self.used() };
        let used = slices.offset(used);
        let start = align_up_saturating(slices.data(slice), align.max(self.grain));
        // (Only the last slice may be too short.)
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
        self.leave();
        if !matches!(slices.kind(slice), SliceKind::Blocks(_)) {
            slices.marks(slice).clear();
        }
        slices.set_kind(slice, SliceKind::Blocks(0));
        slices.set_live(slice, 0);
        (self.current, self.next, self.end) = (slice, slices.data(slice), slices.end_of(slice));
        Ok(start)
    }

    /// Commits the table, once.
    fn open(&mut self, backing: &HeapBacking, size: usize) -> Result<(), HeapError> {
        if !self.is_open {
            self.slices.open(backing, size)?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Where the last slice that was ever in use ends.
    pub(super) fn used(&self) -> usize {
        self.slices.start_of(self.top).min(self.slices.end()).max(self.slices.low())
    }

    /// Fills the current slice no further.
    fn leave(&mut self) {
        if self.current == NO_SLICE {
            return;
        }
        let end = self.next - self.slices.start_of(self.current);
        self.slices.set_kind(self.current, SliceKind::Blocks(end));
        if self.slices.live(self.current) == 0 {
            self.give_back(self.current, 1);
        }
        (self.current, self.next, self.end, self.ready) = (NO_SLICE, 0, 0, 0);
    }

    fn give_back(&mut self, slice: usize, count: usize) {
        (slice..slice + count).for_each(|slice| self.slices.set_free(slice, true));
        self.free += count;
    }

    fn allocate_large(
        &mut self,
        backing: &HeapBacking,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        self.open(backing, size)?;
        let slices = self.slices;
        let pages = size.div_ceil(PAGE);
        let count = (pages * PAGE).div_ceil(slices.size());
        let slice = self.find_run(count, align);
        let start = slices.start_of(slice);
        let end = start.saturating_add(pages * PAGE);
        let used = slices.offset(self.used());
        if pages > SliceTable::MOST_PAGES || slice >= slices.count || end > slices.end() {
            return backing.refuse(used, pages * PAGE, slices.offset(slices.end()), size);
        }
        backing.commit(used.min(slices.offset(start)), slices.offset(end), size)?;
        self.take(slice, count);
        slices.set_live(slice, 1);
        slices.set_kind(slice, SliceKind::Large(pages));
        (1..count).for_each(|back| slices.set_kind(slice + back, SliceKind::Inner(back)));
        self.live_blocks += 1;
        self.count(0, pages * PAGE);
        Ok(slices.at(start))
    }

    /// The first slice of `count` free ones, or of those that nothing was ever in.
    fn find_run(&self, count: usize, align: usize) -> usize {
        let slices = &self.slices;
        let mut slice = slices.aligned(slices.first, align);
        while slice < self.top {
            let end = slices.next(slice, self.top, false);
            if end - slice >= count || end == self.top {
                return slice;
            }
            slice = slices.aligned(slices.next(end, self.top, true), align);
        }
        slice
    }

    /// Takes free slices, or such that nothing was ever in; what is left out below them is free.
    fn take(&mut self, slice: usize, count: usize) {
        while self.top < slice + count {
            self.slices.set_kind(self.top, SliceKind::Fresh);
            self.slices.set_live(self.top, 0);
            self.give_back(self.top, 1);
            self.top += 1;
        }
        (slice..slice + count).for_each(|slice| self.slices.set_free(slice, false));
        self.free -= count;
    }

    #[inline]
    pub(super) fn free(&mut self, block: BumpBlock) {
        let slices = self.slices;
        self.live_blocks -= 1;
        self.count(block.len, 0);
        let live = slices.live(block.slice) - 1;
        slices.set_live(block.slice, live);
        if block.is_large {
            self.give_back(block.slice, block.len.div_ceil(slices.size()));
            return;
        }
        // The start stays marked, should the same block be freed once more.
        slices.marks(block.slice).end(slices.grain(block.position));
        if live > 0 {
            return;
        }
        if block.slice == self.current {
            self.next = slices.data(self.current);
        } else {
            self.give_back(block.slice, 1);
        }
    }

    /// Makes a live block as long as `size` bytes need, where it is; whether that was possible.
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

    fn resize_large(
        &mut self,
        backing: &HeapBacking,
        block: BumpBlock,
        size: usize,
    ) -> Result<bool, HeapError> {
        let slices = self.slices;
        let pages = size.div_ceil(PAGE);
        let (old, new) = (block.len.div_ceil(slices.size()), (pages * PAGE).div_ceil(slices.size()));
        let behind = block.slice + old;
        let end = block.position.saturating_add(pages * PAGE);
        if pages > SliceTable::MOST_PAGES || end > slices.end() {
            return Ok(false);
        }
        let known = self.top.min(block.slice + new);
        if new > old && slices.next(behind, known, false) < known {
            return Ok(false);
        }
        backing.commit(slices.offset(block.position + block.len), slices.offset(end), size)?;
        if new > old {
            self.take(behind, new - old);
            (old..new).for_each(|back| slices.set_kind(block.slice + back, SliceKind::Inner(back)));
        } else if new < old {
            self.give_back(block.slice + new, old - new);
        }
        slices.set_kind(block.slice, SliceKind::Large(pages));
        self.count(block.len, pages * PAGE);
        Ok(true)
    }

    /// Gives free slices at the top up; where what is in use ends, in bytes from the region's first.
    pub(super) fn lower(&mut self) -> usize {
        if self.current != NO_SLICE && self.slices.live(self.current) == 0 {
            self.leave();
        }
        // (Whoever asks gives memory back.)
        (self.committed, self.ready) = (0, 0);
        while self.top > self.slices.first && self.slices.is_free(self.top - 1) {
            self.top -= 1;
            self.free -= 1;
        }
        if self.is_open { self.slices.offset(self.used()) } else { 0 }
    }
}
