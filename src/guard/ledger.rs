//! What a checked arena knows of its allocations, and where it puts them.
//!
//! Everything of such an arena's region is inaccessible but the pages of live allocations. An allocation gets
//! pages of its own, ends where they end, and the page behind them stays closed. What is given up is closed at
//! once, and its addresses are not used again for a number of generations.
//!
//! The ledger has one owner at a time, the thread that holds the arena or its innermost scope. The handler only
//! reads, and only what [`Table`] and the atomics say.

use super::event::{Event, Sink, What};
use super::record::{Entry, Table};
use super::spans::Spans;
use super::{Allocation, Kind, Place};
use crate::math::page::align_up;
use crate::policy::{GuardMechanism, GuardPolicy};
use crate::region::{GuardError, NAME_BYTES, Region, Slot};
use crate::sys::{self, Errno};
use core::cell::{Cell, RefCell};
use core::ops::Range;
use core::panic::Location;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicUsize};
use std::collections::VecDeque;
use std::ffi::CString;

/// What the bytes of an allocation's pages that are not its own are filled with.
const SLACK: u8 = 0xa5;

/// Guards by protection that are in force in this process, each of which costs two mappings.
static PROTECTED: AtomicUsize = AtomicUsize::new(0);

/// See the module.
pub(crate) struct Ledger {
    slot: &'static Slot,
    table: Table,
    page: usize,
    /// How many guards by protection all checked arenas together may have.
    most: usize,
    generation: AtomicU32,
    keeps: u32,
    /// The place of the newest live allocation.
    top: Cell<Option<u32>>,
    ordinal: Cell<u64>,
    /// Where the next gap is looked for.
    next: Cell<usize>,
    /// Every n-th allocation had a guard when mappings were scarcest.
    every: Cell<u64>,
    unguarded: Cell<u64>,
    taken: RefCell<Spans>,
    /// Spans that were given up, with the generation they ended in, oldest first.
    given_up: RefCell<VecDeque<(Range<usize>, u32)>>,
    /// The region's name in the maps file.
    name: CString,
    sink: Option<Sink>,
}

/// What is to be placed.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) size: usize,
    pub(crate) align: usize,
    /// What is in use before it, as an unchecked arena would count it.
    pub(crate) before: usize,
    pub(crate) caller: &'static Location<'static>,
}

/// Where it fits, in bytes from the region's first one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
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
pub(crate) struct Broken {
    pub(crate) kind: Kind,
    pub(crate) allocation: Allocation,
    /// The byte furthest away.
    pub(crate) offset: usize,
}

impl Ledger {
    /// Makes a region a checked arena's: from now on nothing of it is accessible but what allocations have.
    pub(crate) fn open(region: &Region, policy: &GuardPolicy, sink: Option<Sink>) -> Result<(), GuardError> {
        let slot = region.slot();
        debug_assert!(!slot.is_checked(), "a region has one arena");
        let frontier = slot.frontier.get();
        if frontier > 0 && slot.close(0, frontier).is_err() {
            // Locked memory cannot be marked, and old kernels mark anonymous memory only.
            if policy.mechanism == GuardMechanism::Advice {
                return Err(GuardError::NoMechanism(policy.mechanism));
            }
            slot.guard_by_protection();
            slot.close(0, frontier).map_err(GuardError::refused)?;
        }
        let mut taken = Spans::default();
        for guard in slot.placed_guards().filter(|guard| !guard.is_empty()) {
            if taken.is_free(&guard) {
                taken.insert(guard);
            }
        }
        let ledger = Box::new(Ledger {
            slot,
            table: Table::for_region(slot.reserved()).map_err(GuardError::refused)?,
            page: sys::page_size(),
            // Each costs two mappings; half of them are left to the rest of the program.
            most: sys::most_mappings() / 4,
            generation: AtomicU32::new(1),
            keeps: policy.generations,
            top: Cell::new(None),
            ordinal: Cell::new(0),
            next: Cell::new(0),
            every: Cell::new(1),
            unguarded: Cell::new(0),
            taken: RefCell::new(taken),
            given_up: RefCell::new(VecDeque::new()),
            name: region.vma_name().to_owned(),
            sink,
        });
        slot.ledger.store(Box::into_raw(ledger).cast(), Release);
        Ok(())
    }

