//! Position and limit, and the check that stands between them.
//!
//! An arena holds one of these for good; a scope *is* one, by value. That is what makes a scope fast: a
//! local value whose address nobody takes lives in registers, so nothing in here may hand out a reference to
//! the cursor on a path that the compiler keeps. The failing sides take what they need by value.

use crate::grow::{Why, grow};
use crate::math::bump::{Block, bump_up};
use crate::math::page::align_up;
use crate::oom::admit::beyond;
use crate::oom::{OutOfMemory, Refusal, Request};
use crate::region::{Region, Slot};
use crate::sys;
use core::alloc::Layout;
use core::cell::Cell;
use core::convert::Infallible;
use core::panic::Location;

/// Where the next block goes, and how far blocks may go.
pub(super) struct Cursor<const MIN_ALIGN: usize, const CHECKED: bool> {
    /// The next free byte: an address in the region, a multiple of `MIN_ALIGN`.
    position: Cell<*mut u8>,
    /// The smallest of the reservation's end, the region's limit and the allocation limit; with the explicit
    /// engine also the frontier. It may lie below the position.
    pub(super) limit: Cell<*mut u8>,
    /// Where this cursor started: what lies below belongs to an ancestor and is left alone.
    start: *mut u8,
    slot: &'static Slot,
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Cursor<MIN_ALIGN, CHECKED> {
    /// Evaluated where a cursor is made, so that another alignment does not compile.
    const SUPPORTED: () = assert!(
        MIN_ALIGN.is_power_of_two() && MIN_ALIGN <= 4096,
        "MIN_ALIGN must be a power of two and at most 4096"
    );

    /// A cursor at the start of a region.
    pub(super) fn over(region: &Region) -> Self {
        let () = Self::SUPPORTED;
        let start = region.base().as_ptr();
        let cursor =
            Cursor { position: Cell::new(start), limit: Cell::new(start), start, slot: region.slot() };
        cursor.refresh_limit();
        cursor
    }

    /// Whether allocations are placed by a ledger; see `watch`.
    pub(super) const WATCHED: bool = CHECKED && sys::PROTECTS;

    /// A cursor that goes on where this one stands, and leaves what is below alone.
    #[inline(always)]
    pub(super) fn fork(&self) -> Self {
        if Self::WATCHED {
            self.give_up_ended();
        }
        let position = self.position.get();
        Cursor {
            position: Cell::new(position),
            limit: Cell::new(self.limit.get()),
            start: position,
            slot: self.slot,
        }
    }

    #[inline(always)]
    pub(super) fn position(&self) -> *mut u8 {
        self.position.get()
    }

    /// Moves the position. It must lie between this cursor's start and its limit, and keep the alignment.
    #[inline(always)]
    pub(super) fn set_position(&self, position: *mut u8) {
        debug_assert!(position.addr().is_multiple_of(MIN_ALIGN), "the position keeps the minimum alignment");
        debug_assert!(position >= self.start, "the position stays at or after the cursor's start");
        self.position.set(position);
        if Self::WATCHED {
            self.give_up_ended();
        }
    }

    /// Moves the position alone: what lies past it is given up later, or was given up before.
    pub(super) fn set_position_only(&self, position: *mut u8) {
        self.position.set(position);
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }

    pub(super) fn slot(&self) -> &'static Slot {
        self.slot
    }

    /// Bytes between the region's first one and the position.
    pub(super) fn used(&self) -> usize {
        self.position.get().addr() - self.slot.base().addr()
    }

    /// Bytes that may be used in all.
    pub(super) fn most(&self) -> usize {
        self.slot.most()
    }

    /// Computes the limit again, after a change of what it is made of.
    pub(super) fn refresh_limit(&self) {
        self.limit.set(limit_of::<CHECKED>(self.slot));
    }

