//! How much address space all regions together may take: a quarter.
//!
//! The rest is for `malloc`, thread stacks, shared objects and whoever else maps memory: a process must not
//! find `pthread_create` failing because its arenas reserved what they will never use.

use crate::math::page::{MIB, align_down, align_up_saturating};
use crate::policy::Reserve;
use crate::sys;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

const BUDGET: usize = sys::ADDRESS_SPACE / 4;
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// What all regions have committed, and are committing, in bytes.
static PROMISED: AtomicUsize = AtomicUsize::new(0);

/// Bytes that all regions have committed, steps in flight included.
pub(crate) fn promised() -> usize {
    PROMISED.load(Relaxed)
}

/// Counts `bytes` more; what all regions have then. Signal-safe.
pub(crate) fn promise(bytes: usize) -> usize {
    PROMISED.fetch_add(bytes, Relaxed).wrapping_add(bytes)
}

/// Counts `bytes` more unless all regions would have more than `limit` then; what they would have is the error.
/// Signal-safe.
pub(crate) fn promise_within(bytes: usize, limit: usize) -> Result<(), usize> {
    let more = |all: usize| all.checked_add(bytes).filter(|&all| all <= limit);
    let counted = PROMISED.fetch_update(Relaxed, Relaxed, more);
    counted.map(drop).map_err(|all| all.saturating_add(bytes))
}

/// Counts all regions afresh: a forked child has not the steps that other threads were taking.
#[cfg(not(highwater_portable))]
pub(super) fn recount(all: usize) {
    PROMISED.store(all, Relaxed);
}

/// Counts `bytes` less. Signal-safe.
pub(crate) fn withdraw(bytes: usize) {
    PROMISED.fetch_sub(bytes, Relaxed);
}

/// Where halving a refused reservation ends.
pub(crate) const FLOOR: usize = if cfg!(miri) { MIB } else { 64 * MIB };

/// What is left of the budget, in bytes.
pub(crate) fn left() -> usize {
    BUDGET.saturating_sub(TAKEN.load(Relaxed))
}

/// What a default reservation may take under a limit on address space (`RLIMIT_AS`): a quarter of what is left of a
/// quarter, so that several arenas and everything else find room.
fn share_of_limit() -> usize {
    match sys::resource_limit(sys::Limit::AddressSpace) {
        Some(limit) => {
            (usize::try_from(limit).unwrap_or(usize::MAX) / 4).saturating_sub(TAKEN.load(Relaxed)) / 4
        }
        None => usize::MAX,
    }
}

/// The bytes to try first for what was asked. `min` is what a reservation whose size was not said has to
/// hold in any case, `expected` what it is going to hold before it grows further.
pub(crate) fn wanted(reserve: Reserve, min: usize, expected: usize) -> usize {
    let page = sys::page_size();
    let bytes = match reserve {
        Reserve::Bytes(bytes) => return align_up_saturating(bytes, page),
        Reserve::Physical => sys::physical_memory().max(FLOOR),
        Reserve::Default => {
            let default = sys::DEFAULT_RESERVE.min(left() / 256).min(share_of_limit()).max(FLOOR);
            // (Where nothing is inaccessible, what is reserved is memory.)
            let growth = if expected > 0 && sys::PROTECTS { default / 2 } else { 0 };
            default.max(expected.saturating_add(growth))
        }
    };
    align_down(bytes, page).max(align_up_saturating(min.max(expected), page))
}

/// Takes `bytes` of the budget; false when they do not fit.
pub(crate) fn take(bytes: usize) -> bool {
    let fits = |taken: usize| taken.checked_add(bytes).filter(|&sum| sum <= BUDGET);
    TAKEN.fetch_update(Relaxed, Relaxed, fits).is_ok()
}

/// Gives `bytes` back that were taken before.
pub(crate) fn give(bytes: usize) {
    let before = TAKEN.fetch_sub(bytes, Relaxed);
    debug_assert!(before >= bytes, "more address space given back than was taken");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absurd_wish_is_not_taken() {
        assert!(!take(usize::MAX));
        assert!(!take(BUDGET + 1));
        assert_eq!(wanted(Reserve::Bytes(1), 0, 0), sys::page_size());
        assert!(wanted(Reserve::Default, 1 << 40, 0) >= 1 << 40);
        assert!(wanted(Reserve::Default, 0, 1 << 40) >= 1 << 40);
    }
}
