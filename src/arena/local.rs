//! [`LocalArena`]: a thread's own part of a shared arena.

use super::body::{self, always};
use super::boxed::ArenaBox;
use super::shared_cursor::SharedCursor;
use super::source::{BlockSource, CallSite, Fallible, Panicking, dangling, panic_with};
use crate::admission::{AllocOrInitError, OutOfMemory};
use crate::grow::GrowReason;
use crate::math::bump::bump_up;
use crate::math::page::align_up;
use core::alloc::Layout;
use core::cell::Cell;
use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// The first part, and the largest, in bytes: each is twice the one before.
const FIRST: usize = 16 << 10;
const LARGEST: usize = 1 << 20;

/// A thread's own part of a [`SharedArena`](crate::SharedArena), for allocations without atomics.
///
/// It allocates parts of the shared arena, of 16 KiB at first and later up to 1 MiB, one after the other. A block that
/// needs more than a quarter of a part comes from the shared arena directly. References live as long as the shared arena
/// is borrowed, so a `LocalArena` may be dropped, or sent to another thread, at any time.
///
/// ```
/// use highwater::SharedArena;
///
/// let arena = SharedArena::new();
/// let totals: Vec<&u64> = std::thread::scope(|threads| {
///     let workers: Vec<_> = (0..4u64)
///         .map(|worker| {
///             threads.spawn({
///                 let local = arena.local();
///                 move || &*local.alloc(worker * 10)
///             })
///         })
///         .collect();
///     workers.into_iter().map(|worker| worker.join().unwrap()).collect()
/// });
/// assert_eq!(totals, [&0, &10, &20, &30]);
/// ```
#[must_use = "it does nothing until it is allocated from"]
pub struct LocalArena<'s, const MIN_ALIGN: usize = 8> {
    cursor: LocalCursor<'s, MIN_ALIGN>,
}

// SAFETY: the part belongs to the `LocalArena` alone, and the shared arena behind the reference is `Sync`.
unsafe impl<const MIN_ALIGN: usize> Send for LocalArena<'_, MIN_ALIGN> {}

impl<'s, const MIN_ALIGN: usize> LocalArena<'s, MIN_ALIGN> {
    pub(super) fn new(shared: &'s SharedCursor<MIN_ALIGN>) -> Self {
        let nothing = Cell::new(shared.position());
        LocalArena {
            cursor: LocalCursor { position: nothing.clone(), limit: nothing, part: Cell::new(FIRST), shared },
        }
    }

    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(in crate::arena) fn cursor(&self) -> &LocalCursor<'s, MIN_ALIGN> {
        &self.cursor
    }

    calls!("shared arena", 's);

    /// Bytes left in the current part.
    ///
    /// ```
    /// let arena = highwater::SharedArena::new();
    /// let local = arena.local();
    /// assert_eq!(local.remaining_in_part(), 0); // the first allocation takes a part
    /// local.alloc(1u64);
    /// assert!(local.remaining_in_part() > 0);
    /// ```
    #[inline]
    pub fn remaining_in_part(&self) -> usize {
        self.cursor.limit.get().addr() - self.cursor.position.get().addr()
    }
}

impl<const MIN_ALIGN: usize> Drop for LocalArena<'_, MIN_ALIGN> {
    /// Gives back what is left of the part, if no other thread has taken anything since.
    fn drop(&mut self) {
        self.cursor.shared.give_back(self.cursor.position.get().addr(), self.cursor.limit.get().addr());
    }
}

impl<const MIN_ALIGN: usize> fmt::Debug for LocalArena<'_, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalArena")
            .field("remaining_in_part", &self.remaining_in_part())
            .finish_non_exhaustive()
    }
}

/// Position and limit in a part of a shared arena.
pub(super) struct LocalCursor<'s, const MIN_ALIGN: usize> {
    position: Cell<*mut u8>,
    limit: Cell<*mut u8>,
    /// The size of the next part.
    part: Cell<usize>,
    shared: &'s SharedCursor<MIN_ALIGN>,
}

