//! The checked side of a cursor: allocations that a ledger places.
//!
//! Position and limit of such a cursor are those of an unchecked one that allocates the same, so limits, figures
//! and errors are the same to the byte. Where a block really is, the ledger says.

use super::cursor::{Cursor, check_error};
use super::source::{CallSite, panic_with};
use crate::admission::{OutOfMemory, Refusal, RefusedRequest, explain};
use crate::builder::BuildInputs;
use crate::grow::{GrowReason, grow};
use crate::guard::{Corruption, EventKind, Ledger, PlacementRequest};
use crate::math::bump::bump_up;
use crate::region::{BuildError, ControlBlock, GuardError, Region};
use crate::report;
use core::ops::Range;
use core::panic::Location;
use core::sync::atomic::Ordering::Relaxed;

impl<const MIN_ALIGN: usize, const CHECKED: bool> Cursor<MIN_ALIGN, CHECKED> {
    /// # Panics
    /// When a log sink uses the arena whose event it is called with.
    fn ledger(&self) -> &'static Ledger {
        let ledger = ledger_of(self.control());
        assert!(!ledger.is_emitting(), "highwater: a log sink used the arena whose event it was called with");
        ledger
    }

    /// Where live blocks end, guards included, in bytes from the region's first one.
    pub(super) fn live_end_watched(&self) -> usize {
        self.give_up_ended();
        self.ledger().live_end()
    }

    /// Places a guard over a range that no block has or had of late.
    pub(super) fn guard_at_watched(
        &self,
        region: &mut Region,
        range: Range<usize>,
    ) -> Result<(), GuardError> {
        self.give_up_ended();
        let ledger = self.ledger();
        if !range.is_empty() && !ledger.is_free(&range) {
            return Err(GuardError::InUse { guard: range, used: self.used() });
        }
        ledger.make_room(range.end)?;
        // SAFETY: the ledger has no block in the range, live or given up, and `region` is borrowed mutably.
        let placed = unsafe { region.guard_at(range.clone()) };
        // It is on the region's list also when the system refused to close it at once.
        if let Ok(()) | Err(GuardError::Refused(_)) = &placed {
            ledger.reserve(range);
        }
        placed
    }

    /// Ends the ledger, after a last look at the bytes around live blocks.
    ///
    /// # Safety
    /// The arena is being dropped, and no scope of it is left.
    pub(super) unsafe fn close_watched(&self) {
        self.give_up_ended();
        // SAFETY: nothing else holds the ledger: required by this function's contract.
        let closed = unsafe { Ledger::close(self.control()) };
        or_report(self.control(), closed);
    }

    /// Gives up what was allocated past the position: by a scope that has ended, or before a rewind.
    pub(super) fn give_up_ended(&self) {
        let (ledger, used) = (self.ledger(), self.used());
        let allocations = or_report(self.control(), ledger.rewind(used));
        if allocations > 0 && ledger.has_sink() {
            let what =
                if used == 0 { EventKind::Reset { allocations } } else { EventKind::Rewound { allocations } };
            ledger.emit(what, Some(used));
        }
    }

    #[inline(never)]
    pub(super) fn allocate_watched(&self, size: usize, align: usize, caller: CallSite) -> *mut u8 {
        match self.try_allocate_watched(size, align, caller) {
            Ok(place) => place,
            Err(error) => panic_with(error),
        }
    }

    #[inline(never)]
    pub(super) fn try_allocate_watched(
        &self,
        size: usize,
        align: usize,
        caller: CallSite,
    ) -> Result<*mut u8, OutOfMemory> {
        self.give_up_ended();
        let position = self.position();
        let block = self.block(size, align);
        if block.end > self.limit.get().addr() {
            return Err(check_error(self.control(), position, size, block.end));
        }
        let caller = caller.unwrap_or_else(|| Location::caller());
        let wanted = PlacementRequest { size, align: align.max(MIN_ALIGN), before: self.used(), caller };
        let place = self.put(&wanted).map_err(|refusal| {
            let request =
                RefusedRequest::Allocation { requested: size, effective: block.end - position.addr() };
            OutOfMemory::new(self.control(), request, self.used(), refusal)
        })?;
        self.set_position_only(position.with_addr(block.end));
        self.control().counters.touched.fetch_max(self.used(), Relaxed);
        let ledger = self.ledger();
        if let (true, Some((allocation, _))) = (ledger.has_sink(), ledger.last()) {
            let (address, align, ordinal) = (place.addr(), wanted.align, allocation.ordinal);
            ledger.emit(EventKind::Allocated { address, size, align, ordinal, caller }, Some(self.used()));
        }
        Ok(place)
    }

    /// Commits a place for a block and hands it to the ledger.
    fn put(&self, wanted: &PlacementRequest) -> Result<*mut u8, Refusal> {
        let (control, ledger) = (self.control(), self.ledger());
        let Some(fit) = ledger.fit(wanted) else {
            return Err(Refusal::past_limit(usize::MAX, control.reserved(), control.reserved()));
        };
        let before = control.frontier.get();
        grow(control, fit.first, fit.end, GrowReason::Request)?;
        let bytes = control.frontier.get().saturating_sub(before);
        ledger.allocate(&fit, wanted).map_err(|errno| explain(errno, fit.end - fit.first))?;
        if bytes > 0 && ledger.has_sink() {
            ledger.emit(EventKind::Grown { bytes }, Some(wanted.before));
        }
        let place = control.base().wrapping_add(fit.start);
        debug_assert!(place.addr().is_multiple_of(wanted.align), "a block is aligned");
        Ok(place)
    }

    /// Commits what the next `bytes` bytes need when they are one block.
    pub(super) fn commit_ahead_watched(&self, bytes: usize) -> Result<(), Refusal> {
        self.give_up_ended();
        if bytes == 0 {
            return Ok(());
        }
        let (control, caller) = (self.control(), Location::caller());
        let wanted = PlacementRequest { size: bytes, align: MIN_ALIGN, before: self.used(), caller };
        match self.ledger().fit(&wanted) {
            Some(fit) => grow(control, fit.first, fit.end, GrowReason::Ahead),
            None => Err(Refusal::past_limit(usize::MAX, control.reserved(), control.reserved())),
        }
    }

    /// The bytes in use before the last block, if that is this cursor's own and begins and ends as said.
    fn before_last(&self, start: *const u8, len: usize) -> Option<usize> {
        self.give_up_ended();
        let (last, before) = self.ledger().last()?;
        let (base, own) = (self.control().base().addr(), self.start().addr());
        (len > 0 && base + last.offset == start.addr() && last.size == len && base + before >= own)
            .then_some(before)
    }

    pub(super) fn is_last_watched(&self, start: *const u8, len: usize) -> bool {
        self.before_last(start, len).is_some()
    }

    /// A block of another size, aligned to `align` at least, with the same contents, in the last one's stead.
    /// `None` if it is not the last, or if an unchecked arena's would not be aligned to that.
    pub(super) fn resize_last_watched(
        &self,
        start: *mut u8,
        old: usize,
        new: usize,
        align: usize,
    ) -> Result<Option<*mut u8>, OutOfMemory> {
        let (Some(before), Some((last, _))) = (self.before_last(start, old), self.ledger().last()) else {
            return Ok(None);
        };
        let from = self.control().base().wrapping_add(before);
        let block = bump_up(from.addr(), new, last.align, MIN_ALIGN);
        if !block.start.is_multiple_of(align) {
            return Ok(None);
        }
        let align = align.max(last.align);
        if new == 0 {
            self.free_watched(start, old);
            return Ok(Some(core::ptr::without_provenance_mut(align)));
        }
        if block.end > self.limit.get().addr() {
            return Err(check_error(self.control(), from, new, block.end));
        }
        let wanted = PlacementRequest { size: new, align, before, caller: last.caller };
        let place = self.put(&wanted).map_err(|refusal| {
            let request = RefusedRequest::Allocation { requested: new, effective: block.end - from.addr() };
            OutOfMemory::new(self.control(), request, before, refusal)
        })?;
        // SAFETY: both blocks are live, as long as that, and two.
        unsafe { place.copy_from_nonoverlapping(start, old.min(new)) };
        let ledger = self.ledger();
        or_report(self.control(), ledger.forget_moved(last.offset, old));
        self.set_position_only(from.with_addr(block.end));
        if let (true, Some((moved, _))) = (ledger.has_sink(), ledger.last()) {
            let (address, ordinal) = (place.addr(), moved.ordinal);
            ledger.emit(EventKind::Resized { address, from: old, to: new, ordinal }, Some(self.used()));
        }
        Ok(Some(place))
    }

    /// Lets a block end earlier where it is.
    ///
    /// # Panics
    /// If there is no such block.
    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    #[cold]
    pub(super) fn shrink_watched(&self, start: *const u8, old: usize, new: usize) {
        if new == 0 {
            return self.free_watched(start, old);
        }
        self.give_up_ended();
        if let Some(offset) = self.own("shrunk", start, old) {
            self.ledger()
                .shrink(offset, old, new)
                .into_iter()
                .for_each(|shrunk| or_report(self.control(), shrunk));
        }
    }

    /// The offset of a live block of this very cursor; `None` for an ancestor's, which is left alone.
    fn own(&self, what: &str, start: *const u8, size: usize) -> Option<usize> {
        let base = self.control().base().addr();
        let offset = start.addr().wrapping_sub(base);
        match self.ledger().before(offset, size) {
            Some(before) => (base + before >= self.start().addr()).then_some(offset),
            None => panic!(
                "highwater: {what}: {size} bytes at {start:p}, where no allocation of that size lives in this arena"
            ),
        }
    }

    /// Frees a block of this arena; if it is this cursor's last one, its bytes may be used again.
    ///
    /// # Panics
    /// If there is no such block.
    #[cold]
    pub(super) fn free_watched(&self, start: *const u8, size: usize) {
        if size == 0 {
            return;
        }
        let before = self.before_last(start, size);
        let freed = self.own("freed", start, size).and_then(|offset| self.ledger().free(offset, size));
        let Some(freed) = freed else { return };
        let freed = or_report(self.control(), freed);
        if let Some(before) = before {
            let from = self.control().base().wrapping_add(before);
            let block = bump_up(from.addr(), size, freed.align, MIN_ALIGN);
            self.set_position_only(from.with_addr(block.start));
        }
        if self.ledger().has_sink() {
            let (address, ordinal) = (start.addr(), freed.ordinal);
            self.ledger().emit(EventKind::Freed { address, size, ordinal }, Some(self.used()));
        }
    }
}

/// Makes a region a checked arena's.
pub(super) fn open_watched(region: &Region, inputs: BuildInputs<'_>) -> Result<(), BuildError> {
    Ledger::open(region, inputs.guard, inputs.options.event_sink.transpose()?)
}

/// The ledger of a checked arena, which lives as long as that.
fn ledger_of(control: &'static ControlBlock) -> &'static Ledger {
    Ledger::of(control).expect("a checked arena has a ledger")
}

/// What was found, or a report and the end where bytes around an allocation were overwritten.
fn or_report<T>(control: &ControlBlock, found: Result<T, Corruption>) -> T {
    match found {
        Ok(found) => found,
        Err(corruption) => report::corrupted(control, &corruption),
    }
}