    /// The block for `size` bytes at the position.
    #[inline(always)]
    pub(super) fn block(&self, size: usize, align: usize) -> Block {
        bump_up(self.position.get().addr(), size, align, MIN_ALIGN)
    }

    /// Takes a block that passed the check.
    #[inline(always)]
    fn take(&self, block: Block) -> *mut u8 {
        let position = self.position.get();
        self.position.set(position.with_addr(block.end));
        position.with_addr(block.start)
    }

    /// The check, and a block of `size` bytes. The block may not be committed: it is going to be written,
    /// and that is what commits it. On the failing side nothing comes back, so there is nothing to merge and
    /// the compiler folds through it.
    #[inline(always)]
    fn place(&self, size: usize, align: usize, caller: Caller) -> *mut u8 {
        if size == 0 {
            return nowhere(align);
        }
        if Self::WATCHED {
            return self.place_watched(size, align, caller);
        }
        let block = self.block(size, align);
        if block.end > self.limit.get().addr() {
            #[cfg(highwater_fault)]
            refuse::<MIN_ALIGN>(self.slot, self.position.get(), size, align);
            #[cfg(not(highwater_fault))]
            self.limit.set(extend(self.slot, self.position.get(), size, block.end, Why::Write));
        }
        self.take(block)
    }

    /// The check, and a block of `size` bytes that is committed although it may never be written.
    #[inline(always)]
    fn place_committed(&self, size: usize, align: usize, caller: Caller) -> *mut u8 {
        if size == 0 {
            return nowhere(align);
        }
        if Self::WATCHED {
            return self.place_watched(size, align, caller);
        }
        let block = self.block(size, align);
        if block.end > self.committed_limit() {
            self.limit.set(extend(self.slot, self.position.get(), size, block.end, Why::Request));
        }
        self.take(block)
    }

    /// The check, and a block of `size` bytes that is committed.
    #[inline(always)]
    fn try_place(&self, size: usize, align: usize, caller: Caller, why: Why) -> Result<*mut u8, OutOfMemory> {
        if size == 0 {
            return Ok(nowhere(align));
        }
        if Self::WATCHED {
            return self.try_place_watched(size, align, caller);
        }
        let block = self.block(size, align);
        if block.end > self.committed_limit() {
            let limit = commit(self.slot, self.position.get(), size, block.end, why)?;
            self.limit.set(limit);
        }
        Ok(self.take(block))
    }

    /// The address below which everything is both allowed and committed.
    #[inline(always)]
    fn committed_limit(&self) -> usize {
        // With the explicit engine the limit is at most the frontier, but for a forked child that a file-backed
        // region was not inherited by: there the frontier is back at the start.
        self.limit.get().addr().min(self.slot.base().addr() + self.slot.frontier.get())
    }

    /// Commits the `bytes` after the position, exactly.
    pub(super) fn commit_ahead(&self, bytes: usize) -> Result<(), OutOfMemory> {
        let used = self.used();
        let to = used.saturating_add(bytes);
        if to > self.most() {
            return Err(self.not_ahead(bytes, beyond(to, self.most(), self.slot.asked())));
        }
        if Self::WATCHED {
            return self.commit_ahead_watched(bytes).map_err(|refusal| self.not_ahead(bytes, refusal));
        }
        self.commit_exactly(used, bytes)
    }

    /// Commits a range of this region; other memory is left alone.
    pub(super) fn ensure_committed(&self, start: *const u8, len: usize) -> Result<(), OutOfMemory> {
        let offset = start.addr().wrapping_sub(self.slot.base().addr());
        // Whatever a ledger hands out is committed.
        if len == 0 || offset >= self.slot.reserved() || Self::WATCHED {
            return Ok(());
        }
        self.commit_exactly(offset, len)
    }

    /// Commits `bytes` bytes at an offset, and no more.
    fn commit_exactly(&self, offset: usize, bytes: usize) -> Result<(), OutOfMemory> {
        grow(self.slot, offset, offset.saturating_add(bytes), Why::Ahead)
            .map_err(|refusal| self.not_ahead(bytes, refusal))?;
        self.refresh_limit();
        Ok(())
    }

