//! Giving committed memory back to the system.

use super::border::SpillState;
use super::guard_error::GuardError;
use super::region_type::Region;
use crate::math::page::align_up_saturating;
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Errno};
use core::sync::atomic::Ordering::Relaxed;

impl Region {
    /// Gives the memory past the first `keep` bytes (rounded up to a page) back to the system and returns
    /// how many bytes that were. The reservation stays; what is committed again reads as zero. With
    /// [`Growth::Upfront`](crate::Growth::Upfront) the range stays accessible and only its pages go, touched or not.
    /// Should the system refuse (it may run out of mappings) nothing is given back, and 0 is returned; a forked child that
    /// did not inherit a file-backed region has nothing to give back either.
    ///
    /// What the program set for the range stays as it is: locked memory (`mlock`) is locked when it is committed again,
    /// a userfaultfd stays registered, and so do a NUMA policy and `MADV_MERGEABLE`. Not so the range of a region that
    /// spilled, and locked memory before Linux 5.18.
    ///
    /// # Panics
    /// When guards were placed in a region that stays accessible, and the system refuses to restore them.
    ///
    /// # Safety
    /// Nothing refers to the contents past `keep` any more.
    pub unsafe fn trim(&mut self, keep: usize) -> usize {
        let committed = self.committed_bytes();
        let keep = align_up_saturating(keep, sys::page_size());
        if keep >= committed {
            return 0;
        }
        // SAFETY: nothing refers to the contents past `keep`: required by this function's contract.
        let Ok(is_remapped) = (unsafe { self.decommit_past(keep, committed) }) else { return 0 };
        if !self.mapping.stays_accessible() {
            self.control.set_committed(keep);
        } else if is_remapped && let Err(errno) = self.control.restore_protection(keep, committed) {
            // The region must not go on without its guards. (A mark needs no memory but a page table's.)
            let error = GuardError::refused(errno, RefusedCall::Commit(committed - keep));
            panic!("highwater: the guards of a trimmed region could not be restored: {error}");
        }
        // A page of this range may fault again at the same place in the program, and that is growth again.
        self.control.trims.fetch_add(1, Relaxed);
        committed - keep
    }

    /// [`trim`](Region::trim) of everything.
    ///
    /// # Safety
    /// Nothing refers to the contents of the region any more.
    pub unsafe fn decommit(&mut self) -> usize {
        // SAFETY: nothing refers to the contents of the region: required by this function's contract.
        unsafe { self.trim(0) }
    }

    /// Decommits `[keep, committed)`, and says whether the range was mapped afresh. Once the part in the spill file is gone,
    /// the region is memory up to its end again.
    ///
    /// # Safety
    /// Nothing refers to the contents of that range any more.
    unsafe fn decommit_past(&mut self, keep: usize, committed: usize) -> Result<bool, Errno> {
        let SpillState::InFile(border) = self.control.border.state() else {
            // SAFETY: nothing refers to the contents of the range: required by this function's contract.
            let decommitted = unsafe { self.mapping.decommit(keep, committed) };
            let is_remapped = decommitted.inspect_err(|&errno| {
                // As it was, guards included. (In a forked child the range is not ours.)
                if errno != Errno::EFAULT && !self.mapping.stays_accessible() {
                    let _ = self.control.commit(keep, committed);
                }
            })?;
            self.control.border.reset(keep);
            return Ok(is_remapped);
        };
        if self.control.is_of_other_process() {
            return Err(Errno::EFAULT);
        }
        if keep > border {
            // SAFETY: nothing refers to the contents of the range: required by this function's contract.
            return unsafe { self.mapping.decommit_spilled(keep, committed).map(|()| false) };
        }
        // Up to the end of the reservation: what was never used is mapped to the file as well.
        // SAFETY: nothing refers to the contents of the range: required by this function's contract; nothing behind it is
        // committed.
        unsafe { self.mapping.decommit_by_remap(keep, self.mapping.reserved)? };
        self.mapping.release_spill_blocks();
        // The bytes in memory are uncharged before the border is gone.
        self.control.set_committed(keep);
        self.control.border.reset(keep);
        Ok(true)
    }
}
