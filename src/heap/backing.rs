//! The region that a heap stands on: addresses as offsets, growth, and giving back.

use super::HeapError;
use crate::admission::{OutOfMemory, Refusal, RefusedRequest};
use crate::grow::{GrowReason, grow};
use crate::region::{ControlBlock, Region};
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Relaxed, Release};

/// From so many bytes on, giving pages back is cheaper than writing to them.
const CLEARED_BY_PAGES: usize = 1 << 20;

/// Commits the bytes of a region below the offset `to`, of which `used` are in use: by request, with the region's
/// growth policy, and whoever SIGSEGV belongs to. `requested` is the size of the block that needs it.
///
/// # Errors
/// [`HeapError::OutOfMemory`] where the region may not grow that far.
#[inline]
pub(crate) fn commit(
    control: &'static ControlBlock,
    used: usize,
    to: usize,
    requested: usize,
) -> Result<(), HeapError> {
    // What is committed may go on beyond a limit, or behind a guard.
    if to <= control.frontier.get().min(control.usable_bytes()) {
        Ok(())
    } else {
        extend(control, used, to, requested)
    }
}

#[cold]
#[inline(never)]
fn extend(control: &'static ControlBlock, used: usize, to: usize, requested: usize) -> Result<(), HeapError> {
    let most = control.usable_bytes();
    let grown = if to > most {
        Err(Refusal::past_limit(to, most, control.requested_reserve()))
    } else {
        grow(control, used, to, GrowReason::Request)
    };
    // (Where the end is beyond every address, so is what would be taken.)
    let effective = if to == usize::MAX { requested } else { to.saturating_sub(used) };
    grown.map_err(|refusal| refused(control, used, effective, requested, refusal))
}

fn refused(
    control: &'static ControlBlock,
    used: usize,
    effective: usize,
    requested: usize,
    refusal: Refusal,
) -> HeapError {
    let request = RefusedRequest::Allocation { requested, effective };
    HeapError::OutOfMemory(OutOfMemory::new(control, request, used, refusal))
}

/// A region that nobody else has a reference to.
pub(crate) struct HeapBacking {
    base: NonNull<u8>,
    control: &'static ControlBlock,
    region: UnsafeCell<Region>,
}

// SAFETY: the region is both, and only `release` changes it, whose caller promises to be the only one.
unsafe impl Send for HeapBacking {}
// SAFETY: as above.
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

    /// The offset below which everything is committed: the frontier may be behind a guard.
    pub(crate) fn committed(&self) -> usize {
        self.control.frontier.get().min(self.control.usable_bytes())
    }

    /// The address at an offset within the region, with the provenance of all of it.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset <= self.control.reserved(), "an offset is in the region");
        // SAFETY: it stays in the region or at its end, which is no null.
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

    /// Whether an address is one of the region's.
    #[inline]
    pub(crate) fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.start()) < self.control.reserved()
    }

    /// [`commit`] in this region.
    #[inline]
    pub(crate) fn commit(&self, used: usize, to: usize, requested: usize) -> Result<(), HeapError> {
        commit(self.control, used, to, requested)
    }

    /// The refusal of a block that takes `effective` bytes, for which there is no room within the first `most`.
    #[cold]
    pub(crate) fn refuse<T>(
        &self,
        used: usize,
        effective: usize,
        most: usize,
        requested: usize,
    ) -> Result<T, HeapError> {
        let to = used.saturating_add(effective).max(most + 1);
        Err(refused(
            self.control,
            used,
            effective,
            requested,
            Refusal::past_limit(to, most, self.control.requested_reserve()),
        ))
    }

    /// Whether pages that were given back to the system are zero when they are used again.
    pub(crate) fn empties_to_zero(&self) -> bool {
        crate::sys::HAS_PROTECTION && !self.control.is_in_file() && !self.control.may_spill()
    }

    /// Makes `len` bytes zero; many of them by giving their pages back, which takes no memory.
    ///
    /// # Safety
    /// They are a block of the heap on this backing, whose contents nobody wants.
    pub(crate) unsafe fn clear(&self, start: NonNull<u8>, len: usize) {
        let page = crate::sys::page_size();
        let before = start.addr().get().wrapping_neg() % page;
        let whole = len.saturating_sub(before) / page * page;
        if whole < CLEARED_BY_PAGES || !self.empties_to_zero() {
            // SAFETY: the caller's promise.
            unsafe { start.write_bytes(0, len) };
            return;
        }
        // SAFETY: as above: three parts of it.
        unsafe {
            start.write_bytes(0, before);
            let pages = start.add(before);
            if crate::sys::purge(pages.as_ptr(), whole) {
                self.forget_presence(pages.addr().get().wrapping_sub(self.start()), whole);
            } else {
                pages.write_bytes(0, whole);
            }
            pages.add(whole).write_bytes(0, len - before - whole);
        }
    }

    /// Takes what was given back out of what the region believes to be present, which admission goes by.
    pub(crate) fn forget_presence(&self, offset: usize, bytes: usize) {
        self.control.resident_prefix.fetch_min(offset, Relaxed);
        let less = |seen: usize| Some(seen.saturating_sub(bytes));
        let _ = self.control.resident.fetch_update(Relaxed, Relaxed, less);
        self.control.trims.fetch_add(1, Release);
    }

    /// Gives the memory past the first `keep` bytes back to the system; returns how many bytes that were.
    ///
    /// # Safety
    /// Nobody else calls this or `commit` at the same time, and nothing refers to what is past `keep` any more.
    pub(crate) unsafe fn release(&self, keep: usize) -> usize {
        // SAFETY: the region is ours, and the caller's promise.
        unsafe { (*self.region.get()).trim(keep) }
    }
}
