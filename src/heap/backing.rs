//! The region that a heap stands on: addresses as offsets, commits, refusals, and what is returned to the system.

use super::HeapError;
use crate::admission::{OutOfMemory, Refusal, RefusedRequest, explain, explain_call};
use crate::grow::{GrowReason, grow};
use crate::region::{ControlBlock, Region};
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Errno};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Relaxed, Release};

/// From so many bytes on, purging pages is cheaper than writing zeros.
const MIN_PURGED_CLEAR: usize = 1 << 20;

/// A region that only the heap uses.
pub(crate) struct HeapBacking {
    base: NonNull<u8>,
    control: &'static ControlBlock,
    region: UnsafeCell<Region>,
}

// SAFETY: a `Region` is `Send` and `Sync`. Through the cell only `trim` changes it, whose contract excludes overlapping calls.
unsafe impl Send for HeapBacking {}
// SAFETY: a `Region` is `Send` and `Sync`. Through the cell only `trim` changes it, whose contract excludes overlapping calls.
unsafe impl Sync for HeapBacking {}

impl HeapBacking {
    pub(crate) fn new(region: Region) -> Self {
        HeapBacking { base: region.base(), control: region.control(), region: UnsafeCell::new(region) }
    }

    pub(crate) fn control(&self) -> &'static ControlBlock {
        self.control
    }

    /// The address of the first byte.
    #[inline]
    pub(crate) fn start(&self) -> usize {
        self.base.addr().get()
    }

    /// The offset below which everything is committed and usable: the frontier may be behind a limit or a guard.
    pub(crate) fn committed(&self) -> usize {
        self.control.frontier.get().min(self.control.usable_bytes())
    }

    /// The address at an offset within the region, with the provenance of the whole region.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset <= self.control.reserved(), "an offset is in the region");
        // SAFETY: callers pass offsets up to the reservation's length, so the address is in the region or its end.
        unsafe { self.base.add(offset) }
    }

    /// The offset of an address below `end`, which is the offset that the heap ends at.
    #[inline]
    pub(crate) fn offset(&self, block: NonNull<u8>, end: usize) -> Result<usize, HeapError> {
        let address = block.addr().get();
        let offset = address.wrapping_sub(self.start());
        if offset < end { Ok(offset) } else { Err(self.outside(address, end)) }
    }

    #[cold]
    fn outside(&self, address: usize, end: usize) -> HeapError {
        let start = self.start();
        if address < start {
            HeapError::BelowHeap { address, start }
        } else {
            HeapError::AboveHeap { address, end: start + end }
        }
    }

    /// Whether an address is in the region.
    #[inline]
    pub(crate) fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.start()) < self.control.reserved()
    }

    /// Commits the bytes below the offset `to`, of which `used` are in use: by request, with the region's growth policy, and
    /// without a signal handler. `requested` is the size of the block that needs it.
    ///
    /// # Errors
    /// [`HeapError::OutOfMemory`] if the region may not grow that far.
    #[inline]
    pub(crate) fn commit(&self, used: usize, to: usize, requested: usize) -> Result<(), HeapError> {
        if to <= self.committed() { Ok(()) } else { self.grow(used, to, requested) }
    }

    #[cold]
    #[inline(never)]
    fn grow(&self, used: usize, to: usize, requested: usize) -> Result<(), HeapError> {
        let max = self.control.usable_bytes();
        let grown = if to > max {
            Err(Refusal::past_limit(to, max, self.control.requested_reserve()))
        } else {
            grow(self.control, used, to, GrowReason::Request)
        };
        // (If the end is beyond every address, what the block would take is unknown.)
        let effective = if to == usize::MAX { requested } else { to.saturating_sub(used) };
        grown.map_err(|refusal| self.refused(used, effective, requested, refusal))
    }

    fn refused(&self, used: usize, effective: usize, requested: usize, refusal: Refusal) -> HeapError {
        let request = RefusedRequest::Allocation { requested, effective };
        HeapError::OutOfMemory(OutOfMemory::new(self.control, request, used, refusal))
    }

    /// Refuses a block that takes `effective` bytes, which do not fit into the first `max`.
    #[cold]
    pub(crate) fn refuse<T>(
        &self,
        used: usize,
        effective: usize,
        max: usize,
        requested: usize,
    ) -> Result<T, HeapError> {
        let to = used.saturating_add(effective).max(max + 1);
        let refusal = Refusal::past_limit(to, max, self.control.requested_reserve());
        Err(self.refused(used, effective, requested, refusal))
    }

    /// The error when the system refuses `bytes` of address space for the heap's metadata.
    #[cold]
    pub(crate) fn reserve_refused(&self, errno: Errno, bytes: usize) -> HeapError {
        self.refused(0, bytes, bytes, explain_call(errno, RefusedCall::Reserve(bytes)))
    }

    /// The error when the system refuses to commit the heap's metadata, for a block that takes `effective` bytes.
    #[cold]
    pub(crate) fn commit_refused(
        &self,
        errno: Errno,
        used: usize,
        effective: usize,
        requested: usize,
    ) -> HeapError {
        self.refused(used, effective, requested, explain(errno, effective))
    }

    /// Whether purged pages are zero when they are used again.
    pub(crate) fn purges_to_zero(&self) -> bool {
        sys::HAS_PROTECTION && !self.control.is_in_file() && !self.control.may_spill()
    }

    /// Makes `len` bytes zero: many of them by purging their pages, which takes no memory.
    ///
    /// # Safety
    /// They are in one block of this heap, which the caller owns.
    pub(crate) unsafe fn clear(&self, start: NonNull<u8>, len: usize) {
        let page = sys::page_size();
        let before = start.addr().get().wrapping_neg() % page;
        let whole = len.saturating_sub(before) / page * page;
        if whole < MIN_PURGED_CLEAR || !self.purges_to_zero() {
            // SAFETY: the caller owns these bytes: this function's contract.
            unsafe { start.write_bytes(0, len) };
            return;
        }
        // SAFETY: the three parts make up the `len` bytes, which the caller owns: this function's contract. The middle part is
        // whole pages, which are anonymous memory: `purges_to_zero`.
        unsafe {
            start.write_bytes(0, before);
            let pages = start.add(before);
            if sys::purge(pages.as_ptr(), whole) {
                self.forget_presence(pages.addr().get().wrapping_sub(self.start()), whole);
            } else {
                pages.write_bytes(0, whole);
            }
            pages.add(whole).write_bytes(0, len - before - whole);
        }
    }

    /// Subtracts purged bytes from what the region counts as present, which admission uses.
    pub(crate) fn forget_presence(&self, offset: usize, bytes: usize) {
        self.control.resident_prefix.fetch_min(offset, Relaxed);
        let less = |seen: usize| Some(seen.saturating_sub(bytes));
        let _ = self.control.resident.fetch_update(Relaxed, Relaxed, less);
        self.control.trims.fetch_add(1, Release);
    }

    /// Returns the memory past the first `keep` bytes to the system. Returns how many bytes that were.
    ///
    /// # Safety
    /// No other call of this or of [`commit`](Self::commit) overlaps with it, and the bytes past `keep` are in no live block.
    pub(crate) unsafe fn trim(&self, keep: usize) -> usize {
        // SAFETY: no other call uses the region mutably, and the bytes past `keep` are not in use: this function's contract.
        unsafe { (*self.region.get()).trim(keep) }
    }
}
