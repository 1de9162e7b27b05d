//! How allocations of a checked arena end: they are verified and closed, and their addresses kept for a while.

use super::Allocation;
use super::ledger::{Corruption, Ledger, PROTECTED};
use super::queue::SpanQueue;
use super::record::RecordSnapshot;
use core::cell::RefCell;
use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;

impl Ledger {
    /// Gives up every allocation that was made with `used` bytes or more in use: what the scopes that ended
    /// meanwhile allocated. Returns how many those were.
    pub(crate) fn rewind(&self, used: usize) -> Result<u64, Corruption> {
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
        if self.top.get().is_none() {
            // Nothing is open any more, so there are no holes in it.
            PROTECTED.fetch_sub(self.holes.replace(0), Relaxed);
        }
        self.next_generation();
        Ok(count)
    }

    /// Takes an allocation out of the order, as given up.
    fn end(&self, place: u32, entry: &RecordSnapshot) -> Result<(), Corruption> {
        let result = self.verify(entry);
        self.table.join(entry.previous, entry.following);
        if self.top.get() == Some(place) {
            self.top.set(entry.previous);
        }
        self.table.set_ended(place, self.generation());
        if entry.guarded && !self.control.guards_by_advice() {
            PROTECTED.fetch_sub(1, Relaxed);
        }
        result
    }

    /// Closes a span; its addresses stay taken for a while.
    fn give_up(&self, span: Range<usize>) {
        self.shut(&span, true);
        let oldest = self.given_up.borrow_mut().push_back(span, self.generation());
        oldest.into_iter().for_each(|span| self.release(span));
    }

    /// The same for one allocation among others.
    fn give_up_one(&self, span: Range<usize>) {
        /// How many, and how many bytes, are kept for each generation that is.
        const MAX_SPANS: usize = 1024;
        const MAX_BYTES: usize = 64 << 20;
        let mut affordable = true;
        if !self.control.guards_by_advice() && self.top.get().is_some() {
            affordable = PROTECTED.load(Relaxed) < self.max_protected;
            if affordable {
                PROTECTED.fetch_add(1, Relaxed);
                self.holes.set(self.holes.get() + 1);
            }
        }
        self.shut(&span, affordable);
        self.freed_bytes.set(self.freed_bytes.get() + span.len());
        let oldest = self.freed.borrow_mut().push_back(span, self.generation());
        if let Some(span) = oldest {
            self.forget_freed(&span);
            self.release(span);
        }
        let keeps = self.keeps as usize;
        let (max_spans, max_bytes) = (MAX_SPANS.saturating_mul(keeps), MAX_BYTES.saturating_mul(keeps));
        while self.freed.borrow().len() > max_spans || self.freed_bytes.get() > max_bytes {
            let oldest = self.freed.borrow_mut().pop_front();
            let Some((span, _)) = oldest else { break };
            self.forget_freed(&span);
            self.release(span);
        }
    }

    /// Makes a span inaccessible if that is affordable and the system agrees; its memory goes back in any case.
    fn shut(&self, span: &Range<usize>, affordable: bool) {
        if affordable && self.control.protect_by_remap(span.start, span.end, self.name.as_c_str()).is_ok() {
            self.ajar.borrow_mut().cut(span.clone());
            return;
        }
        self.control.purge(span.start, span.end);
        self.ajar.borrow_mut().cover(span.clone());
    }

    pub(super) fn forget_freed(&self, span: &Range<usize>) {
        self.freed_bytes.set(self.freed_bytes.get().saturating_sub(span.len()));
    }

    fn next_generation(&self) {
        let now = self.generation().wrapping_add(1).max(1);
        self.generation.store(now, Relaxed);
        let expired = |queue: &RefCell<SpanQueue>| {
            let mut queue = queue.borrow_mut();
            let (_, ended) = queue.front()?;
            (now.wrapping_sub(ended) > self.keeps).then(|| queue.pop_front()).flatten()
        };
        while let Some((span, _)) = expired(&self.given_up) {
            self.release(span);
        }
        while let Some((span, _)) = expired(&self.freed) {
            self.forget_freed(&span);
            self.release(span);
        }
    }

    /// Lets addresses be used again; they are closed until then.
    pub(super) fn release(&self, span: Range<usize>) {
        self.next.set(self.next.get().min(span.start));
        self.taken.borrow_mut().remove(span);
    }

    /// The live allocation that begins at an offset and has at least `size` bytes. (It has more where it was shrunk
    /// through a child scope, which may not change it.)
    fn live_at(&self, offset: usize, size: usize) -> Option<(u32, RecordSnapshot)> {
        let place = self.table.place_of(offset);
        let fits = |entry: &RecordSnapshot| entry.start == offset && entry.size >= size && entry.ended == 0;
        Some((place, self.table.get(place).filter(fits)?))
    }

    /// What was in use before the live allocation of at least `size` bytes at an offset; `None` if there is none.
    pub(crate) fn before(&self, offset: usize, size: usize) -> Option<usize> {
        Some(self.live_at(offset, size)?.1.before)
    }

    /// Gives up the allocation at an offset, wherever it is in the order; `None` if there is no such live one.
    pub(crate) fn free(&self, offset: usize, size: usize) -> Option<Result<Allocation, Corruption>> {
        let (place, entry) = self.live_at(offset, size)?;
        let ended = self.end(place, &entry);
        let (first, _, end) = self.table.pages(&entry);
        self.give_up_one(first..end);
        Some(ended.map(|()| entry.allocation()))
    }

    /// Lets the live allocation at an offset end earlier, where it is; `None` if there is no such one. What it no
    /// longer has becomes slack, or is closed where it is whole pages.
    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(crate) fn shrink(&self, offset: usize, old: usize, new: usize) -> Option<Result<(), Corruption>> {
        let (place, entry) = self.live_at(offset, old)?;
        if let Err(broken) = self.verify(&entry) {
            return Some(Err(broken));
        }
        #[cfg(not(highwater_portable))]
        if self.control.is_not_inherited() {
            return Some(Ok(())); // in a forked child there is nothing to write to
        }
        let (_, _, before) = self.table.pages(&entry);
        let entry = RecordSnapshot { size: new, ..entry };
        self.table.set_size(place, new);
        let (_, data_end, end) = self.table.pages(&entry);
        if end < before {
            // The guard first: these pages were open.
            if entry.guarded {
                self.shut(&(data_end..end), true);
            }
            self.give_up_one(end..before);
        }
        let [_, slack] = self.slack(&entry);
        self.fill(slack);
        Some(Ok(()))
    }

    /// Gives up an allocation whose place another one has taken.
    pub(crate) fn forget_moved(&self, offset: usize, size: usize) -> Result<(), Corruption> {
        match self.free(offset, size) {
            Some(ended) => ended.map(drop),
            None => Ok(()),
        }
    }
}
