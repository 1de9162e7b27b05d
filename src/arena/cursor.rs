//! Position and limit, and the check that stands between them.
//!
//! An arena holds one of these for good; a scope *is* one, by value. That is what makes a scope fast: a
//! local value whose address is not taken lives in registers, so nothing in here may hand out a reference to
//! the cursor on a path that the compiler keeps. The failing sides take what they need by value.

use super::source::{BlockSource, CallSite, dangling, panic_with};
use crate::admission::{OutOfMemory, Refusal, RefusedRequest};
use crate::grow::{GrowReason, grow};
use crate::math::bump::{Block, bump_up};
use crate::math::page::align_up;
use crate::region::{ControlBlock, Region};
use crate::sys;
use core::cell::Cell;

/// Where the next block goes, and how far blocks may go.
pub(super) struct Cursor<const MIN_ALIGN: usize, const CHECKED: bool> {
    /// The next free byte: an address in the region, a multiple of `MIN_ALIGN`.
    position: Cell<*mut u8>,
    /// The smallest of the reservation's end, the region's limit, the first guard (in a checked arena it does not count)
    /// and the allocation limit; with the explicit engine also the frontier. It may lie below the position.
    pub(super) limit: Cell<*mut u8>,
    /// Where this cursor started: what lies below belongs to an ancestor and is left alone.
    start: *mut u8,
    control: &'static ControlBlock,
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Cursor<MIN_ALIGN, CHECKED> {
    /// Evaluated where a cursor is made, so that another alignment does not compile.
    pub(super) const SUPPORTED: () = assert!(
        MIN_ALIGN.is_power_of_two() && MIN_ALIGN <= 4096,
        "MIN_ALIGN must be a power of two and at most 4096"
    );

    /// A cursor at the start of a region.
    pub(super) fn over(region: &Region) -> Self {
        let () = Self::SUPPORTED;
        let start = region.base().as_ptr();
        let cursor =
            Cursor { position: Cell::new(start), limit: Cell::new(start), start, control: region.control() };
        cursor.refresh_limit();
        cursor
    }

    /// Whether allocations are placed by a ledger; see `watch`.
    pub(super) const WATCHED: bool = {
        assert!(!CHECKED || cfg!(feature = "debug-arena"), "a checked arena needs the feature `debug-arena`");
        CHECKED && sys::HAS_PROTECTION
    };

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
            control: self.control,
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
    #[cfg(feature = "debug-arena")]
    pub(super) fn set_position_only(&self, position: *mut u8) {
        self.position.set(position);
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }

    pub(super) fn control(&self) -> &'static ControlBlock {
        self.control
    }

    /// Bytes between the region's first one and the position.
    pub(super) fn used(&self) -> usize {
        self.position.get().addr() - self.control.base().addr()
    }

    /// Bytes that may be used in all.
    pub(super) fn usable_bytes(&self) -> usize {
        self.control.usable_bytes()
    }

    /// Computes the limit again, after a change of what it is made of.
    pub(super) fn refresh_limit(&self) {
        self.limit.set(limit_of::<CHECKED>(self.control));
    }

    /// The block for `size` bytes at the position.
    #[inline(always)]
    pub(super) fn block(&self, size: usize, align: usize) -> Block {
        bump_up(self.position.get().addr(), size, align, MIN_ALIGN)
    }

    /// Moves the position to the end of a block that passed the check, and returns its start.
    #[inline(always)]
    fn advance(&self, block: Block) -> *mut u8 {
        let position = self.position.get();
        self.position.set(position.with_addr(block.end));
        position.with_addr(block.start)
    }

    /// The address below which everything is both allowed and committed.
    #[inline(always)]
    fn committed_limit(&self) -> usize {
        // With the explicit engine the limit is at most the frontier, but for a forked child that a file-backed
        // region was not inherited by: there the frontier is back at the start.
        self.limit.get().addr().min(self.control.base().addr() + self.control.frontier.get())
    }

