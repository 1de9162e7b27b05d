//! Where a region's memory ends and its file begins, once it has spilled.
//!
//! One word: up to where commits were admitted, and what became of the rest. Whoever claims the rest does so in one
//! step, so every commit that was admitted before lies below the border, and none is admitted after. Nobody waits: who
//! comes while the rest is being mapped touches its memory again.
//!
//! The atomic comes from the parent module, so that the same file runs under loom.

use super::atomic::{AtomicUsize, Ordering};

/// The rest was claimed: nothing is admitted in memory any more.
const CLAIMED: usize = 1;
/// The rest is mapped over by the file.
const MAPPED: usize = 2;
/// That did not work, and is not tried again.
const FAILED: usize = 4;
const FLAGS: usize = CLAIMED | MAPPED | FAILED;

/// See the module. Ends are offsets from the region's base, multiples of the page size.
#[derive(Debug)]
pub(crate) struct Border(AtomicUsize);

/// What became of the rest of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It is memory, like everything before it.
    InMemory,
    /// Somebody is mapping it over.
    Pending,
    /// It lives in the file from this offset on.
    InFile(usize),
    /// The file could not be mapped.
    Failed,
}

impl Border {
    pub(crate) fn new() -> Self {
        Border(AtomicUsize::new(0))
    }

    fn rest_of(word: usize) -> Rest {
        if word & FAILED != 0 {
            Rest::Failed
        } else if word & MAPPED != 0 {
            Rest::InFile(word & !FLAGS)
        } else if word & CLAIMED != 0 {
            Rest::Pending
        } else {
            Rest::InMemory
        }
    }

    pub(crate) fn rest(&self) -> Rest {
        Self::rest_of(self.0.load(Ordering::Acquire))
    }

    /// Admits a commit in memory up to `end`; what was admitted before, or `None` once the rest is claimed.
    pub(crate) fn admit(&self, end: usize) -> Option<usize> {
        let raise = |word: usize| (word & FLAGS == 0).then(|| word.max(end));
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, raise).ok()
    }

    /// A commit up to `end` came to nothing: takes it back if nobody was admitted or claimed the rest since.
    pub(crate) fn withdraw(&self, end: usize, before: usize) {
        let _ = self.0.compare_exchange(end, before, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Claims the rest. The border, for whoever is first and has to map it; otherwise what became of it.
    pub(crate) fn claim(&self) -> Result<usize, Rest> {
        match self.0.fetch_or(CLAIMED, Ordering::AcqRel) {
            word if word & FLAGS == 0 => Ok(word),
            word => Err(Self::rest_of(word)),
        }
    }

    /// Says how mapping went. Only for whoever claimed the rest.
    pub(crate) fn finish(&self, mapped: bool) {
        self.0.fetch_or(if mapped { MAPPED } else { FAILED }, Ordering::AcqRel);
    }

    /// Everything is memory again, and committed up to `end`. Only for whoever has the region to themselves.
    pub(crate) fn reset(&self, end: usize) {
        self.0.store(end, Ordering::Release);
    }
}
