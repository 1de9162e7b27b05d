//! The frontier: how far a region is committed, moved up by any number of threads at once.
//!
//! Nobody waits. A thread that wants bytes past the frontier makes the whole range from the frontier it
//! read to the one it plans accessible, and only then raises the frontier to at least there. Committing is
//! idempotent, so two threads may do it for overlapping ranges; what lies below the frontier is accessible
//! at every moment, because whoever raised it over a byte had committed that byte or found it below the
//! frontier already. A thread that stops in the middle (or is left behind by a fork) holds nobody up and
//! leaves nothing to repair.
//!
//! The atomic comes from the parent module, so that the same file runs under loom.

use super::atomic::{AtomicUsize, Ordering};

/// The end of a region's committed part, in bytes from its base.
#[derive(Debug)]
pub(crate) struct Frontier(AtomicUsize);

/// What became of a wish for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrontierAdvance {
    /// The bytes were committed already.
    Covered,
    /// This thread committed the bytes from `from` to `to`.
    Grown {
        /// The frontier that was read before.
        from: usize,
        /// The frontier is at least here now.
        to: usize,
        /// How far that moved it: other threads may have moved it meanwhile.
        moved: usize,
    },
}

impl Frontier {
    pub(crate) fn new(offset: usize) -> Self {
        Frontier(AtomicUsize::new(offset))
    }

    /// Everything below the returned offset is accessible.
    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Sees to it that the bytes below `wanted` are accessible. `plan` says where the frontier should go
    /// from where it is, `commit` makes a range accessible; an error of either leaves the frontier alone.
    pub(crate) fn advance<E>(
        &self,
        wanted: usize,
        plan: impl FnOnce(usize) -> Result<usize, E>,
        commit: impl FnOnce(usize, usize) -> Result<(), E>,
    ) -> Result<FrontierAdvance, E> {
        let from = self.get();
        if wanted <= from {
            return Ok(FrontierAdvance::Covered);
        }
        let to = plan(from)?;
        commit(from, to)?;
        let before = self.0.fetch_max(to, Ordering::AcqRel);
        Ok(FrontierAdvance::Grown { from, to, moved: to.saturating_sub(before) })
    }

    /// Moves the frontier, down as well. Only for whoever has the region to themselves.
    pub(crate) fn set(&self, offset: usize) {
        self.0.store(offset, Ordering::Release);
    }
}
