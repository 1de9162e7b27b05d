//! [`Arena`]: a region with a cursor of its own.

use super::body::{self, always};
use super::boxed::ArenaBox;
use super::checkpoint::Checkpoint;
use super::cursor::Cursor;
use super::scope::Scope;
use super::source::{Fallible, Panicking};
use super::watch::open_watched;
use crate::admission::{AllocOrInitError, OutOfMemory};
use crate::builder::{BuildInputs, Builder, FromRegion};
use crate::policy::GuardPolicy;
use crate::region::{BuildError, GuardError, Monitor, Region, Role};
use crate::stats::Stats;
use core::alloc::Layout;
use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

/// A bump allocator over a reserved range that commits memory as it is touched.
///
/// An allocation advances a position. Blocks are not freed one by one, and values are not dropped. All blocks lie in one
/// contiguous range and never move, and there is no growth path to compile: a write past the committed end faults, and the
/// handler commits more. [`reset`](Arena::reset) frees everything at once, [`scope`](Arena::scope) frees a part.
///
/// `MIN_ALIGN` (bytes, a power of two up to 4096) is the alignment that every block has at least. Types
/// that need no more than that are allocated without an alignment step; the price is padding after smaller
/// ones. `CHECKED` arenas are [`DebugArena`](crate::DebugArena)s.
///
/// The names are bumpalo's: code written for its `Bump` compiles after `use highwater::Arena as Bump`,
/// unless it depends on chunks or on bumping downwards.
///
/// ```
/// use highwater::Arena;
///
/// let mut arena = Arena::new();
/// let numbers = arena.alloc_slice_fill_with(1_000_000, |i| i as u64);
/// let name = arena.alloc_str("scratch");
/// assert_eq!(numbers[999_999], 999_999);
/// assert_eq!(name, "scratch");
/// arena.reset();
/// assert_eq!(arena.allocated_bytes(), 0);
/// ```
#[must_use = "dropping an arena unmaps it"]
pub struct Arena<const MIN_ALIGN: usize = 8, const CHECKED: bool = false> {
    // Position and limit come first and are the arena's own: no header to chase on the way to them.
    cursor: Cursor<MIN_ALIGN, CHECKED>,
    region: Region,
}

// SAFETY: cursor and region belong to the arena, and neither is tied to a thread.
// References into the arena keep it borrowed, and so where it is.
unsafe impl<const MIN_ALIGN: usize, const CHECKED: bool> Send for Arena<MIN_ALIGN, CHECKED> {}

impl Arena {
    /// An arena with the default policies: 64 GiB reserved, 64 KiB committed.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let arena = highwater::Arena::new();
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
    /// let arena = highwater::Arena::try_new()?;
    /// assert_eq!(arena.alloc_str("a"), "a");
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn try_new() -> Result<Self, OutOfMemory> {
        Self::try_with_capacity(0)
    }