    /// The error of bytes that could not be committed ahead.
    fn not_ahead(&self, bytes: usize, refusal: Refusal) -> OutOfMemory {
        let request = Request::Allocation { requested: bytes, effective: bytes };
        OutOfMemory::new(self.slot, request, self.used(), refusal)
    }

    /// Whether a block of `size` bytes would pass the check now.
    pub(super) fn fits(&self, size: usize, align: usize) -> bool {
        size == 0 || self.block(size, align).end - self.slot.base().addr() <= self.most()
    }

    /// Whether `[start, start + len)` is the last block that this very cursor handed out.
    #[inline(always)]
    pub(super) fn is_last(&self, start: *const u8, len: usize) -> bool {
        if Self::WATCHED {
            return self.is_last_watched(start, len);
        }
        len > 0
            && start.addr() >= self.start.addr()
            && align_up(start.addr().wrapping_add(len), MIN_ALIGN) == Some(self.position.get().addr())
    }

    /// Changes the length of the last block from `old` to `new` bytes, if it is the last and there is room, and
    /// returns where it is then; the added bytes are committed like those of a fallible allocation. `None` if it
    /// is not the last. It stays where it is, but for a watched cursor's, which moves.
    pub(super) fn resize_last(
        &self,
        start: *mut u8,
        old: usize,
        new: usize,
    ) -> Result<Option<*mut u8>, OutOfMemory> {
        if Self::WATCHED {
            return self.resize_last_watched(start, old, new, 1);
        }
        if !self.is_last(start, old) || !start.addr().is_multiple_of(MIN_ALIGN) {
            return Ok(None);
        }
        let before = self.position.get();
        self.position.set(before.with_addr(start.addr()));
        let moved = self.try_place(new, 1, None, Why::Request);
        if moved.is_err() {
            self.position.set(before);
        }
        moved.map(Some)
    }
}

/// Who asked for a block; only a checked arena wants to know, for the others there is nothing to pass on.
pub(super) type Caller = Option<&'static Location<'static>>;

/// The caller of the public call that this stands in.
#[inline(always)]
#[track_caller]
pub(super) fn here<const CHECKED: bool>() -> Caller {
    if CHECKED { Some(Location::caller()) } else { None }
}

/// How a call answers when there is no memory: by diverging or by returning an error. Every allocation call
/// is written once, over this.
pub(super) trait Mode {
    /// What a failing call returns.
    type Error;

    /// A block of `size` bytes that is going to be written at once.
    fn place<const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, Self::Error>;

    /// A block that is handed out uninitialised: committed in any case.
    fn place_committed<const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, Self::Error>;

    /// `len` values of `T`; more than `isize::MAX` bytes are no layout.
    fn array<T, const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        len: usize,
    ) -> Result<Layout, Self::Error>;
}

/// The plain calls: they panic.
pub(super) struct Plain;
/// The `try_` calls: they return the error, never enter the handler and never diverge.
pub(super) struct Try;

impl Mode for Plain {
    type Error = Infallible;

    #[inline(always)]
    fn place<const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, Infallible> {
        Ok(cursor.place(size, align, caller))
    }

    #[inline(always)]
    fn place_committed<const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, Infallible> {
        Ok(cursor.place_committed(size, align, caller))
    }

    #[inline(always)]
    fn array<T, const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        len: usize,
    ) -> Result<Layout, Infallible> {
        match Layout::array::<T>(len) {
            Ok(layout) => Ok(layout),
            Err(_) => panic_with(no_layout(cursor.slot, cursor.position.get(), len, size_of::<T>())),
        }
    }
}

impl Mode for Try {
    type Error = OutOfMemory;

