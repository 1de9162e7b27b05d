//! The address range behind a region and what it is mapped to.

use super::name::RegionName;
use crate::math::page::{HUGE_PAGE, align_up_saturating};
use crate::policy::{GuardPolicy, HugePages};
use crate::sys::{self, Errno, Protection};
use core::ptr::NonNull;
#[cfg(not(highwater_portable))]
use std::fs::File;

/// A range that is reserved, the guards on both sides of it, and what has to be restored when a part of
/// it is mapped over.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// The region's first byte.
    pub(crate) base: NonNull<u8>,
    /// The region's bytes.
    pub(crate) reserved: usize,
    /// Bytes of the guard before `base` and of the one after the reservation.
    pub(super) guard: (usize, usize),
    /// Where the whole range ends, in bytes from `base`: after the guard and what is left of the slack.
    pub(crate) tail_end: usize,
    pub(super) access: Protection,
    /// The advice for huge pages, if any.
    pub(super) huge_pages: Option<HugePages>,
    pub(super) name: RegionName,
    pub(super) memory: MappedMemory,
    /// The file to spill to.
    #[cfg(not(highwater_portable))]
    pub(super) spill: Option<File>,
}

#[derive(Debug)]
pub(super) enum MappedMemory {
    Anonymous {
        start: NonNull<u8>,
        len: usize,
    },
    #[cfg(not(highwater_portable))]
    File {
        // The mapping is dropped before the file; in a forked child neither is ours to unmap.
        map: core::mem::ManuallyDrop<memmap2::MmapRaw>,
        file: File,
        owner: u32,
    },
}

/// What a mapping is made from.
pub(crate) struct MappingPlan<'a> {
    pub(crate) reserved: usize,
    pub(crate) guard: &'a GuardPolicy,
    pub(crate) access: Protection,
    pub(crate) huge_pages: Option<HugePages>,
    pub(crate) name: RegionName,
}

impl MappingPlan<'_> {
    /// Guard bytes before and after, whole pages.
    pub(super) fn guards(&self) -> (usize, usize) {
        if !sys::HAS_PROTECTION {
            return (0, 0);
        }
        let round = |bytes| align_up_saturating(bytes, sys::page_size());
        (round(self.guard.before), round(self.guard.after))
    }

    /// Where an anonymous region begins. A base on a huge page boundary costs address space only: the slack
    /// before it is never given back separately, which would be two more calls.
    fn align(&self) -> usize {
        if sys::HAS_PROTECTION && self.reserved >= HUGE_PAGE { HUGE_PAGE } else { sys::page_size() }
    }

    /// The bytes that are mapped for an anonymous region: with its guards and the slack.
    pub(crate) fn mapped(&self) -> Result<usize, Errno> {
        let (before, after) = self.guards();
        self.sum(&[before, after, self.align() - sys::page_size()])
    }

    pub(super) fn sum(&self, parts: &[usize]) -> Result<usize, Errno> {
        let mut sum = self.reserved;
        for part in parts {
            sum = sum.checked_add(*part).ok_or(sys::Errno::ENOMEM)?;
        }
        Ok(sum)
    }
}

impl Mapping {
    pub(crate) fn anonymous(plan: &MappingPlan<'_>) -> Result<Self, Errno> {
        let guard = plan.guards();
        let (align, len) = (plan.align(), plan.mapped()?);
        let start = match plan.access {
            Protection::None => sys::reserve(len, Protection::None)?,
            Protection::ReadWrite => sys::reserve_upfront(len)?,
        };
        let first = align_up_saturating(start.addr().get() + guard.0, align) - start.addr().get();
        // SAFETY: the slack was reserved above, so the base and all of the region lie in the range.
        let base = unsafe { start.add(first) };
        let mapping = Mapping {
            base,
            reserved: plan.reserved,
            guard,
            tail_end: len - first,
            access: plan.access,
            huge_pages: plan.huge_pages,
            name: plan.name,
            memory: MappedMemory::Anonymous { start, len },
            #[cfg(not(highwater_portable))]
            spill: None,
        };
        if plan.access == Protection::ReadWrite {
            // SAFETY: the range lies in the mapping, which has no other user yet.
            unsafe { sys::commit_upfront(base, plan.reserved)? };
        }
        mapping.apply_settings(start, len);
        Ok(mapping)
    }

    /// RegionName, advice and dump flag of an inaccessible range, after it was mapped.
    fn apply_settings(&self, start: NonNull<u8>, len: usize) {
        // SAFETY: the range lies in this mapping.
        unsafe {
            sys::set_name(start, len, self.name.in_maps().as_c_str());
            if self.access == Protection::None {
                sys::set_dumpable(start.as_ptr(), len, false);
            }
            match self.huge_pages {
                Some(HugePages::Advise) if self.reserved >= HUGE_PAGE => sys::advise_huge(start, len, true),
                Some(HugePages::Advise | HugePages::System) | None => {}
                Some(HugePages::Never) => sys::advise_huge(start, len, false),
            }
        }
    }

