//! The one number that the threads of a shared arena share: the next free address.
//!
//! Plain integers, so that the real file also runs under loom. The rules:
//!
//! - A block is handed out when the number *before* the addition leaves room for it below the end. The number may
//!   run past the end; from there on every addition fails.
//! - A failed addition is never undone: between the addition and its undoing others add, and would be handed what
//!   is below twice. The number is brought back to the end, and not further, so that no count of failures can wrap it.
//! - The number goes down in one case only: the owner of the last block may end it earlier, by compare-and-swap
//!   from exactly that block's end.
//!
//! So at any time the number is at or after the end of every block that is in use.

use super::atomic::{AtomicUsize, Ordering};

/// The most that is added without looking first, 4 GiB. Every thread of a process may be between a failed addition and
/// the clamp: 2^22 of them (what Linux allows at most) times this stay far below what would wrap. Where addresses are
/// shorter that cannot be said of any number, and everything goes by compare-and-swap.
pub(super) const MAX_ADDED: usize = if usize::BITS >= 64 { 1 << (usize::BITS / 2) } else { 0 };

/// The next free address.
pub(super) struct Counter {
    next: AtomicUsize,
}

impl Counter {
    pub(super) fn new(next: usize) -> Self {
        Counter { next: AtomicUsize::new(next) }
    }

    /// The next free address; past the end after failed additions.
    #[inline(always)]
    pub(super) fn get(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Starts again. Only with exclusive access to the arena.
    pub(super) fn set(&mut self, next: usize) {
        // (Not `get_mut`, which loom does not have.)
        self.next.store(next, Ordering::Relaxed);
    }

    /// Allocates `bytes` bytes, at most [`MAX_ADDED`], and returns their start if they end at or before `end`.
    /// Otherwise [`clamp`](Self::clamp) has to follow. Wait-free.
    #[inline(always)]
    pub(super) fn add(&self, bytes: usize, end: usize) -> Result<usize, usize> {
        debug_assert!(bytes <= MAX_ADDED, "what is added without looking is bounded");
        // Acquire: the bytes may have been freed by another thread, whose last use of them comes first.
        let start = self.next.fetch_add(bytes, Ordering::Acquire);
        if start + bytes <= end { Ok(start) } else { Err(start) }
    }

    /// After a failed addition: back to the end.
    pub(super) fn clamp(&self, end: usize) {
        self.next.fetch_min(end, Ordering::Relaxed);
    }

    /// Allocates what `plan` says: given the next free address, the one after the block, and a result. It is called
    /// again when another thread was faster. Nothing changes when it fails. Lock-free.
    #[inline]
    pub(super) fn allocate_with<R, E>(
        &self,
        mut plan: impl FnMut(usize) -> Result<(usize, R), E>,
    ) -> Result<R, E> {
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            let (after, result) = plan(next)?;
            match self.next.compare_exchange_weak(next, after, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(result),
                Err(now) => next = now,
            }
        }
    }

    /// Lets the last block, which ends at `from`, end at `to`; whether it was the last. Only for its owner.
    #[inline]
    pub(super) fn resize(&self, from: usize, to: usize) -> bool {
        // Release: what the owner did with the bytes it gives up comes before whatever the next owner does.
        self.next.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
