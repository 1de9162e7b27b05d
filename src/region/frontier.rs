//! The frontier: how far a region is committed, moved up by any number of threads at once.
//!
//! No thread waits. A thread that needs bytes past the frontier commits the whole range from the frontier that it read to
//! where its step ends, and only then raises the frontier to at least there. To commit is idempotent, so two threads may do
//! it for overlapping ranges. What lies below the frontier is accessible at every moment, because the thread that raised it
//! over a byte had committed that byte or found it below the frontier already. A thread that stops in the middle (in a
//! forked child the others are gone) delays no other and leaves nothing to repair.
//!
//! The atomic comes from the parent module, so that the same file runs under loom.

use super::atomic::{AtomicUsize, Ordering};

/// The end of a region's committed part, in bytes from its base.
#[derive(Debug)]
pub(crate) struct Frontier(AtomicUsize);

impl Frontier {
    pub(crate) fn new(offset: usize) -> Self {
        Frontier(AtomicUsize::new(offset))
    }

    /// Everything below the returned offset is accessible.
    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Raises the frontier to at least `to`, and returns how far that moved it: other threads may have moved it meanwhile.
    /// The caller has read the frontier, and committed everything from there to `to`.
    #[inline]
    pub(crate) fn raise(&self, to: usize) -> usize {
        let before = self.0.fetch_max(to, Ordering::AcqRel);
        to.saturating_sub(before)
    }

    /// Moves the frontier, down as well. The caller has the region to itself.
    pub(crate) fn set(&self, offset: usize) {
        self.0.store(offset, Ordering::Release);
    }
}
