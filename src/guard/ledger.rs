//! What a checked arena knows of its allocations, and where it puts them.
//!
//! Everything of such an arena's region is inaccessible but the pages of live allocations. An allocation gets
//! pages of its own, ends where they end, and the page behind them stays closed. What is given up is closed at
//! once, and its addresses are not used again for a number of generations.
//!
//! The ledger has one owner at a time, the thread that holds the arena or its innermost scope. The handler only
//! reads, and only what [`RecordTable`] and the atomics say.

use super::event::{Event, EventKind, EventSink};
use super::queue::SpanQueue;
use super::record::{RecordSnapshot, RecordTable};
use super::spans::PageSet;
use super::{Allocation, PageState, ViolationKind};
use crate::fallible;
use crate::math::page::align_up;
use crate::policy::{GuardMechanism, GuardPolicy};
use crate::region::{BuildError, ControlBlock, GuardError, NAME_BYTES, NameInMaps, Region};
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Errno};
use core::any::Any;
use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::panic::Location;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicUsize};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the bytes of an allocation's pages that are not its own are filled with.
const SLACK: u8 = 0xa5;

/// Guards by protection that are in force in this process, each of which costs two mappings.
pub(super) static PROTECTED: AtomicUsize = AtomicUsize::new(0);

/// See the module.
pub(crate) struct Ledger {
    pub(super) control: &'static ControlBlock,
    pub(super) table: RecordTable,
    page: usize,
    /// How many guards by protection all checked arenas together may have.
    pub(super) max_protected: usize,
    pub(super) generation: AtomicU32,
    pub(super) keeps: u32,
    /// The place of the newest live allocation.
    pub(super) top: Cell<Option<u32>>,
    ordinal: Cell<u64>,
    /// Where the next gap is looked for.
    pub(super) next: Cell<usize>,
    /// Every n-th allocation had a guard when mappings were scarcest.
    every: Cell<u64>,
    unguarded: Cell<u64>,
    pub(super) taken: RefCell<PageSet>,
    /// What was given up and could not be closed, or would have cost too many mappings.
    pub(super) ajar: RefCell<PageSet>,
    /// Spans that a rewind gave up, with the generation they ended in, oldest first.
    pub(super) given_up: RefCell<SpanQueue>,
    /// The same of single allocations that were freed or moved, and their bytes.
    pub(super) freed: RefCell<SpanQueue>,
    pub(super) freed_bytes: Cell<usize>,
    /// Freed allocations that are closed in the middle of open ones, each of which costs two mappings more.
    pub(super) holes: Cell<usize>,
    /// The sink is being called: it must not come back.
    emitting: Cell<bool>,
    /// The region's name in the maps file.
    pub(super) name: NameInMaps,
    sink: Option<EventSink>,
}

/// What is to be placed.
#[derive(Clone, Copy)]
pub(crate) struct PlacementRequest {
    pub(crate) size: usize,
    pub(crate) align: usize,
    /// What is in use before it, as an unchecked arena would count it.
    pub(crate) before: usize,
    pub(crate) caller: &'static Location<'static>,
}

/// Where it fits, in bytes from the region's first one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    /// The first page.
    pub(crate) first: usize,
    /// The allocation's first byte.
    pub(crate) start: usize,
    /// The end of the pages that it has.
    data_end: usize,
    /// The end of the guard behind them.
    pub(crate) end: usize,
}

/// Bytes around an allocation that were overwritten.
pub(crate) struct Corruption {
    pub(crate) kind: ViolationKind,
    pub(crate) allocation: Allocation,
    /// The byte furthest away.
    pub(crate) offset: usize,
}

impl Ledger {
    /// Makes a region a checked arena's: from now on nothing of it is accessible but what allocations have.
    pub(crate) fn open(
        region: &Region,
        policy: &GuardPolicy,
        sink: Option<EventSink>,
    ) -> Result<(), BuildError> {
        let ledger = Self::new(region, policy, sink).map_err(BuildError::Guard)?;
        let ledger = fallible::boxed(ledger)?;
        ledger.control.ledger.store(Box::into_raw(ledger).cast(), Release);
        Ok(())
    }

