//! Refusals on demand, for tests and experiments.

use super::cause::{Cause, Refusal};
use crate::region::{ControlBlock, InjectionRule, InjectionWords};

/// Which admissions to refuse, and with what cause. An admission is one question whether a region may grow, by a
/// fault or by a call; what is committed already is not asked for again. The same program with the same injection
/// is refused at the same place, as long as one thread allocates.
///
/// ```
/// use highwater::oom::Injection;
/// use highwater::{Arena, Cause};
///
/// let arena = Arena::builder().head(0).inject(Injection::nth(2)).build();
/// assert!(arena.try_alloc([0u8; 4096]).is_ok()); // the first admission
/// let error = arena.try_alloc([0u8; 1 << 20]).unwrap_err(); // the second
/// assert_eq!(error.cause(), Cause::Injected);
/// assert!(arena.try_alloc([0u8; 1 << 20]).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    pub(crate) rule: InjectionRule,
    pub(crate) argument: u64,
    pub(crate) seed: u64,
    pub(crate) cause: Cause,
}

impl Injection {
    const fn new(rule: InjectionRule, argument: u64, seed: u64) -> Self {
        Injection { rule, argument, seed, cause: Cause::Injected }
    }

    /// Refuses the `n`-th admission, counted from 1, and no other.
    #[must_use]
    pub const fn nth(n: u64) -> Self {
        Self::new(InjectionRule::Nth, n, 0)
    }

    /// Refuses every admission after the first `n`.
    #[must_use]
    pub const fn after(n: u64) -> Self {
        Self::new(InjectionRule::After, n, 0)
    }

    /// Refuses every admission of more than this many bytes.
    #[must_use]
    pub const fn above(bytes: usize) -> Self {
        Self::new(InjectionRule::Above, bytes as u64, 0)
    }

    /// Refuses so many of a million admissions, drawn from `seed`.
    #[must_use]
    pub const fn rate(per_million: u32, seed: u64) -> Self {
        Self::new(InjectionRule::Rate, per_million as u64, seed)
    }

    /// Names another cause than [`Cause::Injected`]; its figures are not kept.
    #[must_use]
    pub const fn cause(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }
}

/// The process's own.
static PROCESS: InjectionWords = InjectionWords::none();

/// Injects refusals into all regions of this process, beside what each of them was given; `None` ends it. The
/// admissions of all regions are counted together, from this call on.
///
/// ```
/// highwater::oom::inject(Some(highwater::oom::Injection::above(1 << 30)));
/// let arena = highwater::Arena::new();
/// assert!(arena.commit_ahead(2 << 30).is_err());
/// highwater::oom::inject(None);
/// ```
pub fn inject(injection: Option<Injection>) {
    set(&PROCESS, injection);
}

/// Gives a region's control block, or the process, an injection.
pub(crate) fn set(injected: &InjectionWords, injection: Option<Injection>) {
    match injection {
        Some(Injection { rule, argument, seed, cause }) => {
            injected.set(Some(rule), argument, seed, Refusal::of(cause).reason.to_word());
        }
        None => injected.set(None, 0, 0, 0),
    }
}

/// Counts an admission, and refuses it if an injection says so. Signal-safe.
pub(super) fn check(control: &ControlBlock, bytes: usize) -> Result<(), Refusal> {
    let (own, process) = (control.injected.refuses(bytes), PROCESS.refuses(bytes));
    match own.or(process) {
        Some(word) => Err(Refusal::injected(word)),
        None => Ok(()),
    }
}
