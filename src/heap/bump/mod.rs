//! [`HeapPolicy::Bump`](super::HeapPolicy::Bump): blocks bumped upwards through slices, which are used again as a whole.

mod check;
mod marks;
mod slices;
mod state;

use super::backing::HeapBacking;
use super::block_allocator::BlockAllocator;
use super::{HeapError, HeapStats};
use crate::heap::options::Bump;
use crate::region::Region;
use crate::sys::{SpinLock, write_line};
use core::ptr::NonNull;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use state::BumpState;

pub(crate) struct BumpHeap {
    backing: HeapBacking,
    fill: SpinLock<BumpState>,
    /// Whether a refusal is still to be written about.
    diagnoses: AtomicBool,
}

impl BumpHeap {
    pub(crate) fn over(region: Region, options: Bump) -> Result<Self, HeapError> {
        if !matches!(options.grain, 8 | 16) {
            return Err(HeapError::Option {
                expected: "grain of a bump heap: 8 or 16 bytes",
                value: options.grain,
            });
        }
        if !options.slice.is_power_of_two() || !(64 << 10..=1 << 30).contains(&options.slice) {
            let expected = "slice of a bump heap: a power of two from 64 KiB to 1 GiB";
            return Err(HeapError::Option { expected, value: options.slice });
        }
        let backing = HeapBacking::new(region);
        let fill = BumpState::new(&backing, options);
        // SAFETY: whoever chose it promised that no two calls overlap.
        let fill = unsafe { SpinLock::new_unless(options.is_single, fill) };
        Ok(BumpHeap { backing, fill, diagnoses: AtomicBool::new(options.diagnoses) })
    }

    /// A block for `size` bytes if the slice that is being filled has room for it that is committed, and the alignment,
    /// which is a power of two, is no wider than a grain: the fast path of an allocation.
    #[inline]
    pub(crate) fn allocate_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        self.fill.try_lock()?.allocate_fast(size, align)
    }

    /// Takes a block back if its slice stays as it is, and returns whether it did: the fast path of a free.
    #[inline]
    pub(crate) fn deallocate_fast(&self, block: NonNull<u8>) -> bool {
        self.fill.try_lock().is_some_and(|mut fill| fill.deallocate_fast(block.addr().get()))
    }

    pub(crate) fn reset(&mut self) {
        self.fill.lock().restart();
    }

    /// Writes one line about the first refusal, where that was asked for.
    #[cold]
    fn told(&self, error: HeapError) -> HeapError {
        if matches!(error, HeapError::OutOfMemory(_)) && self.diagnoses.swap(false, Relaxed) {
            write_line(format_args!("{error}"));
        }
        error
    }
}

impl BlockAllocator for BumpHeap {
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.fill.lock().allocate(&self.backing, size, align).map_err(|error| self.told(error))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let fill = &mut *self.fill.lock();
        let found = fill.find(block.addr().get())?;
        fill.free(found);
        Ok(())
    }

    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let fill = &mut *self.fill.lock();
        let found = fill.find(block.addr().get())?;
        let here = fill.slices.at(found.position);
        if block.addr().get().is_multiple_of(align)
            && fill.resize(&self.backing, found, size).map_err(|error| self.told(error))?
        {
            return Ok(here);
        }
        let moved = fill.allocate(&self.backing, size, align).map_err(|error| self.told(error))?;
        // SAFETY: both are live blocks, at least as long as what is copied.
        unsafe { moved.copy_from_nonoverlapping(here, found.len.min(size)) };
        fill.free(found);
        Ok(moved)
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        Ok(self.fill.lock().find(block.addr().get())?.len)
    }

    fn backing(&self) -> &HeapBacking {
        &self.backing
    }

    fn check(&self) -> Result<(), HeapError> {
        self.fill.lock().check()
    }

    fn stats(&self) -> HeapStats {
        self.fill.lock().stats(&self.backing)
    }

    fn trim(&self, keep: usize) -> usize {
        let fill = &mut *self.fill.lock();
        let used = fill.lower();
        // SAFETY: nothing is in use above it, and nobody else is here.
        unsafe { self.backing.trim(used.saturating_add(keep)) }
    }

    fn is_locked(&self) -> bool {
        self.fill.is_held()
    }

    fn before_fork(&self) {
        // SAFETY: every call has one guard at a time.
        unsafe { self.fill.lock_for_fork() };
    }

    unsafe fn after_fork(&self, _is_child: bool) {
        // SAFETY: the caller's promise.
        unsafe { self.fill.unlock_after_fork() };
    }
}
