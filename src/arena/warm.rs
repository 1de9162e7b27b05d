//! An arena that waits for its next user: how much of it stays warm.

use super::arena_type::Arena;
use crate::fallible::{self, Exhausted};
use crate::policy::Growth;

/// How many uses an arena's memory stays for without being needed.
pub(super) const DECAY: u32 = 64;
/// Committed bytes that an arena keeps while it waits, at most.
pub(super) const MAX_COMMITTED: usize = 16 << 20;
/// Arenas that wait at most.
pub(super) const MAX_IDLE: usize = 16;
/// What is not worth giving back.
const LITTLE: usize = 64 << 10;

/// An arena, and what is known of its use.
///
/// It is passed around in a box: moving one word is faster than moving an arena whose position was just written (a copy
/// by large words waits for the small store).
pub(super) struct WarmArena {
    pub(super) arena: Arena,
    /// What was committed when it was last put away; of one that is accessible from the start, what may be present.
    kept: usize,
    /// Where its first guard was when it was made.
    guard: usize,
    /// The most that is known to have been used since the last look.
    peak: usize,
    /// Uses since the last look.
    uses: u32,
}

impl WarmArena {
    pub(super) fn new(arena: Arena) -> Result<Box<WarmArena>, Exhausted> {
        let guard = arena.region().control().first_guard();
        let mut warm = fallible::boxed(WarmArena { kept: 0, guard, peak: 0, uses: 0, arena })?;
        warm.kept = warm.held(usize::MAX);
        Ok(warm)
    }

    /// The committed bytes, of which `keep` were not given back just now.
    fn held(&self, keep: usize) -> usize {
        let committed = self.arena.committed_bytes();
        // Its pages go, and it stays accessible.
        if self.arena.region().growth() == Growth::Upfront { committed.min(keep) } else { committed }
    }

    /// Makes the arena ready to wait, with at most `max_committed` bytes committed; false if it is not fit for strangers,
    /// because a guard was placed in it.
    ///
    /// Every `decay` uses, committed memory that was not used is given back by halves. What a scope used is not to
    /// be seen afterwards, but when half was too little the arena grows again, and that is.
    pub(super) fn rest(&mut self, max_committed: usize, decay: u32) -> bool {
        let arena = &mut self.arena;
        if arena.region().control().first_guard() != self.guard {
            return false;
        }
        let committed = arena.committed_bytes();
        let grown = if committed > self.kept { committed } else { 0 };
        self.peak = self.peak.max(arena.allocated_bytes()).max(grown);
        self.uses = self.uses.saturating_add(1);
        arena.reset();
        arena.set_allocation_limit(None);
        let mut keep = max_committed;
        if self.uses >= decay {
            keep = keep.min(self.peak.max(committed / 2).max(LITTLE));
            (self.peak, self.uses) = (0, 0);
        }
        if committed > keep {
            arena.trim(keep);
        }
        self.kept = self.held(keep);
        true
    }

    /// Gives back what is committed past the first `keep` bytes, of an arena that waits.
    pub(super) fn cut(&mut self, keep: usize) {
        self.arena.trim(keep);
        self.kept = self.held(keep);
    }

    pub(super) fn committed(&self) -> usize {
        self.kept
    }
}
