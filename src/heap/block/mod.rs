//! [`HeapPolicy::Blocks`](super::HeapPolicy::Blocks): one run of blocks with boundary tags, the free ones in a tree.

mod area;
mod block_memory;
mod check;
mod free_tree;

use super::backing::HeapBacking;
use super::placement_policy::PlacementPolicy;
use super::{HeapError, HeapStats};
use crate::policy::Blocks;
use crate::region::Region;
use crate::sys::SpinLock;
use area::BlockArea;
use block_memory::{BlockTag, UNIT};
use core::ptr::NonNull;

pub(crate) struct BlockHeap {
    backing: HeapBacking,
    area: SpinLock<BlockArea>,
}

impl BlockHeap {
    pub(crate) fn over(region: Region, options: Blocks) -> Result<Self, HeapError> {
        let area = BlockArea::new(region.base(), options);
        // SAFETY: `is_single` is set by `Blocks::single_threaded`, whose contract is that no two calls overlap in time.
        let area = unsafe { SpinLock::new_unless(options.is_single, area) };
        Ok(BlockHeap { backing: HeapBacking::new(region), area })
    }

    pub(crate) fn reset(&mut self) {
        let base = self.backing.at(0);
        let mut area = self.area.lock();
        *area = BlockArea::new(base, area.options());
    }
}

impl PlacementPolicy for BlockHeap {
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.area.lock().allocate(&self.backing, size, align)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let area = &mut *self.area.lock();
        let (unit, tag) = area.find(&self.backing, block)?;
        area.free(unit, tag)?;
        area.shrink(&self.backing);
        Ok(())
    }

    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let area = &mut *self.area.lock();
        let (unit, tag) = area.find(&self.backing, block)?;
        if block.addr().get().is_multiple_of(align) && area.resize(&self.backing, unit, tag, size)? {
            return Ok(area.memory.block(unit));
        }
        let old = usable(tag);
        let moved = area.allocate(&self.backing, size, align)?;
        // SAFETY: both are live blocks; the old one has `old` usable bytes, the new one at least `size`.
        unsafe { moved.copy_from_nonoverlapping(area.memory.block(unit), old.min(size)) };
        // (The block before it may be live by now.)
        let tag = area.memory.expect(unit)?;
        area.free(unit, tag)?;
        area.shrink(&self.backing);
        Ok(moved)
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        let area = self.area.lock();
        Ok(usable(area.find(&self.backing, block)?.1))
    }

    fn backing(&self) -> &HeapBacking {
        &self.backing
    }

    fn check(&self) -> Result<(), HeapError> {
        self.area.lock().check()
    }

    fn stats(&self) -> HeapStats {
        self.area.lock().stats()
    }

    fn trim(&self, keep: usize) -> usize {
        self.area.lock().trim(&self.backing, keep)
    }

    fn is_locked(&self) -> bool {
        self.area.is_held()
    }

    fn before_fork(&self) {
        // SAFETY: no call of this heap has two guards at a time.
        unsafe { self.area.lock_for_fork() };
    }

    unsafe fn after_fork(&self, _is_child: bool) {
        // SAFETY: this thread, or the one it is a copy of, called `before_fork`: this function's contract.
        unsafe { self.area.unlock_after_fork() };
    }
}

/// The usable bytes of a block.
#[inline]
fn usable(tag: BlockTag) -> usize {
    (tag.len as usize - 1) * UNIT
}
