//! Blocks that have slices of their own, and the resizing of all blocks.

use super::GeneralHeap;
use super::classes::{MAX_MEDIUM, SLICE, SLICE_SHIFT};
use super::page::LARGE_BLOCK;
use super::thread_heap::ThreadHeap;
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use core::ptr::NonNull;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// Allocates a block of whole slices. Returns with it how many bytes from its start may be nonzero, if the memory is
    /// anonymous.
    pub(super) fn allocate_large(
        &self,
        local: *mut ThreadHeap,
        size: usize,
        align: usize,
    ) -> Result<(NonNull<u8>, usize), HeapError> {
        // SAFETY: `local` is null or the calling thread's own thread heap, which lives as long as the heap.
        let local = unsafe { local.as_ref() };
        let run = self.allocate_run_or_collect(local, size.div_ceil(SLICE).max(1), align, size)?;
        // SAFETY: the run was claimed just now, and only this call knows it. Its address is not null: the origin is the address
        // of a mapping, and the run is at or above it.
        let (block, dirty) = unsafe {
            (*run).tag.set(0);
            (*run).start.set(self.slice_at(self.index_of(run)));
            (*run).kind.publish(LARGE_BLOCK);
            (NonNull::new_unchecked((*run).start.get()), (*run).dirty.get() as usize)
        };
        if self.checks {
            self.mark_live(block);
        }
        Ok((block, dirty << SLICE_SHIFT))
    }

    /// See [`PlacementPolicy::reallocate`](crate::heap::placement_policy::PlacementPolicy::reallocate).
    ///
    /// # Safety
    /// If `block` is a live block of this heap, it is no longer used.
    pub(super) unsafe fn resize(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let page = self.find(block)?;
        if self.checks && !self.is_marked_live(block) {
            return Err(HeapError::DoubleFree { address: block.addr().get() });
        }
        let usable = page.usable_size();
        let run = core::ptr::from_ref(page).cast_mut();
        if block.addr().get().is_multiple_of(align) {
            if page.kind.get() == LARGE_BLOCK {
                // A block that becomes small moves to a page of small blocks.
                if size > MAX_MEDIUM
                    // SAFETY: the run is one live block, and what is cut off is no longer used: this function's contract.
                    && unsafe { self.resize_run(run, size.div_ceil(SLICE), size) }
                {
                    return Ok(block);
                }
            } else if size <= usable && size >= usable / 2 {
                return Ok(block);
            }
        }
        let new = match self.allocate_block(size, align) {
            Ok(new) => new,
            // The block itself is long enough, if nothing else is to be had.
            Err(_) if size <= usable && block.addr().get().is_multiple_of(align) => {
                if page.kind.get() == LARGE_BLOCK {
                    // SAFETY: the run is one live block, and what is cut off is no longer used: this function's contract.
                    unsafe { self.resize_run(run, size.div_ceil(SLICE), size) };
                }
                return Ok(block);
            }
            Err(refused) => return Err(refused),
        };
        // SAFETY: `block` is live and has `usable` bytes; `new` is another live block and has at least `size`. `block` is no
        // longer used: this function's contract.
        unsafe {
            new.copy_from_nonoverlapping(block, usable.min(size));
            self.deallocate_block(block)?;
        }
        Ok(new)
    }
}