    fn new(region: &Region, policy: &GuardPolicy, sink: Option<EventSink>) -> Result<Self, GuardError> {
        let control = region.control();
        debug_assert!(!control.is_checked(), "a region has one arena");
        // At least a page, to find out whether this very memory can be marked.
        let closed = control.frontier.get().max(sys::page_size());
        control
            .protect(0, closed)
            .map_err(|errno| GuardError::refused(errno, RefusedCall::Commit(closed)))?;
        if policy.mechanism == GuardMechanism::Advice && !control.has_requested_guards() {
            return Err(GuardError::NoMechanism(policy.mechanism));
        }
        let mut taken = PageSet::for_region(control.reserved())?;
        for guard in control.placed_guards() {
            taken
                .grow(guard.end)
                .map_err(|errno| GuardError::refused(errno, RefusedCall::Commit(guard.end)))?;
            taken.cover(guard);
        }
        Ok(Ledger {
            control,
            table: RecordTable::for_region(control.reserved())?,
            page: sys::page_size(),
            // Each costs two mappings; half of them are left to the rest of the program.
            max_protected: sys::max_mappings() / 4,
            generation: AtomicU32::new(1),
            keeps: policy.generations,
            top: Cell::new(None),
            ordinal: Cell::new(0),
            next: Cell::new(0),
            every: Cell::new(1),
            unguarded: Cell::new(0),
            taken: RefCell::new(taken),
            ajar: RefCell::new(PageSet::for_region(control.reserved())?),
            given_up: RefCell::new(SpanQueue::new()?),
            freed: RefCell::new(SpanQueue::new()?),
            freed_bytes: Cell::new(0),
            holes: Cell::new(0),
            emitting: Cell::new(false),
            name: region.name_in_maps(),
            sink,
        })
    }

    /// The ledger of a checked arena's region. Signal-safe.
    pub(crate) fn of(control: &ControlBlock) -> Option<&Ledger> {
        let ledger = NonNull::new(control.ledger.load(Acquire).cast::<Ledger>())?;
        // SAFETY: a ledger lives until its arena is dropped, and the arena's region is not used after that.
        Some(unsafe { ledger.as_ref() })
    }

    /// Ends the ledger, after a last look at the slack.
    ///
    /// # Safety
    /// The arena is being dropped: no reference to the ledger is held.
    pub(crate) unsafe fn close(control: &ControlBlock) -> Result<(), Corruption> {
        let Some(ledger) = NonNull::new(control.ledger.swap(core::ptr::null_mut(), Acquire).cast::<Ledger>())
        else {
            return Ok(());
        };
        // SAFETY: made by `open` from a box, and swapped out: no other pointer to it is left.
        let ledger = unsafe { Box::from_raw(ledger.as_ptr()) };
        // A touch of the region before it is released must not make it grow.
        control.reach.store(0, Relaxed);
        PROTECTED.fetch_sub(ledger.holes.get(), Relaxed);
        let mut result = Ok(());
        for entry in ledger.live() {
            if entry.guarded && !control.guards_by_advice() {
                PROTECTED.fetch_sub(1, Relaxed);
            }
            if result.is_ok() {
                result = ledger.verify(&entry);
            }
        }
        result
    }

    /// The live allocations, the newest first.
    fn live(&self) -> impl Iterator<Item = RecordSnapshot> {
        let newest = self.top.get().and_then(|place| self.table.get(place));
        core::iter::successors(newest, |entry| self.table.get(entry.previous?))
    }

    /// The generation. Signal-safe.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// What is known of a byte, and the allocation that it is in or comes after. Signal-safe.
    pub(crate) fn look(&self, offset: usize) -> (PageState, Option<Allocation>) {
        if self.control.guard_over(offset).is_some() {
            return (PageState::Guarded, None);
        }
        let (place, entry) = self.table.look(offset);
        (place, entry.map(|entry| entry.allocation()))
    }

