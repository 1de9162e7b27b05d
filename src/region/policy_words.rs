//! The policies of a region as words that a signal handler can read.

use super::atomic::{AtomicU32, AtomicU64, AtomicUsize};
use crate::policy::{Growth, GuardPolicy, Headroom, OnViolation, RegionEngine, ReportFormat};
use core::sync::atomic::Ordering::Relaxed;

/// The word of [`Headroom::Auto`] and of [`Headroom::Off`]; any other is a number of bytes.
const HEADROOM_AUTO: usize = usize::MAX;
const HEADROOM_OFF: usize = usize::MAX - 1;

/// A violation ends in `abort()`.
const ABORTS: u32 = 1;
/// A violation is reported as JSON.
const JSON: u32 = 2;
/// Guards inside the region are marks in the page table, not protection.
const BY_ADVICE: u32 = 4;
/// Some pages may have such marks.
const MARKED: u32 = 8;
/// The engine is [`RegionEngine::Paged`] or [`RegionEngine::Explicit`]; without either it is [`RegionEngine::Fault`].
const PAGED: u32 = 32;
const EXPLICIT: u32 = 64;

/// The words of the kinds of [`Growth`].
const UPFRONT: u64 = 0;
const FIXED: u64 = 1;
const GEOMETRIC: u64 = 2;
const STRESS: u64 = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct PolicyWords {
    growth: AtomicU64,
    growth_args: [AtomicU64; 2],
    /// How many bytes of a step are made present at once, at most.
    populate: AtomicUsize,
    headroom: AtomicUsize,
    flags: AtomicU32,
}

/// The policies that are kept as words.
pub(crate) struct RegionPolicy<'a> {
    pub(crate) growth: Growth,
    pub(crate) engine: RegionEngine,
    pub(crate) populate: usize,
    pub(crate) headroom: Headroom,
    pub(crate) guard: &'a GuardPolicy,
    pub(crate) guards_by_advice: bool,
}

impl PolicyWords {
    pub(super) const fn new() -> Self {
        PolicyWords {
            growth: AtomicU64::new(UPFRONT),
            growth_args: [const { AtomicU64::new(0) }; 2],
            populate: AtomicUsize::new(0),
            headroom: AtomicUsize::new(HEADROOM_AUTO),
            flags: AtomicU32::new(0),
        }
    }

    pub(super) fn set(&self, policy: &RegionPolicy<'_>) {
        let (kind, first, second) = match policy.growth {
            Growth::Upfront => (UPFRONT, 0, 0),
            Growth::Fixed(step) => (FIXED, step as u64, 0),
            Growth::Geometric { first, max } => (GEOMETRIC, first as u64, max as u64),
            Growth::Stress { seed } => (STRESS, seed, 0),
        };
        self.growth.store(kind, Relaxed);
        self.growth_args[0].store(first, Relaxed);
        self.growth_args[1].store(second, Relaxed);
        self.populate.store(policy.populate, Relaxed);
        let headroom = match policy.headroom {
            Headroom::Auto => HEADROOM_AUTO,
            Headroom::Off => HEADROOM_OFF,
            Headroom::AtLeast(bytes) => bytes.min(HEADROOM_OFF - 1),
        };
        self.headroom.store(headroom, Relaxed);
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let flags = flag(policy.guard.on_violation == OnViolation::Abort, ABORTS)
            | flag(policy.guard.format == ReportFormat::Json, JSON)
            | flag(policy.guards_by_advice, BY_ADVICE)
            | flag(policy.engine == RegionEngine::Paged, PAGED)
            | flag(policy.engine == RegionEngine::Explicit, EXPLICIT);
        self.flags.store(flags, Relaxed);
    }

    /// Whether the growth policy is [`Growth::Stress`]: one load, where `growth` takes three.
    #[inline]
    pub(super) fn is_stressed(&self) -> bool {
        self.growth.load(Relaxed) == STRESS
    }

    pub(super) fn growth(&self) -> Growth {
        let [first, second] = &self.growth_args;
        let (first, second) = (first.load(Relaxed), second.load(Relaxed));
        match self.growth.load(Relaxed) {
            UPFRONT => Growth::Upfront,
            FIXED => Growth::Fixed(first as usize),
            GEOMETRIC => Growth::Geometric { first: first as usize, max: second as usize },
            _ => Growth::Stress { seed: first },
        }
    }

    pub(super) fn engine(&self) -> RegionEngine {
        match self.flags.load(Relaxed) & (PAGED | EXPLICIT) {
            0 => RegionEngine::Fault,
            PAGED => RegionEngine::Paged,
            _ => RegionEngine::Explicit,
        }
    }

    pub(super) fn headroom(&self) -> Headroom {
        match self.headroom.load(Relaxed) {
            HEADROOM_AUTO => Headroom::Auto,
            HEADROOM_OFF => Headroom::Off,
            bytes => Headroom::AtLeast(bytes),
        }
    }

    pub(super) fn max_populate(&self) -> usize {
        self.populate.load(Relaxed)
    }

    pub(super) fn stop_populating(&self) {
        self.populate.store(0, Relaxed);
    }

    #[cfg(highwater_fault)]
    pub(super) fn on_violation(&self) -> OnViolation {
        if self.flags.load(Relaxed) & ABORTS == 0 { OnViolation::Die } else { OnViolation::Abort }
    }

    pub(super) fn format(&self) -> ReportFormat {
        if self.flags.load(Relaxed) & JSON == 0 { ReportFormat::Text } else { ReportFormat::Json }
    }

    pub(super) fn guards_by_advice(&self) -> bool {
        self.flags.load(Relaxed) & BY_ADVICE != 0
    }

    /// From now on guards are made by protection: this memory cannot be marked.
    pub(super) fn use_protection(&self) {
        self.flags.fetch_and(!BY_ADVICE, Relaxed);
    }

    /// Whether some pages may be marked, perhaps from before [`use_protection`](PolicyWords::use_protection).
    pub(super) fn may_have_marks(&self) -> bool {
        self.flags.load(Relaxed) & MARKED != 0
    }

    /// Some pages are marked from now on.
    pub(super) fn set_marked(&self) {
        if !self.may_have_marks() {
            self.flags.fetch_or(MARKED, Relaxed);
        }
    }
}