    /// The ledger of a checked arena's region. Signal-safe.
    pub(crate) fn of(slot: &Slot) -> Option<&Ledger> {
        let ledger = NonNull::new(slot.ledger.load(Acquire).cast::<Ledger>())?;
        // SAFETY: a ledger lives until its arena is dropped, which is when nobody touches its region any more.
        Some(unsafe { ledger.as_ref() })
    }

    /// Ends the ledger, after a last look at the slack.
    ///
    /// # Safety
    /// The arena is being dropped: nobody holds the ledger.
    pub(crate) unsafe fn close(slot: &Slot) -> Result<(), Broken> {
        let Some(ledger) = NonNull::new(slot.ledger.swap(core::ptr::null_mut(), Acquire).cast::<Ledger>())
        else {
            return Ok(());
        };
        // SAFETY: made by `open` from a box, and nobody has it any more.
        let ledger = unsafe { Box::from_raw(ledger.as_ptr()) };
        let mut result = Ok(());
        for entry in ledger.live() {
            if entry.guarded && !slot.guards_by_advice() {
                PROTECTED.fetch_sub(1, Relaxed);
            }
            if result.is_ok() {
                result = ledger.verify(&entry);
            }
        }
        result
    }

    /// The live allocations, the newest first.
    fn live(&self) -> impl Iterator<Item = Entry> {
        let newest = self.top.get().and_then(|place| self.table.get(place));
        core::iter::successors(newest, |entry| self.table.get(entry.previous?))
    }

    /// The generation. Signal-safe.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// What is known of a byte, and the allocation that it is in or comes after. Signal-safe.
    pub(crate) fn look(&self, offset: usize) -> (Place, Option<Allocation>) {
        if self.slot.guard_over(offset).is_some() {
            return (Place::Guarded, None);
        }
        let (place, entry) = self.table.look(offset);
        (place, entry.map(|entry| entry.allocation()))
    }

