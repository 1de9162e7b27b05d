//! [`Region`]: the handle that owns a reserved range.

use super::control::ControlBlock;
use super::mapping::Mapping;
use super::monitor::Monitor;
use super::name::NAME_BYTES;
#[cfg(feature = "debug-arena")]
use super::name::NameInMaps;
use super::{pool, registry, space};
use crate::policy::Growth;
use crate::stats::Stats;
#[cfg(not(highwater_portable))]
use crate::sys;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

/// A reserved range of addresses, the first part of which is committed: raw memory, for allocators and containers of your
/// own.
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
/// // SAFETY: the first mebibyte is committed, and this region has no other user.
/// unsafe { region.as_ptr().write_bytes(7, 1 << 20) };
/// assert!(region.committed_bytes() >= 1 << 20);
/// # Ok::<(), highwater::OutOfMemory>(())
/// ```
#[must_use = "dropping a region unmaps it"]
pub struct Region {
    pub(super) control: &'static ControlBlock,
    pub(super) mapping: Mapping,
    /// The bytes of its mapping in the process's budget of address space.
    pub(super) budgeted: usize,
    /// Whether a leak checker searches it for pointers.
    #[cfg(not(highwater_portable))]
    pub(super) is_root: bool,
}

// SAFETY: a region is a range of memory and a control block of atomics. Nothing in it belongs to a thread, and it is written
// to through raw pointers only.
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
    #[cfg(feature = "debug-arena")]
    pub(crate) fn name_in_maps(&self) -> NameInMaps {
        self.mapping.name.in_maps()
    }

    /// A number that no other region of this process has had or will have.
    pub fn id(&self) -> u64 {
        self.control.id.load(Relaxed)
    }

    /// The bytes reserved, which may be less than what was asked for. A [`DebugArena`](crate::DebugArena)'s region has more,
    /// for its guards and its quarantine; they are not counted.
    #[inline]
    pub fn reserved_bytes(&self) -> usize {
        self.control.requested_reserve()
    }

    /// The bytes that its addresses span: the reservation, with a checked arena's guards and its quarantine.
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
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = [0; NAME_BYTES];
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
        // First no thread finds the region any more, then its block is free, then (when the mapping is dropped) its range.
        let (start, len) = self.mapping.guarded_range();
        registry::remove(start, len, self.control);
        #[cfg(not(highwater_portable))]
        if self.is_root {
            // SAFETY: registered when the region was made, with these figures.
            unsafe { sys::unregister_root(self.mapping.base.as_ptr(), self.mapping.reserved) };
        }
        self.control.set_committed(0);
        self.control.end_region();
        pool::free(self.control);
        space::release(self.budgeted);
    }
}