    /// Where a block fits; `None` when the region has no room for it.
    pub(crate) fn fit(&self, wanted: &PlacementRequest) -> Option<Placement> {
        let guarded = self.is_due();
        let base = self.control.base().addr();
        let fit = |gap: Range<usize>| {
            let data = align_up(wanted.size, self.page)?;
            let (first, start) = if wanted.align > self.page {
                let first = align_up(base.checked_add(gap.start)?, wanted.align)?.checked_sub(base)?;
                (first, first)
            } else {
                let padded = align_up(wanted.size, wanted.align)?;
                (gap.start, gap.start + (data - padded))
            };
            let data_end = first.checked_add(data)?;
            let end = data_end.checked_add(if guarded { self.page } else { 0 })?;
            (end <= gap.end).then_some(Placement { first, start, data_end, end })
        };
        let reserved = self.control.reserved();
        let find = |from| self.taken.borrow().first_gap(from, reserved, fit);
        if let Some(fit) = find(self.next.get()).or_else(|| find(0)) {
            return Some(fit);
        }
        // What was given up is let go early rather than refuse, but not for nothing.
        {
            let (mut taken, given_up, freed) =
                (self.taken.borrow_mut(), self.given_up.borrow(), self.freed.borrow());
            let spans = || given_up.iter().chain(freed.iter());
            spans().for_each(|span| taken.remove(span));
            let fits = taken.first_gap(0, reserved, fit).is_some();
            spans().for_each(|span| taken.insert(span));
            if !fits {
                return None;
            }
        }
        loop {
            let oldest = self.freed.borrow_mut().pop_front().inspect(|(span, _)| self.forget_freed(span));
            let (span, _) = oldest.or_else(|| self.given_up.borrow_mut().pop_front())?;
            let at = span.start;
            self.release(span);
            let gap = self.taken.borrow().gap_around(at, reserved);
            if let Some(fit) = fit(gap) {
                return Some(fit);
            }
        }
    }

    /// Whether the next allocation gets a guard.
    fn is_due(&self) -> bool {
        if self.control.guards_by_advice() {
            return true;
        }
        let left = self.max_protected.saturating_sub(PROTECTED.load(Relaxed));
        let every = match left {
            0 => u64::MAX,
            left if left >= self.max_protected / 2 => 1,
            left => (self.max_protected / left).next_power_of_two() as u64,
        };
        if self.every.get() < every {
            // An event once for each n, and not again after every reset.
            self.every.set(every);
            self.emit(EventKind::Degraded { every }, None);
        }
        self.unguarded.get() + 1 >= every
    }

    /// Gives an allocation its place, which must be committed.
    pub(crate) fn take(&self, fit: &Placement, wanted: &PlacementRequest) -> Result<(), Errno> {
        self.table.grow(fit.end)?;
        self.taken.borrow_mut().grow(fit.end)?;
        self.ajar.borrow_mut().grow(fit.end)?;
        let mut guarded = fit.end > fit.data_end;
        let guard = fit.data_end..fit.end;
        if guarded && !self.ajar.borrow().is_free(&guard) {
            guarded = self.control.protect(guard.start, guard.end).is_ok();
        }
        self.control.unprotect(fit.first, fit.data_end)?;
        let end = if guarded { fit.end } else { fit.data_end };
        self.ajar.borrow_mut().cut(fit.first..end);
        self.taken.borrow_mut().insert(fit.first..end);
        self.next.set(end);
        self.unguarded.set(if guarded { 0 } else { self.unguarded.get() + 1 });
        if guarded && !self.control.guards_by_advice() {
            PROTECTED.fetch_add(1, Relaxed);
        }
        let entry = RecordSnapshot {
            start: fit.start,
            size: wanted.size,
            before: wanted.before,
            caller: wanted.caller,
            ordinal: self.ordinal.get(),
            align: wanted.align,
            born: self.generation(),
            ended: 0,
            previous: self.top.get(),
            following: None,
            guarded,
        };
        self.ordinal.set(entry.ordinal + 1);
        self.slack(&entry).into_iter().for_each(|slack| self.fill(slack));
        let place = self.table.put(&entry, end);
        self.table.join(entry.previous, Some(place));
        self.top.set(Some(place));
        Ok(())
    }

    /// The bytes of an allocation's pages before and behind it.
    pub(super) fn slack(&self, entry: &RecordSnapshot) -> [Range<usize>; 2] {
        let (first, data_end, _) = self.table.pages(entry);
        [first..entry.start, entry.end()..data_end]
    }

    /// Fills slack with the pattern.
    pub(super) fn fill(&self, slack: Range<usize>) {
        // SAFETY: the bytes lie in the pages of a live allocation, which are open, and are not its own.
        unsafe { self.control.base().add(slack.start).write_bytes(SLACK, slack.len()) };
    }

