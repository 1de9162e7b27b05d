//! Which bytes must never become accessible, and what follows when one is touched.

use core::ops::Range;

/// The guards of a region: where they are, how they are made, and what happens when one is touched.
///
/// A guard is reserved with the region and never committed by any path. Touching it is a violation: it is
/// reported on standard error (see [`guard::Violation`](crate::guard::Violation)) and then goes to the
/// handler of SIGSEGV before ours, by default the end of the process at the very instruction.
///
/// ```
/// use highwater::{GuardPolicy, Region};
///
/// let guard = GuardPolicy::default().before(0).after(64 << 10).reach(1 << 20);
/// let region = Region::builder().reserve(1 << 30).guard(guard).build();
/// assert_eq!(region.reserved_bytes(), 1 << 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardPolicy {
    pub(crate) before: usize,
    pub(crate) after: usize,
    pub(crate) reach: usize,
    pub(crate) placed: Vec<Range<usize>>,
    pub(crate) mechanism: GuardMechanism,
    pub(crate) on_violation: OnViolation,
    pub(crate) format: ReportFormat,
    pub(crate) generations: u32,
}

impl Default for GuardPolicy {
    /// One page before and one after, every touch of the tail is growth, and one generation of what a
    /// [`DebugArena`](crate::DebugArena) gave up stays inaccessible.
    fn default() -> Self {
        GuardPolicy {
            before: 1,
            after: 1,
            reach: usize::MAX,
            placed: Vec::new(),
            mechanism: GuardMechanism::default(),
            on_violation: OnViolation::default(),
            format: ReportFormat::default(),
            generations: 1,
        }
    }
}

impl GuardPolicy {
    /// Bytes before the head, rounded up to whole pages. There are none where the region lives in a file that
    /// was given, which starts at the head.
    #[must_use]
    pub fn before(mut self, bytes: usize) -> Self {
        self.before = bytes;
        self
    }

    /// Bytes after the reservation's last one, rounded up to whole pages.
    #[must_use]
    pub fn after(mut self, bytes: usize) -> Self {
        self.after = bytes;
        self
    }

    /// How many bytes past the frontier a touch may be and still be growth; one that is further away is
    /// reported. The default is the whole tail.
    ///
    /// A smaller reach catches wild pointers into the tail, and rejects programs that are correct: the first
    /// touch of a large block need not be near its start (a table filled from its end, a hash table, a buffer
    /// of which only the last page is used), and what was allocated before it need not have been written. Give
    /// at least the size of the largest block. 0 leaves no growth by fault at all; what is committed by request
    /// (`try_` calls, [`ensure`](crate::Region::ensure)) is never held against it. With the `explicit` engine
    /// there are no faults to judge, and it has no effect.
    #[must_use]
    pub fn reach(mut self, bytes: usize) -> Self {
        self.reach = bytes;
        self
    }

    /// A guard inside the region: a range of offsets from its first byte, in bytes, both multiples of the page
    /// size. Growth goes around it. It can be given several times. An arena allocates up to its first guard.
    ///
    /// [`Region::guard_at`](crate::Region::guard_at) and [`Arena::guard_at`](crate::Arena::guard_at) place one
    /// later.
    #[must_use]
    pub fn at(mut self, range: Range<usize>) -> Self {
        self.placed.push(range);
        self
    }

    /// [`at`](GuardPolicy::at) that returns the error when the global allocator has no memory for the list.
    #[cfg(feature = "internal")]
    pub fn try_at(mut self, range: Range<usize>) -> Result<Self, std::collections::TryReserveError> {
        self.placed.try_reserve(1)?;
        self.placed.push(range);
        Ok(self)
    }

    /// The policy without the guards that are placed.
    pub(crate) fn without_placed(&self) -> Self {
        GuardPolicy { placed: Vec::new(), ..*self }
    }

    /// How guards inside the region are made.
    #[must_use]
    pub fn mechanism(mut self, mechanism: GuardMechanism) -> Self {
        self.mechanism = mechanism;
        self
    }

    /// What follows the report.
    #[must_use]
    pub fn on_violation(mut self, response: OnViolation) -> Self {
        self.on_violation = response;
        self
    }

    /// How the report is written.
    #[must_use]
    pub fn report(mut self, format: ReportFormat) -> Self {
        self.format = format;
        self
    }

    /// For how many generations a [`DebugArena`](crate::DebugArena) keeps inaccessible what it gave up. Each
    /// reset, and each rewind that gave something up, begins a new one. 0 lets the next allocation have the
    /// same addresses again, as in any arena. Only addresses are kept, memory goes back at once (that of a file when
    /// the region goes). Of single allocations that were freed or moved at most 1,024 and 64 MiB are kept for each
    /// generation, and of everything at most 16,384 stretches.
    #[must_use]
    pub fn generations(mut self, generations: u32) -> Self {
        self.generations = generations;
        self
    }
}

/// How a page inside a region is made inaccessible.
///
/// ```
/// use highwater::{GuardMechanism, GuardPolicy, Region};
///
/// let guard = GuardPolicy::default().mechanism(GuardMechanism::Protect);
/// let region = Region::builder().reserve(1 << 20).guard(guard).build();
/// # drop(region);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardMechanism {
    /// [`Advice`](GuardMechanism::Advice) where the running kernel has it, [`Protect`](GuardMechanism::Protect)
    /// otherwise.
    #[default]
    Auto,
    /// `MADV_GUARD_INSTALL` (Linux 6.13 and later, 6.15 for files): a mark in the page table, of which there may be any
    /// number. Locked memory (`mlock`, `mlockall`) cannot be marked: a region of which some is locked has its guards by
    /// [`Protect`](GuardMechanism::Protect) from then on.
    Advice,
    /// `mprotect`: each guard splits a mapping in three, and a process may have some 65,000 mappings.
    Protect,
}

/// What follows the report of a violation.
///
/// ```
/// use highwater::{GuardPolicy, OnViolation, Region};
///
/// let guard = GuardPolicy::default().on_violation(OnViolation::Abort);
/// let region = Region::builder().reserve(1 << 20).guard(guard).build();
/// # drop(region);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// The fault goes to the handler of SIGSEGV before ours. By default there is none, and the process ends by
    /// SIGSEGV at the instruction that touched the guard: a core dump shows it.
    #[default]
    Die,
    /// `abort()`, in a function named after the kind of violation, so that stack traces are told apart by it.
    Abort,
}

/// How the report of a violation is written, on standard error.
///
/// ```
/// use highwater::{GuardPolicy, Region, ReportFormat};
///
/// let guard = GuardPolicy::default().report(ReportFormat::Json);
/// let region = Region::builder().reserve(1 << 20).guard(guard).build();
/// # drop(region);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReportFormat {
    /// One line that says it all, then details.
    #[default]
    Text,
    /// The same as one line of JSON.
    Json,
}
