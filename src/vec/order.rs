//! Publication in order: which places of a shared vector are claimed, and how many are published.
//!
//! Plain integers, so that the real file also runs under loom. A thread claims a place by an addition, writes it, and
//! publishes it. `published` counts the places that are written without a gap, so a thread whose turn it is not marks its
//! place as ready instead and leaves its publication to the thread that fills the gap. No thread waits.
//!
//! - While `published` stands at a place that is not marked, only that place's owner moves it.
//! - A thread that has moved it looks at the next place afterwards; a thread that has marked a place looks at `published`
//!   afterwards. In one order of all these accesses, either the one sees the mark or the other sees that it is its turn.

use super::atomic::{AtomicU8, AtomicUsize, Ordering, in_one_order};

/// The mark of a place that is written and not published by its owner.
pub(super) const READY: u8 = 1;

/// How far places are claimed and published.
pub(super) struct PublicationOrder {
    /// The next place that is not claimed; it may run past the end.
    claimed: AtomicUsize,
    /// The places before this are written, and no longer change.
    published: AtomicUsize,
}

impl PublicationOrder {
    pub(super) fn new(len: usize) -> Self {
        PublicationOrder { claimed: AtomicUsize::new(len), published: AtomicUsize::new(len) }
    }

    /// How many places are published. What was written to them is visible.
    #[inline(always)]
    pub(super) fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// Claims a place before `end`, if there is one. Wait-free.
    #[inline(always)]
    pub(super) fn claim(&self, end: usize) -> Option<usize> {
        let place = self.claimed.fetch_add(1, Ordering::SeqCst);
        if place < end {
            return Some(place);
        }
        // So that no number of failures can wrap it.
        self.claimed.fetch_min(end, Ordering::SeqCst);
        None
    }

    /// Claims a place that `prepare` agrees to; it is called again when another thread was faster. Lock-free.
    pub(super) fn try_claim<E>(&self, mut prepare: impl FnMut(usize) -> Result<(), E>) -> Result<usize, E> {
        let mut place = self.claimed.load(Ordering::SeqCst);
        loop {
            prepare(place)?;
            match self.claimed.compare_exchange(place, place + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(place),
                Err(now) => place = now,
            }
        }
    }

    /// Publishes the claimed place `place`, before `end`, which is written, and those after it that wait for it.
    /// Lock-free: every turn of the loop publishes one.
    #[inline]
    pub(super) fn publish<'m>(&self, place: usize, end: usize, mark: impl Fn(usize) -> &'m AtomicU8) {
        if self.published.load(Ordering::SeqCst) == place {
            // It is this thread's turn, and stays so: no other thread moves it past a place without a mark.
            self.published.store(place + 1, Ordering::SeqCst);
            in_one_order();
            // Most often no thread has claimed the next place, and its mark need not be looked at.
            if self.claimed.load(Ordering::SeqCst) > place + 1 {
                self.publish_marked(place + 1, end, mark);
            }
            return;
        }
        mark(place).store(READY, Ordering::SeqCst);
        in_one_order();
        if self.published.load(Ordering::SeqCst) == place {
            self.publish_marked(place, end, mark);
        }
    }

    /// Publishes the places from `next` on as far as they are marked.
    #[cold]
    #[inline(never)]
    fn publish_marked<'m>(&self, mut next: usize, end: usize, mark: impl Fn(usize) -> &'m AtomicU8) {
        while next < end
            && next < self.claimed.load(Ordering::SeqCst)
            && mark(next).load(Ordering::SeqCst) == READY
            // Where another thread moved it, that thread looks further.
            && self
                .published
                .compare_exchange(next, next + 1, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        {
            in_one_order();
            next += 1;
        }
    }

    /// Publishes one more place, whichever: for values that are all the same.
    pub(super) fn count(&self) {
        self.published.fetch_add(1, Ordering::SeqCst);
    }

    /// All places are free again. Only with exclusive access to the vector; the caller clears the marks as well.
    pub(super) fn restart(&mut self) {
        *self = PublicationOrder::new(0);
    }
}