    /// An arena whose first `capacity` bytes are committed.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let arena = highwater::Arena::with_capacity(1 << 20);
    /// assert!(arena.committed_bytes() >= 1 << 20);
    /// ```
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_min_align_and_capacity(capacity)
    }

    /// An arena whose first `capacity` bytes are committed.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system has no address space or memory for it.
    ///
    /// ```
    /// assert!(highwater::Arena::try_with_capacity(1 << 20)?.committed_bytes() >= 1 << 20);
    /// assert!(highwater::Arena::try_with_capacity(usize::MAX).is_err());
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn try_with_capacity(capacity: usize) -> Result<Self, OutOfMemory> {
        Self::try_with_min_align_and_capacity(capacity)
    }

    /// An arena with policies of your own.
    ///
    /// ```
    /// let arena = highwater::Arena::builder().name("parser").limit(1 << 20).build();
    /// assert_eq!(arena.remaining(), 1 << 20);
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Arena<MIN_ALIGN, CHECKED> {
    /// An arena with the default policies and this minimum alignment.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let arena = highwater::Arena::<16>::with_min_align();
    /// arena.alloc(1u8);
    /// assert_eq!(arena.alloc_str("x").as_ptr().addr() % 16, 0);
    /// ```
    pub fn with_min_align() -> Self {
        Builder::<Self>::new().build()
    }

    /// An arena with this minimum alignment whose first `capacity` bytes are committed.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let arena = highwater::Arena::<64>::with_min_align_and_capacity(1 << 16);
    /// assert_eq!(arena.alloc(1u8) as *const u8 as usize % 64, 0);
    /// ```
    pub fn with_min_align_and_capacity(capacity: usize) -> Self {
        match Self::try_with_min_align_and_capacity(capacity) {
            Ok(arena) => arena,
            Err(error) => super::source::panic_with(error),
        }
    }

    /// An arena with this minimum alignment whose first `capacity` bytes are committed.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system has no address space or memory for it.
    pub fn try_with_min_align_and_capacity(capacity: usize) -> Result<Self, OutOfMemory> {
        let builder = Builder::<Self>::new();
        let builder = if capacity == 0 { builder } else { builder.head(capacity) };
        Ok(builder.try_build()?)
    }

    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(super) fn cursor(&self) -> &Cursor<MIN_ALIGN, CHECKED> {
        &self.cursor
    }

    calls!("arena", '_);

    figures!();

    checkpoints!("arena");

    /// Frees everything: the next allocation starts at the first byte again. Memory stays committed and is not
    /// cleared, and values are not dropped. It takes a few nanoseconds, however much was allocated. (A
    /// `DebugArena` makes what was allocated inaccessible, and continues at fresh addresses.) With
    /// [`Growth::Stress`](crate::Growth::Stress) it decommits as well.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let first = arena.alloc(1u64) as *const u64;
    /// arena.reset();
    /// assert_eq!(arena.alloc(2u64) as *const u64, first);
    /// ```
    #[inline]
    pub fn reset(&mut self) {
        self.cursor.set_position(self.region.as_ptr());
        self.cursor.control().counters.touched.store(0, Relaxed);
        if self.cursor.control().is_stressed() {
            self.trim(self.cursor.control().head.load(Relaxed));
        }
    }

    /// Decommits memory past the first `keep` bytes (and past what is in use), and returns how many bytes that were.
    /// Memory that is committed again reads as zero.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// arena.alloc_slice_fill_copy(10 << 20, 1u8);
    /// arena.reset();
    /// assert!(arena.trim(1 << 20) >= 9 << 20);
    /// assert_eq!(arena.committed_bytes(), 1 << 20);
    /// ```
    pub fn trim(&mut self, keep: usize) -> usize {
        let watched = Cursor::<MIN_ALIGN, CHECKED>::WATCHED;
        let in_use = if watched { self.cursor.live_end_watched() } else { self.cursor.used() };
        // SAFETY: no live block has a byte at or after `in_use`, and `&mut self` rules out other users of the arena.
        let given_back = unsafe { self.region.trim(keep.max(in_use)) };
        self.cursor.refresh_limit();
        given_back
    }

    /// Places a guard over a range of offsets from the region's first byte, in bytes, both multiples of the page
    /// size: see [`Region::guard_at`]. An arena allocates up to its first guard, and is out of memory there (the
    /// cause is [`Cause::RegionLimit`](crate::Cause::RegionLimit)); a [`DebugArena`](crate::DebugArena) allocates around it.
    ///
    /// # Errors
    /// A [`GuardError`] that names the range: it is not whole pages of the region, or over what is in use.
    ///
    /// ```
    /// let mut arena = highwater::Arena::builder().reserve(1 << 20).build();
    /// arena.guard_at(0x10000..0x20000)?;
    /// assert_eq!(arena.remaining(), 0x10000);
    /// # Ok::<(), highwater::GuardError>(())
    /// ```
    pub fn guard_at(&mut self, range: Range<usize>) -> Result<(), GuardError> {
        if Cursor::<MIN_ALIGN, CHECKED>::WATCHED {
            self.cursor.guard_at_watched(&mut self.region, range)?;
        } else {
            let used = self.cursor.used();
            if range.start < used {
                return Err(GuardError::InUse { guard: range, used });
            }
            // SAFETY: no block has a byte at or after `used`, and `&mut self` rules out other users of the arena.
            unsafe { self.region.guard_at(range) }?;
        }
        self.cursor.refresh_limit();
        Ok(())
    }

    /// The byte limit set by [`set_allocation_limit`](Arena::set_allocation_limit).
    ///
    /// ```
    /// let arena = highwater::Arena::new();
    /// assert_eq!(arena.allocation_limit(), None);
    /// arena.set_allocation_limit(Some(100));
    /// assert_eq!(arena.allocation_limit(), Some(100));
    /// ```
    pub fn allocation_limit(&self) -> Option<usize> {
        match self.cursor.control().allocation_limit.load(Relaxed) {
            usize::MAX => None,
            bytes => Some(bytes),
        }
    }

    /// Sets how many bytes may be in use, exact to the byte; `None` lifts the limit. A limit below
    /// what is in use stops further allocation and changes nothing else.
    ///
    /// ```
    /// let arena = highwater::Arena::new();
    /// arena.set_allocation_limit(Some(8));
    /// arena.alloc(1u64);
    /// assert!(arena.try_alloc(1u8).is_err());
    /// ```
    pub fn set_allocation_limit(&self, limit: Option<usize>) {
        self.cursor.control().allocation_limit.store(limit.unwrap_or(usize::MAX), Relaxed);
        self.cursor.refresh_limit();
    }

    /// [`allocated_bytes`](Arena::allocated_bytes): there is no metadata among the blocks.
    pub fn allocated_bytes_including_metadata(&self) -> usize {
        self.allocated_bytes()
    }

    /// Whether an address is one of the arena's, in use or not.
    ///
    /// ```
    /// let arena = highwater::Arena::new();
    /// assert!(arena.contains(arena.alloc(1)));
    /// assert!(!arena.contains(&1));
    /// ```
    pub fn contains<T>(&self, pointer: *const T) -> bool {
        self.region.contains(pointer.cast())
    }

    /// The region under the arena.
    ///
    /// ```
    /// let arena = highwater::Arena::builder().name("parser").build();
    /// assert!(arena.region().contains(arena.alloc(1u8)));
    /// ```
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// A scope on top of the arena: what is allocated in it is freed when it ends, that is, when its
    /// borrow does. See [`Scope`]. The arena's own position does not move, so its figures do not show what a
    /// scope uses: ask the scope.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// for line in ["a b", "c d e"] {
    ///     let scope = arena.scope();
    ///     let words = scope.alloc_iter(line.split(' '));
    ///     assert!(words.len() > 1);
    /// }
    /// assert_eq!(arena.allocated_bytes(), 0);
    /// ```
    #[inline(always)]
    pub fn scope(&mut self) -> Scope<'_, MIN_ALIGN, CHECKED> {
        Scope::new(&self.cursor)
    }

    /// Runs a closure with a [`scope`](Arena::scope) of its own.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let sum: u32 = arena.scoped(|scope| scope.alloc_slice_fill_copy(10, 2u32).iter().sum());
    /// assert_eq!(sum, 20);
    /// ```
    #[inline(always)]
    pub fn scoped<R>(&mut self, f: impl FnOnce(Scope<'_, MIN_ALIGN, CHECKED>) -> R) -> R {
        f(self.scope())
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Builder<Arena<MIN_ALIGN, CHECKED>> {
    /// Another minimum alignment: bytes, a power of two up to 4096.
    ///
    /// ```
    /// let arena = highwater::Arena::builder().min_align::<64>().build();
    /// assert_eq!(arena.alloc(1u8) as *const u8 as usize % 64, 0);
    /// ```
    pub fn min_align<const OTHER: usize>(self) -> Builder<Arena<OTHER, CHECKED>> {
        self.retarget()
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> FromRegion for Arena<MIN_ALIGN, CHECKED> {
    const CHECKED: bool = Cursor::<MIN_ALIGN, CHECKED>::WATCHED;
    const ROLE: Role = Role::Arena;

    fn from_region(region: Region, inputs: BuildInputs<'_>) -> Result<Self, BuildError> {
        if Cursor::<MIN_ALIGN, CHECKED>::WATCHED {
            open_watched(&region, inputs)?;
        }
        Ok(Arena { cursor: Cursor::over(&region), region })
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> From<Region> for Arena<MIN_ALIGN, CHECKED> {
    /// An arena over a region, from its first byte on. For a `DebugArena` the generations are the default, the
    /// contents of the region are lost, and there is room for few allocations, which take two pages each: a `DebugArena`
    /// that is built reserves more than was requested.
    ///
    /// # Panics
    /// For a [`DebugArena`](crate::DebugArena), when the system has no address space for its records.
    fn from(region: Region) -> Self {
        region.control().set_role(Role::Arena);
        match Self::from_region(region, BuildInputs::of(&GuardPolicy::default())) {
            Ok(arena) => arena,
            Err(error) => panic!("highwater: {error}"),
        }
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Drop for Arena<MIN_ALIGN, CHECKED> {
    fn drop(&mut self) {
        if Cursor::<MIN_ALIGN, CHECKED>::WATCHED {
            // SAFETY: the arena is being dropped, and every scope borrows it.
            unsafe { self.cursor.close_watched() };
        }
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Default for Arena<MIN_ALIGN, CHECKED> {
    fn default() -> Self {
        Self::with_min_align()
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> fmt::Debug for Arena<MIN_ALIGN, CHECKED> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("used", &self.allocated_bytes()).field("region", &self.region).finish()
    }
}
