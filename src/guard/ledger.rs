//! What a checked arena knows of its allocations, and where it puts them.
//!
//! Everything of such an arena's region is inaccessible but the pages of live allocations. An allocation gets
//! pages of its own, ends where they end, and the page behind them stays closed. What is given up is closed at
//! once, and its addresses are not used again for a number of generations.
//!
//! The ledger has one owner at a time, the thread that holds the arena or its innermost scope. The handler only
//! reads, and only what [`RecordTable`] and the atomics say.

use super::event::EventSink;
use super::queue::SpanQueue;
use super::record::{RecordSnapshot, RecordTable};
use super::spans::PageSet;
use super::{Allocation, PageState, ViolationKind};
use crate::fallible;
use crate::policy::{GuardMechanism, GuardPolicy};
use crate::region::{BuildError, ControlBlock, GuardError, NameInMaps, Region};
use crate::sys;
use crate::sys::evidence::RefusedCall;
use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicUsize};

/// What the bytes of an allocation's pages that are not its own are filled with.
const SLACK: u8 = 0xa5;

/// Guards by protection that are in force in this process, each of which costs two mappings.
pub(super) static PROTECTED: AtomicUsize = AtomicUsize::new(0);

/// See the module.
pub(crate) struct Ledger {
    pub(super) control: &'static ControlBlock,
    pub(super) table: RecordTable,
    pub(super) page: usize,
    /// How many guards by protection all checked arenas together may have.
    pub(super) max_protected: usize,
    pub(super) generation: AtomicU32,
    pub(super) keeps: u32,
    /// The place of the newest live allocation.
    pub(super) top: Cell<Option<u32>>,
    pub(super) ordinal: Cell<u64>,
    /// Where the next gap is looked for.
    pub(super) next: Cell<usize>,
    /// Every n-th allocation had a guard when mappings were scarcest.
    pub(super) every: Cell<u64>,
    pub(super) unguarded: Cell<u64>,
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
    pub(super) emitting: Cell<bool>,
    /// The region's name in the maps file.
    pub(super) name: NameInMaps,
    pub(super) sink: Option<EventSink>,
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
            // SAFETY: the pages of a live allocation are open. The code that may have overwritten the bytes has ended: the
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
}