    /// Whether the slack of an allocation is unchanged.
    pub(super) fn verify(&self, entry: &RecordSnapshot) -> Result<(), Corruption> {
        #[cfg(not(highwater_portable))]
        if self.control.is_not_inherited() {
            return Ok(()); // a forked child has nothing to look at
        }
        let [before, behind] = self.slack(entry).map(|slack| {
            // SAFETY: the pages of a live allocation are open. Whoever overwrote the bytes is done with it: the
            // memory is being given up.
            let bytes =
                unsafe { core::slice::from_raw_parts(self.control.base().add(slack.start), slack.len()) };
            (slack, bytes)
        });
        // All of it at once where nothing is wrong: byte by byte this is half of what giving up costs.
        let differs = |bytes: &[u8]| bytes.iter().fold(0, |seen, &byte| seen | (byte ^ SLACK)) != 0;
        if !differs(before.1) && !differs(behind.1) {
            return Ok(());
        }
        let broken = |kind, offset| Corruption { kind, allocation: entry.allocation(), offset };
        if let Some(last) = behind.1.iter().rposition(|&byte| byte != SLACK) {
            return Err(broken(ViolationKind::Overflow, behind.0.start + last));
        }
        match before.1.iter().position(|&byte| byte != SLACK) {
            Some(first) => Err(broken(ViolationKind::Underflow, before.0.start + first)),
            None => Ok(()),
        }
    }

    /// The newest live allocation, and what was in use before it.
    pub(crate) fn last(&self) -> Option<(Allocation, usize)> {
        let entry = self.table.get(self.top.get()?)?;
        Some((entry.allocation(), entry.before))
    }

    /// Where live allocations end, guards included.
    pub(crate) fn live_end(&self) -> usize {
        self.live().map(|entry| self.table.pages(&entry).2).max().unwrap_or(0)
    }

    /// Whether no allocation has anything of a span, or had it of late.
    pub(crate) fn is_free(&self, span: &Range<usize>) -> bool {
        self.taken.borrow().is_free(span)
    }

    /// Makes room for [`reserve`](Ledger::reserve), up to an offset.
    pub(crate) fn make_room(&self, end: usize) -> Result<(), GuardError> {
        let grown = self.taken.borrow_mut().grow(end);
        grown.map_err(|errno| GuardError::refused(errno, RefusedCall::Commit(end)))
    }

    /// Keeps a free span for a guard that was placed there.
    pub(crate) fn reserve(&self, span: Range<usize>) {
        self.taken.borrow_mut().insert(span);
    }

    /// Calls the sink with an event; without a sink, one about fewer guards goes to standard error.
    pub(crate) fn emit(&self, what: EventKind, used: Option<usize>) {
        let is_note = matches!(what, EventKind::Degraded { .. });
        if self.sink.is_none() && !is_note {
            return;
        }
        let mut name = [0; NAME_BYTES];
        let base = self.control.base().addr();
        let event = Event {
            what,
            arena: self.control.name(&mut name),
            region: self.control.id.load(Relaxed),
            generation: self.generation(),
            start: base,
            current: base + self.next.get(),
            end: base + self.control.frontier.get(),
            used: used.unwrap_or_else(|| self.control.counters.touched.load(Relaxed)),
        };
        let Some(sink) = &self.sink else {
            // A standard error that is closed or full is no reason to fail.
            let _ = writeln!(std::io::stderr(), "highwater: {event}");
            return;
        };
        self.emitting.set(true);
        // In the middle of a call that has blocks to look after: a panic ends here, after its message.
        if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| sink(&event))) {
            drop_thrown(thrown);
        }
        self.emitting.set(false);
    }

    /// Whether the sink is being called at this moment.
    pub(crate) fn is_emitting(&self) -> bool {
        self.emitting.get()
    }

    /// Whether there is a sink.
    pub(crate) fn has_sink(&self) -> bool {
        self.sink.is_some()
    }
}

/// Drops what a panic threw. That may panic as well, and so may dropping what *it* throws: that is not dropped.
fn drop_thrown(thrown: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(thrown))) {
        core::mem::forget(next);
    }
}
