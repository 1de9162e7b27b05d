//! Blocks that have slices of their own.

use super::slice_table::{PAGE, SliceKind, SliceTable};
use super::state::{BumpBlock, BumpState};
use crate::heap::HeapError;
use crate::heap::backing::HeapBacking;
use core::ptr::NonNull;

impl BumpState {
    pub(super) fn allocate_large(
        &mut self,
        backing: &HeapBacking,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        self.open(backing, size)?;
        let slices = self.slices;
        let pages = size.div_ceil(PAGE);
        let count = (pages * PAGE).div_ceil(slices.size());
        let slice = self.find_slices(count, align);
        let start = slices.start_of(slice);
        let end = start.saturating_add(pages * PAGE);
        let used = slices.offset(self.used());
        if pages > SliceTable::MAX_PAGES || slice >= slices.count || end > slices.end() {
            return backing.refuse(used, pages * PAGE, slices.offset(slices.end()), size);
        }
        backing.commit(used.min(slices.offset(start)), slices.offset(end), size)?;
        self.claim(slice, count);
        slices.set_live(slice, 1);
        slices.set_kind(slice, SliceKind::Large(pages));
        (1..count).for_each(|back| slices.set_kind(slice + back, SliceKind::Inner(back)));
        self.live_blocks += 1;
        self.count(0, pages * PAGE);
        Ok(slices.at(start))
    }

    /// The first of `count` slices in a row that are free or were never used.
    fn find_slices(&self, count: usize, align: usize) -> usize {
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

    /// Takes slices into use that are free or were never used. Slices below them that were never used become free.
    fn claim(&mut self, slice: usize, count: usize) {
        while self.top < slice + count {
            self.slices.set_kind(self.top, SliceKind::Fresh);
            self.slices.set_live(self.top, 0);
            self.free_slices(self.top, 1);
            self.top += 1;
        }
        (slice..slice + count).for_each(|slice| self.slices.set_free(slice, false));
        self.free -= count;
    }

    pub(super) fn resize_large(
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
        if pages > SliceTable::MAX_PAGES || end > slices.end() {
            return Ok(false);
        }
        let known = self.top.min(block.slice + new);
        if new > old && slices.next(behind, known, false) < known {
            return Ok(false);
        }
        backing.commit(slices.offset(block.position + block.len), slices.offset(end), size)?;
        if new > old {
            self.claim(behind, new - old);
            (old..new).for_each(|back| slices.set_kind(block.slice + back, SliceKind::Inner(back)));
        } else if new < old {
            self.free_slices(block.slice + new, old - new);
        }
        slices.set_kind(block.slice, SliceKind::Large(pages));
        self.count(block.len, pages * PAGE);
        Ok(true)
    }
}
