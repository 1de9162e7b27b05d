//! How much address space all regions together may take: a quarter of what the kernel has and other mappings leave.
//!
//! The rest is for `malloc`, thread stacks, shared objects and all other mappings: a process must not
//! find `pthread_create` failing because its arenas reserved what they will never use.

use crate::math::page::{MIB, align_down, align_up_saturating};
use crate::policy::Reserve;
use crate::sys;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

/// The bytes that all regions have reserved.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Their budget, 0 before it is computed, and what they had reserved when it was computed last.
static BUDGET: AtomicUsize = AtomicUsize::new(0);
static COMPUTED_AT: AtomicUsize = AtomicUsize::new(0);

/// Where halving a refused reservation ends.
pub(crate) const FLOOR: usize = if cfg!(miri) { MIB } else { 64 * MIB };

/// The budget of all regions, in an address space of which other mappings take some. It has room for one region with its
/// guards and its alignment: where that is too much the kernel refuses, and the error names that as well.
fn budget_of(space: usize, others: usize) -> usize {
    (space.saturating_sub(others) / 4).max(2 * FLOOR)
}

/// Whether `bytes` more would be within the quarter if there were no other mappings: then it is those that are in the way.
pub(super) fn would_fit_alone(bytes: usize) -> bool {
    TAKEN.load(Relaxed).checked_add(bytes).is_some_and(|sum| sum <= budget_of(sys::address_space(), 0))
}

/// Computes the budget from the mappings of this moment.
fn compute() -> usize {
    let taken = TAKEN.load(Relaxed);
    let budget = budget_of(sys::address_space(), sys::mapped_by_others(taken));
    COMPUTED_AT.store(taken, Relaxed);
    BUDGET.store(budget, Relaxed);
    budget
}

/// The budget, computed again once regions reserved or released a 32nd of it.
fn budget() -> usize {
    let budget = BUDGET.load(Relaxed);
    let since = TAKEN.load(Relaxed).abs_diff(COMPUTED_AT.load(Relaxed));
    if budget == 0 || since > budget / 32 { compute() } else { budget }
}

/// What is left of the budget, in bytes.
pub(crate) fn left() -> usize {
    budget().saturating_sub(TAKEN.load(Relaxed))
}

/// What a default reservation may take of a budget with so much left: a 256th, or a larger part where a 256th would be
/// small (on kernels with 39 bits of addresses, half a gigabyte).
fn share_of_budget(budget: usize, left: usize) -> usize {
    const SMALL: usize = if cfg!(target_pointer_width = "64") { (1u64 << 37) as usize } else { 1 << 28 };
    left / (budget / SMALL).clamp(32, 256)
}

/// What a default reservation may take under a limit on address space (`RLIMIT_AS`): a quarter of what is left of a
/// quarter, so that several arenas and everything else find room.
fn share_of_limit() -> usize {
    match sys::resource_limit(sys::Resource::AddressSpace) {
        Some(limit) => {
            (usize::try_from(limit).unwrap_or(usize::MAX) / 4).saturating_sub(TAKEN.load(Relaxed)) / 4
        }
        None => usize::MAX,
    }
}

/// What a reservation whose size was not said may take where the kernel promises no more memory than there is
/// (`vm.overcommit_memory=2`).
pub(crate) fn share_of_commit_limit(is_accessible: bool) -> usize {
    if !sys::overcommit_is_strict() {
        return usize::MAX;
    }
    let mut scratch = [0u8; 4096];
    let (Some(overcommit), Some(process)) = (sys::overcommit(&mut scratch), sys::process_size()) else {
        return usize::MAX;
    };
    let left = usize::try_from(overcommit.left(process)).unwrap_or(usize::MAX);
    commit_share(left, TAKEN.load(Relaxed), is_accessible)
}

/// A region that is accessible from the start is charged at once: a quarter of what is left, and other programs have the
/// rest. One that is not costs no promise, but the kernel keeps a 32nd of a process's addresses back, and more than is left cannot be
/// committed for now: the first region takes that much, each further one less.
fn commit_share(left: usize, taken: usize, is_accessible: bool) -> usize {
    if is_accessible {
        return left / 4;
    }
    let (wide, all) = (left as u128, (left as u128).saturating_add(taken as u128));
    usize::try_from((wide * wide).checked_div(all).unwrap_or(0)).unwrap_or(usize::MAX)
}

/// What a reservation whose size was not said may take under valgrind, which has 64 GiB of addresses for the program: a
/// 32nd of what is left of three quarters of them.
fn share_of_valgrind() -> usize {
    const REGIONS: u64 = 48 << 30;
    if !sys::under_valgrind() {
        return usize::MAX;
    }
    usize::try_from(REGIONS).unwrap_or(usize::MAX).saturating_sub(TAKEN.load(Relaxed)) / 32
}