    #[inline(always)]
    fn place<const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, OutOfMemory> {
        cursor.try_place(size, align, caller, Why::Write)
    }

    #[inline(always)]
    fn place_committed<const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        size: usize,
        align: usize,
        caller: Caller,
    ) -> Result<*mut u8, OutOfMemory> {
        cursor.try_place(size, align, caller, Why::Request)
    }

    #[inline(always)]
    fn array<T, const M: usize, const C: bool>(
        cursor: &Cursor<M, C>,
        len: usize,
    ) -> Result<Layout, OutOfMemory> {
        Layout::array::<T>(len)
            .map_err(|_| no_layout(cursor.slot, cursor.position.get(), len, size_of::<T>()))
    }
}

/// Where a value of no size is: nowhere, but aligned.
#[inline(always)]
fn nowhere(align: usize) -> *mut u8 {
    core::ptr::without_provenance_mut(align)
}

/// The error of a check that failed: `size` bytes would end at the address `end`, their padding included.
#[cold]
#[inline(never)]
pub(super) fn check_error(slot: &'static Slot, position: *mut u8, size: usize, end: usize) -> OutOfMemory {
    let used = position.addr() - slot.base().addr();
    let effective = end.saturating_sub(position.addr());
    let refusal = beyond(used.saturating_add(effective), slot.most(), slot.asked());
    OutOfMemory::new(slot, Request::Allocation { requested: size, effective }, used, refusal)
}

/// The error of a length that no layout can have.
#[cold]
#[inline(never)]
fn no_layout(slot: &'static Slot, position: *mut u8, len: usize, size: usize) -> OutOfMemory {
    check_error(slot, position, len.saturating_mul(size), usize::MAX)
}

/// The failing side of the check: the first line of a report, as a panic. Where the block would end is
/// computed again, so that what the caller holds in registers is the position alone.
#[cfg(highwater_fault)]
#[cold]
#[inline(never)]
fn refuse<const MIN_ALIGN: usize>(slot: &'static Slot, position: *mut u8, size: usize, align: usize) -> ! {
    let end = bump_up(position.addr(), size, align, MIN_ALIGN).end;
    panic_with(check_error(slot, position, size, end))
}

#[cold]
#[inline(never)]
pub(super) fn panic_with(error: OutOfMemory) -> ! {
    panic!("highwater: {error}")
}

/// Commits a block that ends beyond what is committed, and returns the new limit of the cursor.
#[cold]
#[inline(never)]
pub(super) fn commit(
    slot: &'static Slot,
    position: *mut u8,
    size: usize,
    end: usize,
    why: Why,
) -> Result<*mut u8, OutOfMemory> {
    let base = slot.base().addr();
    let (used, to) = (position.addr() - base, end - base);
    if to > slot.most() {
        return Err(check_error(slot, position, size, end));
    }
    grow(slot, used, to, why).map_err(|refusal| {
        let request = Request::Allocation { requested: size, effective: end - position.addr() };
        OutOfMemory::new(slot, request, used, refusal)
    })?;
    Ok(limit_of::<false>(slot))
}

/// The limit of a cursor over a region, as things stand.
pub(super) fn limit_of<const CHECKED: bool>(slot: &Slot) -> *mut u8 {
    let most = slot.most();
    let checked_elsewhere = cfg!(highwater_fault) || (CHECKED && sys::PROTECTS);
    let offset = if checked_elsewhere { most } else { most.min(slot.frontier.get()) };
    slot.base().wrapping_add(offset)
}

/// The cold side of a check that commits: what [`commit`] returns, or a panic. The error stays in here, so
/// that the caller needs no stack for it.
#[cold]
#[inline(never)]
fn extend(slot: &'static Slot, position: *mut u8, size: usize, end: usize, why: Why) -> *mut u8 {
    match commit(slot, position, size, end, why) {
        Ok(limit) => limit,
        Err(error) => panic_with(error),
    }
}
