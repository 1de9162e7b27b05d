//! Where the next block of a checked arena goes.

use super::event::EventKind;
use super::ledger::{Ledger, PROTECTED};
use super::record::RecordSnapshot;
use crate::math::page::align_up;
use crate::sys::Errno;
use core::ops::Range;
use core::panic::Location;
use core::sync::atomic::Ordering::Relaxed;

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
    pub(super) data_end: usize,
    /// The end of the guard behind them.
    pub(crate) end: usize,
}

impl Ledger {
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

    /// Records an allocation at its place, which must be committed, and makes it accessible.
    pub(crate) fn allocate(&self, fit: &Placement, wanted: &PlacementRequest) -> Result<(), Errno> {
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
}
