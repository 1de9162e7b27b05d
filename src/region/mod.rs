//! The one concept everything stands on: a reserved address range with a committed frontier.

mod border;
mod control;
mod error;
#[cfg(not(highwater_portable))]
mod fork;
mod free;
mod frontier;
mod guards;
mod injected;
mod make;
mod mapping;
mod monitor;
mod name;
mod registry;
mod role;
mod space;
mod spill;

/// The atomics of this room, in one place so that its lock-free protocols also run under loom.
mod atomic {
    pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

use crate::policy::Growth;
use crate::stats::Stats;
use crate::sys;
pub(crate) use control::{ControlBlock, NAME_BYTES, committed_unseen, live as live_control_blocks, text_of};
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
pub use error::BuildError;
#[cfg(not(highwater_portable))]
pub(crate) use fork::keep_addresses;
pub(crate) use frontier::FrontierAdvance;
pub use guards::GuardError;
pub(crate) use injected::{Injected, Rule};
pub(crate) use make::{Options, Source};
use mapping::Mapping;
pub use monitor::{Monitor, committed_of};
pub(crate) use name::{Name, NameInMaps};
#[cfg(highwater_fault)]
pub(crate) use registry::find;
pub(crate) use role::Role;
pub(crate) use space::{promise_within, promised, withdraw};
pub(crate) use spill::Spilled;

/// A reserved range of addresses, the first part of which is committed: raw memory, for whoever builds an
/// allocator or a container of their own.
///
/// The range never moves. With the `fault` engine a touch past the frontier commits more; with either
/// engine [`ensure`](Region::ensure) does so by request, which is what memory needs that is handed to the
/// kernel. The range is given back when the region is dropped.
///
/// ```
/// use highwater::Region;
///
/// let region = Region::builder().name("scratch").reserve(1 << 30).build();
/// region.ensure(1 << 20)?;
/// // SAFETY: the first mebibyte is committed, and nobody else knows of this region.
/// unsafe { region.as_ptr().write_bytes(7, 1 << 20) };
/// assert!(region.committed_bytes() >= 1 << 20);
/// # Ok::<(), highwater::OutOfMemory>(())
/// ```
#[must_use = "dropping a region unmaps it"]
pub struct Region {
    control: &'static ControlBlock,
    mapping: Mapping,
    /// What was taken of the process's budget of address space.
    taken: usize,
    /// Whether a leak checker searches it for pointers.
    #[cfg(not(highwater_portable))]
    is_root: bool,
}

// SAFETY: a region is a range of memory and a control block of atomics. Nothing in it belongs to a thread;
// what is written through its pointer is the business of whoever writes.
unsafe impl Send for Region {}
// SAFETY: shared calls only read, or grow by the lock-free frontier protocol.
unsafe impl Sync for Region {}

impl Region {
    /// The first byte; aligned to a page, and to a huge page (2 MiB) where the reservation is that large.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapping.base.as_ptr()
    }

    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.mapping.base
    }

    #[inline]
    pub(crate) fn control(&self) -> &'static ControlBlock {
        self.control
    }

    /// The region's name in the maps file.
    pub(crate) fn name_in_maps(&self) -> NameInMaps {
        self.mapping.name.in_maps()
    }

    /// A number that no other region of this process has had or will have.
    pub fn id(&self) -> u64 {
        self.control.id.load(Relaxed)
    }

    /// The bytes reserved: what was got, which may be less than what was asked for. A
    /// [`DebugArena`](crate::DebugArena)'s region has more, for its guards and for what was given up; they are not
    /// counted.
    #[inline]
    pub fn reserved_bytes(&self) -> usize {
        self.control.requested_reserve()
    }

    /// The bytes that its addresses span: the reservation, with a checked arena's guards and what it gave up.
    pub(crate) fn span(&self) -> usize {
        self.control.reserved()
    }

    /// The bytes committed: where the frontier stands.
    #[inline]
    pub fn committed_bytes(&self) -> usize {
        self.control.frontier.get()
    }

    /// The bytes that may be used: the byte limit, or the reservation where there is none.
    #[inline]
    pub fn limit(&self) -> usize {
        self.control.usable.load(Relaxed)
    }

    /// How the frontier moves.
    pub fn growth(&self) -> Growth {
        self.control.growth()
    }

    /// Whether an address lies in the reservation.
    #[inline]
    pub fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.mapping.base.addr().get()) < self.mapping.reserved
    }

    /// What happened so far.
    pub fn stats(&self) -> Stats {
        self.control.stats()
    }

    /// A view of the figures for other threads.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.control)
    }

    /// Gives the memory past the first `keep` bytes (rounded up to a page) back to the system and returns
    /// how many bytes that were. The reservation stays; what is committed again reads as zero. With
    /// [`Growth::Upfront`] the range stays accessible and only its pages go, touched or not. Should the system
    /// refuse (it may run out of mappings) nothing is given back, and 0 is returned; a forked child that a
    /// file-backed region was not inherited by has nothing to give back either.
    ///
    /// What the program set for the range stays as it is: locked memory (`mlock`) is locked when it is committed again,
    /// a userfaultfd stays registered, and so do a NUMA policy and `MADV_MERGEABLE`. Not so the range of a region that
    /// spilled, and locked memory before Linux 5.18.
    ///
    /// # Panics
    /// When guards were placed in a region that stays accessible, and the system refuses to have them back.
    ///
    /// # Safety
    /// Nothing refers to the contents past `keep` any more.
    pub unsafe fn trim(&mut self, keep: usize) -> usize {
        let committed = self.committed_bytes();
        let keep = crate::math::page::align_up_saturating(keep, sys::page_size());
        if keep >= committed {
            return 0;
        }
        // SAFETY: the caller's promise.
        let Ok(afresh) = (unsafe { self.give_back(keep, committed) }) else { return 0 };
        if !self.mapping.stays_accessible() {
            self.control.set_committed(keep);
        } else if afresh && let Err(errno) = self.control.restore_protection(keep, committed) {
            // Never without its guards. (A mark needs no memory but a page table's.)
            let error = GuardError::refused(errno, sys::evidence::RefusedCall::Commit(committed - keep));
            panic!("highwater: the guards of a trimmed region could not be restored: {error}");
        }
        // A page of this range may fault again at the same place in the program, and be ours again.
        self.control.trims.fetch_add(1, Relaxed);
        committed - keep
    }

    /// [`trim`](Region::trim) of everything.
    ///
    /// # Safety
    /// Nothing refers to the contents of the region any more.
    pub unsafe fn decommit(&mut self) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.trim(0) }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = [0; control::NAME_BYTES];
        f.debug_struct("Region")
            .field("id", &self.id())
            .field("name", &self.control.name(&mut name))
            .field("base", &self.mapping.base)
            .field("committed", &self.committed_bytes())
            .field("reserved", &self.reserved_bytes())
            .finish_non_exhaustive()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // First nobody finds it, then the block is free, then (as the mapping is dropped) so is the range.
        let (start, len) = self.mapping.guarded_range();
        registry::remove(start, len, self.control);
        #[cfg(not(highwater_portable))]
        if self.is_root {
            // SAFETY: registered when the region was made, with these figures.
            unsafe { sys::unregister_root(self.mapping.base.as_ptr(), self.mapping.reserved) };
        }
        self.control.set_committed(0);
        self.control.end_and_free();
        space::give(self.taken);
    }
}
