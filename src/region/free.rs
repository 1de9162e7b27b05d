//! A stack of free numbers, for any number of threads at once. No thread waits, and nothing is allocated: each
//! number on the stack keeps the one below it in a word of its own.
//!
//! The atomics come from the parent module, so that the same file runs under loom.

use super::atomic::{AtomicU32, AtomicU64, Ordering};

/// The low half is the number on top plus one, the high half counts changes, so that a pop which was
/// overtaken does not mistake the same number on top for the same stack.
#[derive(Debug)]
pub(crate) struct FreeList(pub(crate) AtomicU64);

impl FreeList {
    /// Takes a number. `below` finds a number's word.
    pub(crate) fn pop<'l>(&self, below: impl Fn(u32) -> Option<&'l AtomicU32>) -> Option<u32> {
        let mut head = self.0.load(Ordering::Acquire);
        loop {
            let number = top(head)?;
            let next = after(head, below(number)?.load(Ordering::Relaxed));
            match self.0.compare_exchange_weak(head, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(number),
                Err(now) => head = now,
            }
        }
    }

    /// Puts a number back that the caller owns. `below` is its word.
    pub(crate) fn push(&self, number: u32, below: &AtomicU32) {
        let mut head = self.0.load(Ordering::Acquire);
        loop {
            below.store(head as u32, Ordering::Relaxed);
            let next = after(head, number + 1);
            match self.0.compare_exchange_weak(head, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

fn top(head: u64) -> Option<u32> {
    (head as u32).checked_sub(1)
}

/// The head after a change that puts `top` (a number plus one, or 0) on top.
fn after(head: u64, top: u32) -> u64 {
    u64::from(top) | ((head >> 32).wrapping_add(1) << 32)
}
