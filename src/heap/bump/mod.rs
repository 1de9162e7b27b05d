//! [`HeapPolicy::Bump`](super::HeapPolicy::Bump): a bump pointer through slices, which are reused as a whole.

mod check;
mod large;
mod marks;
mod slice_table;
mod state;

use super::backing::HeapBacking;
use super::placement_policy::PlacementPolicy;
use super::{HeapError, HeapStats};
use crate::policy::Bump;
use crate::region::Region;
use crate::sys::{SpinLock, write_line};
use core::ptr::NonNull;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use state::BumpState;

pub(crate) struct BumpHeap {
    backing: HeapBacking,
    state: SpinLock<BumpState>,
    /// Whether the next refusal is to be written to standard error.
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
        let state = BumpState::new(&backing, options);
        // SAFETY: `is_single` is set by `Bump::single_threaded`, whose contract is that no two calls overlap in time.
        let state = unsafe { SpinLock::new_unless(options.is_single, state) };
        Ok(BumpHeap { backing, state, diagnoses: AtomicBool::new(options.diagnoses) })
    }

    /// Allocates a block if the current slice has committed space for it, and `align`, a power of two, is at most a grain: the
    /// fast path of an allocation.
    #[inline]
    pub(crate) fn allocate_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        self.state.try_lock()?.allocate_fast(size, align)
    }

    /// Frees a block if its slice stays in use: the fast path of a free. Returns whether it did.
    #[inline]
    pub(crate) fn deallocate_fast(&self, block: NonNull<u8>) -> bool {
        self.state.try_lock().is_some_and(|mut state| state.deallocate_fast(block.addr().get()))
    }

    pub(crate) fn reset(&mut self) {
        self.state.lock().restart();
    }

    /// Writes one line about the first refusal, if the options ask for it.
    #[cold]
    fn diagnosed(&self, error: HeapError) -> HeapError {
        if matches!(error, HeapError::OutOfMemory(_)) && self.diagnoses.swap(false, Relaxed) {
            write_line(format_args!("{error}"));
        }
        error
    }
}

impl PlacementPolicy for BumpHeap {
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.state.lock().allocate(&self.backing, size, align).map_err(|error| self.diagnosed(error))
    }

    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let state = &mut *self.state.lock();
        let found = state.find(block.addr().get())?;
        state.free(found);
        Ok(())
    }

    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let state = &mut *self.state.lock();
        let found = state.find(block.addr().get())?;
        let here = state.slices.at(found.position);
        if block.addr().get().is_multiple_of(align)
            && state.resize(&self.backing, found, size).map_err(|error| self.diagnosed(error))?
        {
            return Ok(here);
        }
        let moved = state.allocate(&self.backing, size, align).map_err(|error| self.diagnosed(error))?;
        // SAFETY: both are live blocks; the old one has `found.len` bytes, the new one at least `size`.
        unsafe { moved.copy_from_nonoverlapping(here, found.len.min(size)) };
        state.free(found);
        Ok(moved)
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        Ok(self.state.lock().find(block.addr().get())?.len)
    }

    fn backing(&self) -> &HeapBacking {
        &self.backing
    }

    fn check(&self) -> Result<(), HeapError> {
        self.state.lock().check()
    }

    fn stats(&self) -> HeapStats {
        self.state.lock().stats(&self.backing)
    }

    fn trim(&self, keep: usize) -> usize {
        let state = &mut *self.state.lock();
        let used = state.lower();
        // SAFETY: no live block is above `used`, and the lock excludes other calls.
        unsafe { self.backing.trim(used.saturating_add(keep)) }
    }

    fn is_locked(&self) -> bool {
        self.state.is_held()
    }

    fn before_fork(&self) {
        // SAFETY: no call of this heap has two guards at a time.
        unsafe { self.state.lock_for_fork() };
    }

    unsafe fn after_fork(&self, _is_child: bool) {
        // SAFETY: this thread, or the one it is a copy of, called `before_fork`: this function's contract.
        unsafe { self.state.unlock_after_fork() };
    }
}