    /// Where a block fits; `None` when the region has no room for it.
    pub(crate) fn fit(&self, wanted: &Wanted) -> Option<Fit> {
        let guarded = self.is_due();
        let base = self.slot.base().addr();
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
            (end <= gap.end).then_some(Fit { first, start, data_end, end })
        };
        let find = |from| self.taken.borrow().first_gap(from, self.slot.reserved(), fit);
        loop {
            if let Some(fit) = find(self.next.get()).or_else(|| find(0)) {
                return Some(fit);
            }
            // What was given up is let go early rather than refuse.
            let (span, _) = self.given_up.borrow_mut().pop_front()?;
            self.release(span);
        }
    }

    /// Whether the next allocation gets a guard.
    fn is_due(&self) -> bool {
        if self.slot.guards_by_advice() {
            return true;
        }
        let left = self.most.saturating_sub(PROTECTED.load(Relaxed));
        let every = match left {
            0 => u64::MAX,
            left if left >= self.most / 2 => 1,
            left => (self.most / left).next_power_of_two() as u64,
        };
        if self.every.get() < every {
            // Told once for each n, not again after every reset.
            self.every.set(every);
            self.tell(What::Degraded { every }, None);
        }
        self.unguarded.get() + 1 >= every
    }

    /// Gives an allocation its place, which must be committed.
    pub(crate) fn take(&self, fit: &Fit, wanted: &Wanted) -> Result<(), Errno> {
        self.slot.open(fit.first, fit.data_end)?;
        let guarded = fit.end > fit.data_end;
        self.taken.borrow_mut().insert(fit.first..fit.end);
        self.next.set(fit.end);
        self.unguarded.set(if guarded { 0 } else { self.unguarded.get() + 1 });
        if guarded && !self.slot.guards_by_advice() {
            PROTECTED.fetch_add(1, Relaxed);
        }
        let entry = Entry {
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
        for slack in self.slack(&entry) {
            // SAFETY: the bytes lie in pages that were just opened, and belong to nobody.
            unsafe { self.slot.base().add(slack.start).write_bytes(SLACK, slack.len()) };
        }
        let place = self.table.put(&entry, fit.end);
        self.table.join(entry.previous, Some(place));
        self.top.set(Some(place));
        Ok(())
    }

    /// The bytes of an allocation's pages before and behind it.
    fn slack(&self, entry: &Entry) -> [Range<usize>; 2] {
        let (first, data_end, _) = self.table.pages(entry);
        [first..entry.start, entry.end()..data_end]
    }

    /// Whether nobody wrote to the slack of an allocation.
    fn verify(&self, entry: &Entry) -> Result<(), Broken> {
        #[cfg(not(highwater_portable))]
        if self.slot.was_left_behind() {
            return Ok(()); // a forked child has nothing to look at
        }
        let [before, behind] = self.slack(entry).map(|slack| {
            // SAFETY: the pages of a live allocation are open. Whoever overwrote the bytes is done with it: the
            // memory is being given up.
            let bytes =
                unsafe { core::slice::from_raw_parts(self.slot.base().add(slack.start), slack.len()) };
            (slack, bytes)
        });
        // All of it at once where nothing is wrong: byte by byte this is half of what giving up costs.
        let differs = |bytes: &[u8]| bytes.iter().fold(0, |seen, &byte| seen | (byte ^ SLACK)) != 0;
        if !differs(before.1) && !differs(behind.1) {
            return Ok(());
        }
        let broken = |kind, offset| Broken { kind, allocation: entry.allocation(), offset };
        if let Some(last) = behind.1.iter().rposition(|&byte| byte != SLACK) {
            return Err(broken(Kind::Overflow, behind.0.start + last));
        }
        match before.1.iter().position(|&byte| byte != SLACK) {
            Some(first) => Err(broken(Kind::Underflow, before.0.start + first)),
            None => Ok(()),
        }
    }

    /// The newest live allocation, and what was in use before it.
    pub(crate) fn last(&self) -> Option<(Allocation, usize)> {
        let entry = self.table.get(self.top.get()?)?;
        Some((entry.allocation(), entry.before))
    }

    /// Gives up every allocation that was made with `used` bytes or more in use: what the scopes that ended
    /// meanwhile allocated. Returns how many those were.
    pub(crate) fn rewind(&self, used: usize) -> Result<u64, Broken> {
        let mut count = 0;
        let mut closing: Option<Range<usize>> = None;
        while let Some((place, entry)) =
            self.top.get().and_then(|place| Some((place, self.table.get(place)?)))
        {
            if entry.before < used {
                break;
            }
            count += 1;
            self.end(place, &entry)?;
            let (first, _, end) = self.table.pages(&entry);
            // Newest first: neighbours come in descending order, and are closed as one.
            closing = match closing {
                Some(span) if span.start == end => Some(first..span.end),
                other => {
                    other.into_iter().for_each(|span| self.give_up(span));
                    Some(first..end)
                }
            };
        }
        let Some(span) = closing else { return Ok(count) };
        self.give_up(span);
        self.next_generation();
        Ok(count)
    }

    /// Takes an allocation out of the order, as given up.
    fn end(&self, place: u32, entry: &Entry) -> Result<(), Broken> {
        let result = self.verify(entry);
        self.table.join(entry.previous, entry.following);
        if self.top.get() == Some(place) {
            self.top.set(entry.previous);
        }
        self.table.set_ended(place, self.generation());
        if entry.guarded && !self.slot.guards_by_advice() {
            PROTECTED.fetch_sub(1, Relaxed);
        }
        result
    }

    /// Closes a span; its addresses stay taken for a while.
    fn give_up(&self, span: Range<usize>) {
        // A mapping more than the system allows, at worst: then it stays open, which catches less and breaks
        // nothing.
        let _ = self.slot.close_afresh(span.start, span.end, &self.name);
        self.given_up.borrow_mut().push_back((span, self.generation()));
    }

    fn next_generation(&self) {
        let now = self.generation().wrapping_add(1).max(1);
        self.generation.store(now, Relaxed);
        loop {
            let mut given_up = self.given_up.borrow_mut();
            match given_up.front() {
                Some((_, ended)) if now.wrapping_sub(*ended) > self.keeps => {}
                _ => break,
            }
            let oldest = given_up.pop_front();
            drop(given_up);
            oldest.into_iter().for_each(|(span, _)| self.release(span));
        }
    }

    /// Lets addresses be used again; they are closed until then.
    fn release(&self, span: Range<usize>) {
        self.next.set(self.next.get().min(span.start));
        self.taken.borrow_mut().remove(span);
    }

    /// The live allocation that begins at an offset and has at least `size` bytes. (It has more where it was shrunk
    /// by somebody who may not change it.)
    fn live_at(&self, offset: usize, size: usize) -> Option<(u32, Entry)> {
        let place = self.table.place_of(offset);
        let fits = |entry: &Entry| entry.start == offset && entry.size >= size && entry.ended == 0;
        Some((place, self.table.get(place).filter(fits)?))
    }

    /// What was in use before the live allocation of at least `size` bytes at an offset; `None` if there is none.
    pub(crate) fn before(&self, offset: usize, size: usize) -> Option<usize> {
        Some(self.live_at(offset, size)?.1.before)
    }

    /// Gives up the allocation at an offset, wherever it is in the order; `None` if there is no such live one.
    pub(crate) fn free(&self, offset: usize, size: usize) -> Option<Result<Allocation, Broken>> {
        let (place, entry) = self.live_at(offset, size)?;
        let ended = self.end(place, &entry);
        let (first, _, end) = self.table.pages(&entry);
        self.give_up(first..end);
        Some(ended.map(|()| entry.allocation()))
    }

    /// Lets the live allocation at an offset end earlier, where it is; `None` if there is no such one. What it no
    /// longer has becomes slack, or is closed where it is whole pages.
    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(crate) fn shrink(&self, offset: usize, old: usize, new: usize) -> Option<Result<(), Broken>> {
        let (place, entry) = self.live_at(offset, old)?;
        if let Err(broken) = self.verify(&entry) {
            return Some(Err(broken));
        }
        let (_, _, before) = self.table.pages(&entry);
        let entry = Entry { size: new, ..entry };
        self.table.set_size(place, new);
        let (_, data_end, end) = self.table.pages(&entry);
        if end < before {
            // The guard first: these pages were open.
            if entry.guarded {
                let _ = self.slot.close(data_end, end);
            }
            self.give_up(end..before);
        }
        let [_, slack] = self.slack(&entry);
        // SAFETY: as in `take`; the allocation gave these bytes up.
        unsafe { self.slot.base().add(slack.start).write_bytes(SLACK, slack.len()) };
        Some(Ok(()))
    }

    /// Gives up the newest allocation but one, whose place the newest takes.
    pub(crate) fn forget_moved(&self) -> Result<(), Broken> {
        let Some(newest) = self.live().next() else { return Ok(()) };
        let Some((place, moved)) = newest.previous.and_then(|place| Some((place, self.table.get(place)?)))
        else {
            return Ok(());
        };
        let ended = self.end(place, &moved);
        let (first, _, end) = self.table.pages(&moved);
        self.give_up(first..end);
        ended
    }

    /// Where live allocations end, guards included.
    pub(crate) fn live_end(&self) -> usize {
        self.live().map(|entry| self.table.pages(&entry).2).max().unwrap_or(0)
    }

    /// Keeps a span for a guard that was placed there; false if allocations have it or had it of late.
    pub(crate) fn reserve(&self, span: &Range<usize>) -> bool {
        let mut taken = self.taken.borrow_mut();
        let free = taken.is_free(span);
        if free {
            taken.insert(span.clone());
        }
        free
    }

    /// Tells the sink; a note about fewer guards goes to standard error where there is none.
    pub(crate) fn tell(&self, what: What, used: Option<usize>) {
        let is_note = matches!(what, What::Degraded { .. });
        if self.sink.is_none() && !is_note {
            return;
        }
        let mut name = [0; NAME_BYTES];
        let base = self.slot.base().addr();
        let event = Event {
            what,
            arena: self.slot.name(&mut name),
            region: self.slot.id.load(Relaxed),
            generation: self.generation(),
            start: base,
            current: base + self.next.get(),
            end: base + self.slot.frontier.get(),
            used: used.unwrap_or_else(|| self.slot.counters.touched.load(Relaxed)),
        };
        match &self.sink {
            Some(sink) => sink(&event),
            None => eprintln!("highwater: {event}"),
        }
    }

    /// Whether anybody listens.
    pub(crate) fn is_told(&self) -> bool {
        self.sink.is_some()
    }
}
