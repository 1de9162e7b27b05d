//! [`SharedArena`]: one arena for many threads.

use super::body::{self, always};
use super::boxed::ArenaBox;
use super::conflict::Conflict;
use super::local::LocalArena;
use super::shared_cursor::SharedCursor;
use super::source::{Fallible, Panicking};
use crate::admission::{AllocOrInitError, OutOfMemory};
use crate::builder::{BuildInputs, Builder, FromRegion};
use crate::region::{BuildError, GuardError, Monitor, Region, Role};
use crate::stats::Stats;
use core::alloc::Layout;
use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

/// An [`Arena`](crate::Arena) for many threads at once: an allocation is one atomic addition.
///
/// It has an arena's calls, with `&self`, and any thread may make them at any time. A reference that they return lives as
/// long as the arena is borrowed, so it may be sent to, and shared with, other threads as its type allows. Memory is
/// committed as it is touched, by the thread that touches it.
///
/// - The plain calls add to a counter, without a loop: they are wait-free (except for blocks of more than 4 GiB and for
///   growth by the explicit engine, which use compare-and-swap). An addition cannot be undone while other threads add, so
///   a plain call that **fails leaves the arena full** until the next [`reset`](SharedArena::reset).
/// - The `try_` calls use compare-and-swap, and a failure changes nothing.
/// - A thread that allocates much uses a [`local`](SharedArena::local) part, which needs no atomics.
///
/// ```
/// use highwater::SharedArena;
///
/// let arena = SharedArena::new();
/// let lengths: Vec<usize> = std::thread::scope(|threads| {
///     let words = ["a", "bc", "def"].map(|word| threads.spawn(|| arena.alloc_str(word)));
///     words.map(|thread| thread.join().unwrap().len()).into()
/// });
/// assert_eq!(lengths, [1, 2, 3]);
/// ```
#[must_use = "dropping an arena unmaps it"]
pub struct SharedArena<const MIN_ALIGN: usize = 8> {
    cursor: SharedCursor<MIN_ALIGN>,
    region: Region,
}

// SAFETY: no part of it belongs to a thread.
unsafe impl<const MIN_ALIGN: usize> Send for SharedArena<MIN_ALIGN> {}
// SAFETY: what changes behind `&self` is the counter, which hands out no byte twice, and the region, which is `Sync`.
unsafe impl<const MIN_ALIGN: usize> Sync for SharedArena<MIN_ALIGN> {}

impl SharedArena {
    /// An arena with the default policies: 64 GiB reserved, 64 KiB committed.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let arena = highwater::SharedArena::new();
    /// assert_eq!(arena.alloc_str("a"), "a");
    /// ```
    pub fn new() -> Self {
        Self::with_min_align()
    }

    /// An arena with the default policies.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system has no address space or memory for it.
    ///
    /// ```
    /// let arena = highwater::SharedArena::try_new()?;
    /// assert_eq!(arena.alloc_str("a"), "a");
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn try_new() -> Result<Self, OutOfMemory> {
        Ok(Self::builder().try_build()?)
    }

    /// An arena with policies of your own.
    ///
    /// ```
    /// let arena = highwater::SharedArena::builder().name("symbols").limit(1 << 20).build();
    /// assert_eq!(arena.remaining(), 1 << 20);
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }
}

impl<const MIN_ALIGN: usize> SharedArena<MIN_ALIGN> {
    /// An arena with the default policies and this minimum alignment, in bytes, a power of two up to 4096.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let arena = highwater::SharedArena::<64>::with_min_align();
    /// assert_eq!(arena.alloc(1u8) as *const u8 as usize % 64, 0);
    /// ```
    pub fn with_min_align() -> Self {
        Builder::<Self>::new().build()
    }

    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(super) fn cursor(&self) -> &SharedCursor<MIN_ALIGN> {
        &self.cursor
    }

    calls!("arena", '_);

    figures!();

    /// A part of the arena for one thread, to allocate from without atomics.
    ///
    /// ```
    /// let arena = highwater::SharedArena::new();
    /// let local = arena.local();
    /// let squares = local.alloc_slice_fill_with(100, |i| i * i);
    /// drop(local);
    /// assert_eq!(squares[9], 81);
    /// ```
    pub fn local(&self) -> LocalArena<'_, MIN_ALIGN> {
        LocalArena::new(&self.cursor)
    }