    /// The first byte and the length of the range that is the region's: guards included.
    pub(crate) fn guarded_range(&self) -> (usize, usize) {
        let (before, after) = self.guard;
        (self.base.addr().get() - before, before + self.reserved + after)
    }

    /// Whether every byte is accessible at any time, given back or not.
    pub(crate) fn stays_accessible(&self) -> bool {
        self.access == Protection::ReadWrite
    }

    /// Gives `[from, to)` of the region back to the system and makes it what it was at first, as far as access and
    /// contents go; whether it was mapped afresh, so that guards in it are gone.
    ///
    /// What the program set for the range stays: a lock, a userfaultfd, merging, a NUMA policy. After an error the
    /// contents are there, and may be inaccessible.
    ///
    /// # Safety
    /// Nothing refers to the contents of that range any more.
    pub(crate) unsafe fn decommit(&self, from: usize, to: usize) -> Result<bool, Errno> {
        debug_assert!(from <= to && to <= self.reserved, "a part of the region");
        let len = to - from;
        // SAFETY: `from` is at most the region's length.
        let start = unsafe { self.base.add(from) };
        match &self.memory {
            // SAFETY: the range lies in this mapping, and nothing refers to its contents: required by this function's contract.
            MappedMemory::Anonymous { .. } => unsafe {
                if self.decommit_in_place(start, len)? {
                    return Ok(false);
                }
                self.decommit_by_remap(from, to).map(|()| true)
            },
            #[cfg(not(highwater_portable))]
            MappedMemory::File { file, owner, .. } => {
                use std::os::fd::AsRawFd;
                // A forked child has the file and not the mapping: a hole would be in the parent's memory.
                if *owner != sys::memory_id() {
                    return Err(sys::Errno::EFAULT);
                }
                let punch = || sys::punch_hole(file.as_raw_fd(), self.guard.0 + from, len);
                if self.access == Protection::ReadWrite {
                    return punch().map(|()| false);
                }
                // The access first: should that fail, the contents are still there.
                // SAFETY: the range lies in this mapping, and nothing refers to its contents: required by this function's contract.
                unsafe {
                    sys::protect(start.as_ptr(), len)?;
                    punch()?;
                    sys::set_dumpable(start.as_ptr(), len, false);
                }
                Ok(false)
            }
        }
    }

    /// [`decommit`](Mapping::decommit) by protection and advice; false where that will not do. What was committed is
    /// inaccessible then, unless it stays accessible.
    ///
    /// # Safety
    /// Nothing refers to the contents of that range any more.
    unsafe fn decommit_in_place(&self, start: NonNull<u8>, len: usize) -> Result<bool, Errno> {
        /// From this size on a search for settings is worth its time.
        const WORTH: usize = 1 << 20;
        if !sys::HAS_PROTECTION {
            return Ok(false);
        }
        // SAFETY: the range lies in this mapping, and nothing refers to its contents: required by this function's contract.
        unsafe {
            if self.stays_accessible() {
                return Ok(sys::purge_locked(start.as_ptr(), len) || sys::purge_by_unlocking(start, len));
            }
            // Memory that was committed once stays charged to this process, which matters only where the kernel limits the
            // charges of all processes (`vm.overcommit_memory=2`).
            if len >= WORTH && sys::overcommit_was_strict() && !sys::has_settings(start, len) {
                return Ok(false);
            }
            sys::protect(start.as_ptr(), len)?;
            let is_taken = sys::purge_locked(start.as_ptr(), len);
            if is_taken {
                sys::set_dumpable(start.as_ptr(), len, false);
            }
            Ok(is_taken)
        }
    }

    /// Maps `[from, to)` of an anonymous region over: nothing of what was there is left, neither contents nor settings
    /// nor charge.
    ///
    /// # Safety
    /// Nothing refers to the contents of that range any more.
    pub(super) unsafe fn decommit_by_remap(&self, from: usize, to: usize) -> Result<(), Errno> {
        // SAFETY: `from` is at most the region's length, and nothing refers to the contents of the range: required by this
        // function's contract.
        unsafe {
            let start = self.base.add(from);
            sys::reserve_over(start, to - from, self.access)?;
            self.apply_settings(start, to - from);
        }
        Ok(())
    }

    /// The backing file and where in it the region's first byte is.
    pub(crate) fn file(&self) -> Option<(i32, usize)> {
        match &self.memory {
            MappedMemory::Anonymous { .. } => None,
            #[cfg(not(highwater_portable))]
            MappedMemory::File { file, .. } => {
                use std::os::fd::AsRawFd;
                Some((file.as_raw_fd(), self.guard.0))
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        match &mut self.memory {
            // SAFETY: the whole mapping is ours, and its region is gone.
            MappedMemory::Anonymous { start, len } => unsafe { sys::release(*start, *len) },
            #[cfg(not(highwater_portable))]
            MappedMemory::File { map, owner, .. } => {
                if *owner == sys::memory_id() {
                    // SAFETY: dropped once, here.
                    unsafe { core::mem::ManuallyDrop::drop(map) };
                }
            }
        }
    }
}
