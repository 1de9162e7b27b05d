//! The rest of a region in a file: from memory that ran out to a disk, in place.

use super::border::Rest;
#[cfg(highwater_portable)]
use super::mapping::Mapping;
use super::{ControlBlock, Region};
use crate::sys::{self, Errno};
use core::sync::atomic::Ordering::Relaxed;

/// What came of the wish to spill.
pub(crate) enum Spilled {
    /// The rest lives in the file: ask again.
    Yes,
    /// Another thread is at it: touch again.
    Pending,
    /// There is no file, or it cannot be mapped.
    No,
}

impl ControlBlock {
    /// Whether the region has a file to spill to, in this process.
    pub(crate) fn may_spill(&self) -> bool {
        self.spill.load(Relaxed) >= 0 && !self.of_other_process() && self.border.rest() != Rest::Failed
    }

    /// The bytes below `offset` that are memory.
    pub(crate) fn in_memory(&self, offset: usize) -> usize {
        offset.min(self.memory_end())
    }

    /// Where the part of the region that is memory ends: `usize::MAX` unless it has spilled.
    pub(crate) fn memory_end(&self) -> usize {
        match self.border.rest() {
            Rest::InFile(border) => border,
            _ => usize::MAX,
        }
    }

    /// Maps the file over everything that was not admitted yet, once. Signal-safe.
    pub(crate) fn spill(&self) -> Spilled {
        // A handler of the program's that touches this region in between would wait for ever.
        let mask = sys::block_async_signals();
        let spilled = self.spill_unless_claimed();
        sys::restore_signal_mask(mask);
        spilled
    }

    fn spill_unless_claimed(&self) -> Spilled {
        let border = match self.border.claim() {
            Ok(border) => border,
            Err(Rest::InFile(_)) => return Spilled::Yes,
            Err(Rest::Failed) => return Spilled::No,
            Err(_) => return Spilled::Pending,
        };
        let rest = self.reserved().saturating_sub(border);
        // SAFETY: every commit that was admitted lies below the border, and none is admitted any more: nobody has
        // anything behind it.
        let mapped = rest > 0
            && self.is_own_file(self.spill.load(Relaxed))
            && unsafe {
                sys::map_file_over(self.base().wrapping_add(border), rest, self.spill.load(Relaxed), border)
            }
            .is_ok();
        self.border.finish(mapped);
        if mapped { Spilled::Yes } else { Spilled::No }
    }

    /// [`make_accessible`](Slot::make_accessible) for what lives in the file. Signal-safe.
    pub(super) fn make_accessible_in_file(&self, from: usize, to: usize) -> Result<(), Errno> {
        let fd = self.spill.load(Relaxed);
        if self.of_other_process() {
            return Err(sys::Errno::EFAULT);
        }
        if !self.is_own_file(fd) {
            return Err(sys::Errno::EBADF);
        }
        let (start, len) = (self.base().wrapping_add(from), to.wrapping_sub(from));
        sys::allocate_blocks(fd, from, len)?;
        // SAFETY: the range lies in the mapping of a live region.
        unsafe {
            sys::set_dumpable(start, len, true);
            sys::commit(start, len)
        }
    }
}

impl Region {
    /// Gives `[keep, committed)` back to the system; whether it was mapped afresh. What is memory up to its end is so
    /// again.
    ///
    /// # Safety
    /// Nothing refers to the contents of that range any more.
    pub(super) unsafe fn give_back(&mut self, keep: usize, committed: usize) -> Result<bool, Errno> {
        let Rest::InFile(border) = self.control.border.rest() else {
            // SAFETY: the caller's promise.
            let discarded = unsafe { self.mapping.discard(keep, committed) };
            let afresh = discarded.inspect_err(|&errno| {
                // As it was, guards and all. (In a forked child it is not ours.)
                if errno != sys::Errno::EFAULT && !self.mapping.stays_accessible() {
                    let _ = self.control.commit(keep, committed);
                }
            })?;
            self.control.border.reset(keep);
            return Ok(afresh);
        };
        if self.control.of_other_process() {
            return Err(sys::Errno::EFAULT);
        }
        if keep > border {
            // SAFETY: the caller's promise.
            return unsafe { self.mapping.discard_spilled(keep, committed).map(|()| false) };
        }
        // Also what was never used: it is mapped to the file.
        // SAFETY: the caller's promise; nothing behind it is committed.
        unsafe { self.mapping.discard_afresh(keep, self.mapping.reserved)? };
        self.mapping.empty_spill();
        // What was in memory is counted before the border is gone.
        self.control.set_committed(keep);
        self.control.border.reset(keep);
        Ok(true)
    }
}

impl ControlBlock {
    /// Whether a descriptor of the region's still is the file that it was: a program may close numbers that it knows
    /// nothing of, and they are given out again. Signal-safe.
    pub(super) fn is_own_file(&self, fd: i32) -> bool {
        let known = [self.file_identity[0].load(Relaxed), self.file_identity[1].load(Relaxed)];
        sys::file_identity(fd) == Some(known)
    }
}

#[cfg(highwater_portable)]
impl Mapping {
    unsafe fn discard_spilled(&self, _from: usize, _to: usize) -> Result<(), Errno> {
        Ok(())
    }

    fn empty_spill(&self) {}
}
