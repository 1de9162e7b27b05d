//! Refusals by injection, as words that a signal handler can read: one set in every control block, one for the process.

use crate::math::random::{GOLDEN_GAMMA, splitmix64};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};

/// Which admissions are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum InjectionRule {
    Nth = 1,
    After = 2,
    Above = 3,
    Rate = 4,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct InjectionWords {
    /// A [`InjectionRule`], 0 for none.
    rule: AtomicU32,
    argument: AtomicU64,
    seed: AtomicU64,
    /// The cause of the refusals, encoded by `admission::RefusalReason`.
    cause: AtomicU64,
    /// Admissions so far.
    count: AtomicU64,
}

impl InjectionWords {
    pub(crate) const fn none() -> Self {
        InjectionWords {
            rule: AtomicU32::new(0),
            argument: AtomicU64::new(0),
            seed: AtomicU64::new(0),
            cause: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }

    pub(crate) fn set(&self, rule: Option<InjectionRule>, argument: u64, seed: u64, cause: u64) {
        self.rule.store(0, Relaxed);
        self.argument.store(argument, Relaxed);
        self.seed.store(seed, Relaxed);
        self.cause.store(cause, Relaxed);
        self.count.store(0, Relaxed);
        self.rule.store(rule.map_or(0, |rule| rule as u32), Release);
    }

    /// Counts an admission of so many bytes; the cause if it is to be refused. Signal-safe.
    pub(crate) fn refuses(&self, bytes: usize) -> Option<u64> {
        let rule = self.rule.load(Acquire);
        if rule == 0 {
            return None;
        }
        let ordinal = self.count.fetch_add(1, AcqRel).wrapping_add(1);
        let argument = self.argument.load(Relaxed);
        let refused = if rule == InjectionRule::Nth as u32 {
            ordinal == argument
        } else if rule == InjectionRule::After as u32 {
            ordinal > argument
        } else if rule == InjectionRule::Above as u32 {
            bytes as u64 > argument
        } else {
            drawn(self.seed.load(Relaxed), ordinal).wrapping_rem(1_000_000) < argument
        };
        refused.then(|| self.cause.load(Relaxed))
    }
}

/// The `n`-th number, from 1, of the sequence that a seed begins.
fn drawn(seed: u64, n: u64) -> u64 {
    splitmix64(seed.wrapping_add(n.wrapping_sub(1).wrapping_mul(GOLDEN_GAMMA)))
}