/// The bytes to try first for what was asked. `min` is what a reservation whose size was not said has to
/// hold in any case, `expected` what it is going to hold before it grows further; `is_accessible` from the start, or not.
pub(crate) fn wanted(reserve: Reserve, min: usize, expected: usize, is_accessible: bool) -> usize {
    let page = sys::page_size();
    let bytes = match reserve {
        Reserve::Bytes(bytes) => return align_up_saturating(bytes, page),
        Reserve::Physical => sys::physical_memory().max(FLOOR),
        Reserve::Default => {
            let share = share_of_budget(budget(), left());
            let limited = share_of_limit().min(share_of_valgrind()).min(share_of_commit_limit(is_accessible));
            let default = sys::DEFAULT_RESERVE.min(share).min(limited).max(FLOOR);
            // (Where nothing can be inaccessible, reserved bytes are memory.)
            let growth = if expected > 0 && sys::HAS_PROTECTION { default / 2 } else { 0 };
            default.max(expected.saturating_add(growth))
        }
    };
    align_down(bytes, page).max(align_up_saturating(min.max(expected), page))
}

/// Acquires `bytes` of the budget; false when they do not fit.
pub(crate) fn acquire(bytes: usize) -> bool {
    let acquire_of = |budget: usize| {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|&sum| sum <= budget);
        TAKEN.fetch_update(Relaxed, Relaxed, fits).is_ok()
    };
    // Before a refusal: others may have unmapped memory since the budget was computed.
    acquire_of(budget()) || acquire_of(compute())
}

/// Releases `bytes` that were acquired before.
pub(crate) fn release(bytes: usize) {
    let before = TAKEN.fetch_sub(bytes, Relaxed);
    debug_assert!(before >= bytes, "more address space released than was acquired");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absurd_wish_is_not_taken() {
        assert!(!acquire(usize::MAX));
        assert!(!acquire(sys::address_space()));
        assert_eq!(wanted(Reserve::Bytes(1), 0, 0, false), sys::page_size());
        assert!(wanted(Reserve::Default, 1 << 40, 0, false) >= 1 << 40);
        assert!(wanted(Reserve::Default, 0, 1 << 40, false) >= 1 << 40);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_budget_is_a_quarter_of_what_is_there() {
        const GIB: usize = 1 << 30;
        for (bits, others, budget) in
            [(47, 0, 32 << 10), (48, 0, 64 << 10), (39, 0, 128), (42, 0, 1024), (47, 27 << 10, 25_856)]
        {
            assert_eq!(budget_of(1 << bits, others * GIB), budget * GIB, "{bits} bits");
        }
        // Other mappings take everything, or more than there is.
        assert_eq!(budget_of(1 << 39, 1 << 40), 2 * FLOOR);
    }

    #[test]
    #[cfg(all(target_pointer_width = "64", not(highwater_portable)))]
    fn default_reservations_suit_the_space() {
        /// How many regions get their share, the largest and whether the smallest is still the floor.
        fn regions(budget: usize) -> Vec<usize> {
            let mut left = budget;
            let next = || {
                let size = sys::DEFAULT_RESERVE.min(share_of_budget(budget, left)).max(FLOOR);
                left = left.checked_sub(size)?;
                Some(size)
            };
            core::iter::from_fn(next).collect()
        }
        for (bits, first, at_least) in [(47, 64 << 30, 2000), (48, 64 << 30, 2000), (42, 32 << 30, 200)] {
            let sizes = regions(1 << (bits - 2));
            assert_eq!(sizes.first(), Some(&first), "{bits} bits");
            assert!(sizes.len() >= at_least, "{bits} bits: {}", sizes.len());
        }
        let sizes = regions((1 << 39) / 4);
        assert_eq!(sizes.first(), Some(&(4 << 30)));
        assert!(sizes.len() > 150, "{}", sizes.len());
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_strict_promise_is_shared() {
        const GIB: usize = 1 << 30;
        assert_eq!(commit_share(11 * GIB, 0, true), 11 * GIB / 4);
        assert_eq!(commit_share(11 * GIB, 0, false), 11 * GIB);
        assert_eq!(commit_share(8 * GIB, 8 * GIB, false), 4 * GIB);
        assert_eq!((commit_share(0, 0, false), commit_share(0, GIB, true)), (0, 0));
        // A hundred regions of a gigabyte that is left reserve fifteen times that, and not a hundred times.
        let all = (0..100).fold(0, |taken, _| taken + commit_share(GIB, taken, false));
        assert!((13 * GIB..15 * GIB).contains(&all), "{all}");
    }
}