    /// Frees everything: the next allocation starts at the first byte again. Memory stays committed and is not cleared,
    /// and values are not dropped.
    ///
    /// ```
    /// let mut arena = highwater::SharedArena::new();
    /// let first = arena.alloc(1u64) as *const u64;
    /// arena.reset();
    /// assert_eq!(arena.alloc(2u64) as *const u64, first);
    /// ```
    pub fn reset(&mut self) {
        self.cursor.restart();
        self.region.control().counters.touched.store(0, Relaxed);
        if self.region.control().is_stressed() {
            self.trim(self.region.control().head.load(Relaxed));
        }
    }

    /// Decommits memory past the first `keep` bytes (and past what is in use), and returns how many bytes that were.
    /// Memory that is committed again reads as zero.
    ///
    /// ```
    /// let mut arena = highwater::SharedArena::new();
    /// arena.alloc_slice_fill_copy(10 << 20, 1u8);
    /// arena.reset();
    /// assert!(arena.trim(1 << 20) >= 9 << 20);
    /// ```
    pub fn trim(&mut self, keep: usize) -> usize {
        let keep = keep.max(self.cursor.used());
        // SAFETY: what is past the position was never handed out, and we have the arena to ourselves.
        unsafe { self.region.trim(keep) }
    }

    /// Places a guard over a range of offsets from the region's first byte: see [`Region::guard_at`]. The arena
    /// allocates up to its first guard.
    ///
    /// # Errors
    /// A [`GuardError`] that names the range: it is not whole pages of the region, or over what is in use.
    ///
    /// ```
    /// let mut arena = highwater::SharedArena::builder().reserve(1 << 20).build();
    /// arena.guard_at(0x10000..0x20000)?;
    /// assert_eq!(arena.remaining(), 0x10000);
    /// # Ok::<(), highwater::GuardError>(())
    /// ```
    pub fn guard_at(&mut self, range: Range<usize>) -> Result<(), GuardError> {
        let used = self.cursor.used();
        if range.start < used {
            return Err(GuardError::InUse { guard: range, used });
        }
        // SAFETY: nothing was handed out there, and we have the arena to ourselves.
        unsafe { self.region.guard_at(range) }?;
        self.cursor.refresh_limit();
        Ok(())
    }

    /// The byte limit set by [`set_allocation_limit`](SharedArena::set_allocation_limit).
    pub fn allocation_limit(&self) -> Option<usize> {
        match self.region.control().allocation_limit.load(Relaxed) {
            usize::MAX => None,
            bytes => Some(bytes),
        }
    }

    /// Sets how many bytes may be in use, exact to the byte; `None` lifts the limit. It takes `&mut self`, since the
    /// checks of all threads read it.
    ///
    /// ```
    /// let mut arena = highwater::SharedArena::new();
    /// arena.set_allocation_limit(Some(8));
    /// arena.alloc(1u64);
    /// assert!(arena.try_alloc(1u8).is_err());
    /// ```
    pub fn set_allocation_limit(&mut self, limit: Option<usize>) {
        self.region.control().allocation_limit.store(limit.unwrap_or(usize::MAX), Relaxed);
        self.cursor.refresh_limit();
    }

    /// Whether an address is one of the arena's, in use or not.
    pub fn contains<T>(&self, pointer: *const T) -> bool {
        self.region.contains(pointer.cast())
    }

    /// The region under the arena.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl<const MIN_ALIGN: usize> Builder<SharedArena<MIN_ALIGN>> {
    /// Another minimum alignment: bytes, a power of two up to 4096.
    ///
    /// ```
    /// let arena = highwater::SharedArena::builder().min_align::<16>().build();
    /// assert_eq!(arena.min_align(), 16);
    /// ```
    pub fn min_align<const OTHER: usize>(self) -> Builder<SharedArena<OTHER>> {
        self.retarget()
    }
}

impl<const MIN_ALIGN: usize> FromRegion for SharedArena<MIN_ALIGN> {
    const CHECKED: bool = false;
    const ROLE: Role = Role::Arena;

    fn from_region(region: Region, _inputs: BuildInputs<'_>) -> Result<Self, BuildError> {
        Ok(region.into())
    }
}

impl<const MIN_ALIGN: usize> From<Region> for SharedArena<MIN_ALIGN> {
    /// An arena over a region, from its first byte on.
    fn from(region: Region) -> Self {
        region.control().set_role(Role::Arena);
        SharedArena { cursor: SharedCursor::over(&region), region }
    }
}

impl<const MIN_ALIGN: usize> Default for SharedArena<MIN_ALIGN> {
    fn default() -> Self {
        Self::with_min_align()
    }
}

impl<const MIN_ALIGN: usize> Conflict for SharedArena<MIN_ALIGN> {
    fn region_id(&self) -> u64 {
        self.id()
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for SharedArena<MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArena")
            .field("used", &self.allocated_bytes())
            .field("region", &self.region)
            .finish()
    }
}