    /// Commits the `bytes` after the position, exactly.
    pub(super) fn commit_ahead(&self, bytes: usize) -> Result<(), OutOfMemory> {
        let used = self.used();
        let to = used.saturating_add(bytes);
        if to > self.usable_bytes() {
            let refusal = Refusal::past_limit(to, self.usable_bytes(), self.control.requested_reserve());
            return Err(not_ahead(self.control, used, bytes, refusal));
        }
        if Self::WATCHED {
            let committed = self.commit_ahead_watched(bytes);
            return committed.map_err(|refusal| not_ahead(self.control, used, bytes, refusal));
        }
        self.commit_exactly(used, bytes)
    }

    /// Commits a range of this region; other memory is left alone.
    pub(super) fn ensure_committed(&self, start: *const u8, len: usize) -> Result<(), OutOfMemory> {
        let offset = start.addr().wrapping_sub(self.control.base().addr());
        // Whatever a ledger hands out is committed.
        if len == 0 || offset >= self.control.reserved() || Self::WATCHED {
            return Ok(());
        }
        self.commit_exactly(offset, len)
    }

    /// Commits `bytes` bytes at an offset, and no more.
    fn commit_exactly(&self, offset: usize, bytes: usize) -> Result<(), OutOfMemory> {
        grow(self.control, offset, offset.saturating_add(bytes), GrowReason::Ahead)
            .map_err(|refusal| not_ahead(self.control, self.used(), bytes, refusal))?;
        self.refresh_limit();
        Ok(())
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> BlockSource for Cursor<MIN_ALIGN, CHECKED> {
    const CHECKED: bool = CHECKED;

    /// On the failing side of the check nothing comes back, so there is nothing to merge and the compiler folds
    /// through it.
    #[inline(always)]
    fn allocate(&self, size: usize, align: usize, caller: CallSite) -> *mut u8 {
        if size == 0 {
            return dangling(align);
        }
        if Self::WATCHED {
            return self.allocate_watched(size, align, caller);
        }
        let block = self.block(size, align);
        if block.end > self.limit.get().addr() {
            #[cfg(highwater_fault)]
            refuse::<MIN_ALIGN>(self.control, self.position.get(), size, align);
            #[cfg(not(highwater_fault))]
            self.limit.set(extend(self.control, self.position.get(), size, block.end, GrowReason::Write));
        }
        self.advance(block)
    }

    #[inline(always)]
    fn allocate_committed(&self, size: usize, align: usize, caller: CallSite) -> *mut u8 {
        if size == 0 {
            return dangling(align);
        }
        if Self::WATCHED {
            return self.allocate_watched(size, align, caller);
        }
        let block = self.block(size, align);
        if block.end > self.committed_limit() {
            self.limit.set(extend(self.control, self.position.get(), size, block.end, GrowReason::Request));
        }
        self.advance(block)
    }

    #[inline(always)]
    fn try_allocate(
        &self,
        size: usize,
        align: usize,
        caller: CallSite,
        reason: GrowReason,
    ) -> Result<*mut u8, OutOfMemory> {
        if size == 0 {
            return Ok(dangling(align));
        }
        if Self::WATCHED {
            return self.try_allocate_watched(size, align, caller);
        }
        let block = self.block(size, align);
        if block.end > self.committed_limit() {
            let limit = commit(self.control, self.position.get(), size, block.end, reason)?;
            self.limit.set(limit);
        }
        Ok(self.advance(block))
    }

    fn fits(&self, size: usize, align: usize) -> bool {
        size == 0 || self.block(size, align).end - self.control.base().addr() <= self.usable_bytes()
    }

    #[inline(always)]
    fn is_last(&self, start: *const u8, len: usize) -> bool {
        if Self::WATCHED {
            return self.is_last_watched(start, len);
        }
        len > 0
            && start.addr() >= self.start.addr()
            && align_up(start.addr().wrapping_add(len), MIN_ALIGN) == Some(self.position.get().addr())
    }

    /// The block stays where it is, but for a watched cursor's, which moves.
    fn resize_last(&self, start: *mut u8, old: usize, new: usize) -> Result<Option<*mut u8>, OutOfMemory> {
        if Self::WATCHED {
            return self.resize_last_watched(start, old, new, 1);
        }
        if !self.is_last(start, old) || !start.addr().is_multiple_of(MIN_ALIGN) {
            return Ok(None);
        }
        let before = self.position.get();
        self.position.set(before.with_addr(start.addr()));
        let moved = self.try_allocate(new, 1, None, GrowReason::Request);
        if moved.is_err() {
            self.position.set(before);
        }
        moved.map(Some)
    }

    #[inline(always)]
    fn position(&self) -> *mut u8 {
        self.position.get()
    }

    #[inline(always)]
    fn undo(&self, before: *mut u8, block: *mut u8, size: usize) {
        if self.is_last(block, size) {
            self.set_position(before);
        }
    }

    #[inline(always)]
    fn undo_at(&self, before: *mut u8, after: *mut u8, _block: *mut u8, _size: usize) {
        if self.position.get() == after {
            self.set_position(before);
        }
    }

    #[inline(always)] // the cursor's address stays in here
    fn no_layout(&self, len: usize, size: usize) -> OutOfMemory {
        no_layout(self.control, self.position.get(), len, size)
    }
}

/// The error of bytes that could not be committed ahead.
pub(super) fn not_ahead(
    control: &'static ControlBlock,
    used: usize,
    bytes: usize,
    refusal: Refusal,
) -> OutOfMemory {
    let request = RefusedRequest::Allocation { requested: bytes, effective: bytes };
    OutOfMemory::new(control, request, used, refusal)
}

/// The error of a check that failed: `size` bytes would end at the address `end`, their padding included.
#[cold]
#[inline(never)]
pub(super) fn check_error(
    control: &'static ControlBlock,
    position: *mut u8,
    size: usize,
    end: usize,
) -> OutOfMemory {
    let used = position.addr() - control.base().addr();
    let effective = end.saturating_sub(position.addr());
    let refusal = Refusal::past_limit(
        used.saturating_add(effective),
        control.usable_bytes(),
        control.requested_reserve(),
    );
    OutOfMemory::new(control, RefusedRequest::Allocation { requested: size, effective }, used, refusal)
}

/// The error of a length that no layout can have.
#[cold]
#[inline(never)]
fn no_layout(control: &'static ControlBlock, position: *mut u8, len: usize, size: usize) -> OutOfMemory {
    check_error(control, position, len.saturating_mul(size), usize::MAX)
}

/// The failing side of the check: the first line of a report, as a panic. Where the block would end is
/// computed again, so that what the caller holds in registers is the position alone.
#[cfg(highwater_fault)]
#[cold]
#[inline(never)]
fn refuse<const MIN_ALIGN: usize>(
    control: &'static ControlBlock,
    position: *mut u8,
    size: usize,
    align: usize,
) -> ! {
    let end = bump_up(position.addr(), size, align, MIN_ALIGN).end;
    panic_with(check_error(control, position, size, end))
}

/// Commits a block that ends beyond what is committed, and returns the new limit of the cursor.
#[cold]
#[inline(never)]
pub(super) fn commit(
    control: &'static ControlBlock,
    position: *mut u8,
    size: usize,
    end: usize,
    reason: GrowReason,
) -> Result<*mut u8, OutOfMemory> {
    let base = control.base().addr();
    let (used, to) = (position.addr() - base, end - base);
    if to > control.usable_bytes() {
        return Err(check_error(control, position, size, end));
    }
    grow(control, used, to, reason).map_err(|refusal| {
        let request = RefusedRequest::Allocation { requested: size, effective: end - position.addr() };
        OutOfMemory::new(control, request, used, refusal)
    })?;
    Ok(limit_of::<false>(control))
}

/// The limit of a cursor over a region, as things stand.
pub(super) fn limit_of<const CHECKED: bool>(control: &ControlBlock) -> *mut u8 {
    let usable = control.usable_bytes();
    let checked_elsewhere = cfg!(highwater_fault) || (CHECKED && sys::HAS_PROTECTION);
    let offset = if checked_elsewhere { usable } else { usable.min(control.frontier.get()) };
    control.base().wrapping_add(offset)
}

/// The cold side of a check that commits: what [`commit`] returns, or a panic. The error stays in here, so
/// that the caller needs no stack for it.
#[cold]
#[inline(never)]
pub(super) fn extend(
    control: &'static ControlBlock,
    position: *mut u8,
    size: usize,
    end: usize,
    reason: GrowReason,
) -> *mut u8 {
    match commit(control, position, size, end, reason) {
        Ok(limit) => limit,
        Err(error) => panic_with(error),
    }
}