impl<const MIN_ALIGN: usize> LocalCursor<'_, MIN_ALIGN> {
    #[inline(always)]
    fn allocate_in_part(&self, size: usize, align: usize) -> Option<*mut u8> {
        let position = self.position.get();
        let block = bump_up(position.addr(), size, align, MIN_ALIGN);
        if block.end > self.limit.get().addr() {
            return None;
        }
        self.position.set(position.with_addr(block.end));
        Some(position.with_addr(block.start))
    }

    /// A block that does not fit the part, not committed.
    #[cold]
    #[inline(never)]
    fn refill(&self, size: usize, align: usize) -> Result<*mut u8, OutOfMemory> {
        let wanted = self.part.get();
        let (from, end) = (self.position.get().addr(), self.limit.get().addr());
        // Large ones would waste what is left, and gain nothing.
        if size.saturating_add(align) > wanted / 4 {
            let (start, _) = self.shared.part((usize::MAX, usize::MAX), 0, size, align)?;
            return Ok(self.shared.at(bump_up(start, size, align, MIN_ALIGN).start));
        }
        let (start, end) = self.shared.part((from, end), wanted, size, align)?;
        self.position.set(self.shared.at(start));
        self.limit.set(self.shared.at(end));
        self.part.set((wanted * 2).min(LARGEST));
        match self.allocate_in_part(size, align) {
            Some(block) => Ok(block),
            None => unreachable!("a part has room for the block that it was taken for"),
        }
    }

    #[cold]
    #[inline(never)]
    fn refill_or_panic(&self, size: usize, align: usize) -> *mut u8 {
        self.refill(size, align).unwrap_or_else(|error| panic_with(error))
    }

    /// Whether it is the last block of the part.
    #[inline]
    fn is_last_here(&self, start: *const u8, len: usize) -> bool {
        len > 0 && align_up(start.addr().wrapping_add(len), MIN_ALIGN) == Some(self.position.get().addr())
    }

    /// Lets the last block end earlier, if it is the last, here or (one that was too large for a part) of the shared
    /// arena; whether it was.
    pub(super) fn shorten_last(&self, start: *mut u8, old: usize, new: usize) -> bool {
        if !self.is_last_here(start, old) {
            return self.shared.shorten_last(start, old, new);
        }
        if let Some(end) = align_up(start.addr() + new, MIN_ALIGN) {
            self.position.set(self.shared.at(end));
        }
        true
    }

    /// Where a block ends, its padding included.
    fn end_of(&self, block: *mut u8, size: usize) -> usize {
        bump_up(block.addr(), size, 1, MIN_ALIGN).end
    }
}

impl<const MIN_ALIGN: usize> BlockSource for LocalCursor<'_, MIN_ALIGN> {
    const CHECKED: bool = false;

    #[inline(always)]
    fn allocate(&self, size: usize, align: usize, _caller: CallSite) -> *mut u8 {
        if size == 0 {
            return dangling(align);
        }
        let block = match self.allocate_in_part(size, align) {
            Some(block) => block,
            None => self.refill_or_panic(size, align),
        };
        if cfg!(not(highwater_fault)) {
            self.shared.commit(block.addr(), size, self.end_of(block, size), GrowReason::Write);
        }
        block
    }

    #[inline(always)]
    fn allocate_committed(&self, size: usize, align: usize, _caller: CallSite) -> *mut u8 {
        if size == 0 {
            return dangling(align);
        }
        let block = match self.allocate_in_part(size, align) {
            Some(block) => block,
            None => self.refill_or_panic(size, align),
        };
        self.shared.commit(block.addr(), size, self.end_of(block, size), GrowReason::Request);
        block
    }

    /// When the system refuses to commit the block, a part that was taken for it is kept.
    #[inline]
    fn try_allocate(
        &self,
        size: usize,
        align: usize,
        _caller: CallSite,
        reason: GrowReason,
    ) -> Result<*mut u8, OutOfMemory> {
        if size == 0 {
            return Ok(dangling(align));
        }
        let block = match self.allocate_in_part(size, align) {
            Some(block) => block,
            None => self.refill(size, align)?,
        };
        let end = self.end_of(block, size);
        let committed = self.shared.try_commit(block.addr(), size, end, reason);
        if committed.is_err() {
            if self.position.get().addr() == end {
                self.position.set(block);
            } else {
                self.shared.give_back(block.addr(), end);
            }
        }
        committed.map(|()| block)
    }

    fn fits(&self, size: usize, align: usize) -> bool {
        let block = bump_up(self.position.get().addr(), size, align, MIN_ALIGN);
        size == 0 || block.end <= self.limit.get().addr() || self.shared.fits(size, align)
    }

    fn allocate_if_fits(&self, size: usize, align: usize, _caller: CallSite) -> Option<*mut u8> {
        if size == 0 {
            return Some(dangling(align));
        }
        // (A part is taken by compare-and-swap.)
        let block = self.allocate_in_part(size, align).or_else(|| self.refill(size, align).ok())?;
        if cfg!(not(highwater_fault)) {
            self.shared.commit(block.addr(), size, self.end_of(block, size), GrowReason::Write);
        }
        Some(block)
    }

    #[inline]
    fn is_last(&self, start: *const u8, len: usize) -> bool {
        self.is_last_here(start, len) || self.shared.is_last(start, len)
    }

    fn resize_last(&self, start: *mut u8, old: usize, new: usize) -> Result<Option<*mut u8>, OutOfMemory> {
        if !self.is_last_here(start, old) {
            // One that was too large for a part may be the last of the shared arena.
            return self.shared.resize_last(start, old, new);
        }
        if !start.addr().is_multiple_of(MIN_ALIGN) {
            return Ok(None);
        }
        let block = bump_up(start.addr(), new, 1, MIN_ALIGN);
        if block.end > self.limit.get().addr() {
            return Ok(None);
        }
        self.shared.try_commit(start.addr(), new, block.end, GrowReason::Request)?;
        self.position.set(self.shared.at(block.end));
        Ok(Some(self.shared.at(start.addr())))
    }

    #[inline(always)]
    fn position(&self) -> *mut u8 {
        self.position.get()
    }

    fn undo(&self, _before: *mut u8, block: *mut u8, size: usize) {
        self.shorten_last(block, size, 0);
    }

    fn no_layout(&self, len: usize, size: usize) -> OutOfMemory {
        self.shared.no_layout(len, size)
    }
}
