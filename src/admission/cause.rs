//! The cause of a refusal: found by evidence after the failing call, never guessed from errno alone.

use super::{scratch, sources};
use crate::sys::evidence::{self, Evidence, Obstacle, RefusedCall};
use crate::sys::{self, Errno};

/// Why memory ran out. A refusal has exactly one cause.
///
/// ```
/// use highwater::{Arena, Cause};
///
/// let arena = Arena::builder().reserve(1 << 20).limit(1000).build();
/// let error = arena.try_alloc([0u8; 1001]).unwrap_err();
/// assert_eq!(error.cause(), Cause::RegionLimit);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The bytes end beyond the address space reserved.
    ReservationExhausted,
    /// The bytes end beyond the region's limit, the arena's allocation limit, or its first placed guard.
    RegionLimit,
    /// All regions together may commit so much and no more; see
    /// [`set_process_limit`](crate::oom::set_process_limit).
    ProcessLimit,
    /// All regions together may take a quarter of the address space, and they do; or what is mapped leaves no gap that
    /// is large enough.
    AddressSpace,
    /// A memory cgroup of this process has no room: the kernel would have let this commit pass, and killed the
    /// process when the memory was touched.
    CgroupLimit {
        /// The cgroup, as `/proc/self/cgroup` names it or its ancestor.
        path: &'static str,
        /// Its limit in bytes.
        limit: u64,
        /// The bytes of it that would be in use: those that cannot be reclaimed, and those that are committed but not yet
        /// touched.
        usage: u64,
    },
    /// The machine has no memory available: the kernel's OOM killer would have chosen a process.
    SystemMemory,
    /// The process may have no more private writable memory (`RLIMIT_DATA`).
    RlimitData,
    /// The process may have no more address space (`RLIMIT_AS`).
    RlimitAs,
    /// The kernel commits no more memory (`vm.overcommit_memory`): with 2 not more than its limit, less a reserve; with 0
    /// not in one step more than memory and swap.
    Overcommit,
    /// The process may have no more mappings (`vm.max_map_count`).
    MapCount,
    /// The process locks its memory and may lock no more (`RLIMIT_MEMLOCK`).
    LockedLimit,
    /// The file system of a backing file is full.
    DiskFull,
    /// There are no huge pages left where only those will do.
    HugePages,
    /// The region lives in a file and belongs to the process that this one was forked from.
    NotInherited,
    /// An [`Injection`](crate::oom::Injection) said so.
    Injected,
    /// The kernel refused with this error number, and nothing else explains it.
    Kernel(i32),
    /// The program's global allocator had no memory for the records of a region, and no limit of the system
    /// explains that.
    Allocator,
}

impl Cause {
    /// Every cause there is; the cgroup's without a path or figures, the kernel's with ENOMEM.
    pub const ALL: [Cause; 17] = [
        Cause::ReservationExhausted,
        Cause::RegionLimit,
        Cause::ProcessLimit,
        Cause::AddressSpace,
        Cause::CgroupLimit { path: "", limit: 0, usage: 0 },
        Cause::SystemMemory,
        Cause::RlimitData,
        Cause::RlimitAs,
        Cause::Overcommit,
        Cause::MapCount,
        Cause::LockedLimit,
        Cause::DiskFull,
        Cause::HugePages,
        Cause::NotInherited,
        Cause::Injected,
        Cause::Kernel(sys::Errno::ENOMEM.0),
        Cause::Allocator,
    ];

    /// Its name, as reports and JSON have it: lower case, words joined by `-`.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::ReservationExhausted => "reservation-exhausted",
            Cause::RegionLimit => "region-limit",
            Cause::ProcessLimit => "process-limit",
            Cause::AddressSpace => "address-space",
            Cause::CgroupLimit { .. } => "cgroup-limit",
            Cause::SystemMemory => "system-memory",
            Cause::RlimitData => "rlimit-data",
            Cause::RlimitAs => "rlimit-as",
            Cause::Overcommit => "overcommit",
            Cause::MapCount => "map-count",
            Cause::LockedLimit => "locked-limit",
            Cause::DiskFull => "disk-full",
            Cause::HugePages => "huge-pages",
            Cause::NotInherited => "not-inherited",
            Cause::Injected => "injected",
            Cause::Kernel(_) => "kernel",
            Cause::Allocator => "allocator",
        }
    }
}

/// A [`Cause`] without its figures, which every refusal has beside it: an error carries it, and errors are small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalReason {
    /// A cgroup, by its place among those of this process.
    Cgroup(u16),
    Kernel(i32),
    /// Overcommit, and the part of the limit that the kernel keeps back, in KiB.
    Overcommit(u32),
    /// The address space: not the budget of regions, but its largest gap.
    Gap,
    /// Any other, by its place in [`Cause::ALL`].
    Plain(u8),
}

impl RefusalReason {
    fn of(cause: Cause) -> Self {
        match cause {
            Cause::CgroupLimit { .. } => RefusalReason::Cgroup(u16::MAX),
            Cause::Kernel(errno) => RefusalReason::Kernel(errno),
            plain => {
                let place = Cause::ALL.iter().position(|&other| other == plain);
                RefusalReason::Plain(place.map_or(u8::MAX, |place| place as u8))
            }
        }
    }

    /// As a word that an atomic holds.
    pub(super) fn to_word(self) -> u64 {
        match self {
            RefusalReason::Plain(place) => u64::from(place),
            RefusalReason::Cgroup(place) => 1 << 32 | u64::from(place),
            RefusalReason::Kernel(errno) => 2 << 32 | u64::from(errno as u32),
            RefusalReason::Overcommit(_) => Self::of(Cause::Overcommit).to_word(),
            RefusalReason::Gap => Self::of(Cause::AddressSpace).to_word(),
        }
    }

    fn from_word(word: u64) -> Self {
        match word >> 32 {
            0 => RefusalReason::Plain(word as u8),
            1 => RefusalReason::Cgroup(word as u16),
            _ => RefusalReason::Kernel(word as u32 as i32),
        }
    }
}

/// The limit of a refusal by injection. (A flag would make every error eight bytes larger.)
const INJECTED: u64 = u64::MAX;

/// A refusal, with the figures that prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: RefusalReason,

    /// The limit that was met, in bytes, 0 where the cause has none; `INJECTED` in the refusal of an injection.
    limit: u64,
    /// The usage that the limit did not allow.
    pub(crate) usage: u64,
}

impl Refusal {
    pub(crate) const fn because(reason: RefusalReason, limit: u64, usage: u64) -> Self {
        Refusal { reason, limit, usage }
    }

    /// The one that an injection asked for.
    pub(super) fn injected(word: u64) -> Self {
        Self::because(RefusalReason::from_word(word), INJECTED, 0)
    }

    /// Whether an injection made it up: then a smaller step is not tried.
    pub(crate) fn is_injected(&self) -> bool {
        self.limit == INJECTED
    }

    /// Whether it is memory that ran out, so that a file would do instead.
    pub(crate) fn is_for_lack_of_memory(&self) -> bool {
        matches!(
            self.cause(),
            Cause::CgroupLimit { .. }
                | Cause::Kernel(_)
                | Cause::SystemMemory
                | Cause::RlimitData
                | Cause::Overcommit
                | Cause::ProcessLimit
                | Cause::LockedLimit
                | Cause::Injected
        )
    }

    /// Whether headroom refused it, which looked at the need alone: then a smaller step is refused as well.
    pub(crate) fn is_foreseen(&self) -> bool {
        matches!(self.cause(), Cause::CgroupLimit { .. } | Cause::SystemMemory)
    }

    /// The limit that was met, in bytes, 0 where there is none.
    pub(crate) fn limit(&self) -> u64 {
        if self.is_injected() { 0 } else { self.limit }
    }

    pub(crate) fn new(cause: Cause, limit: u64, usage: u64) -> Self {
        Self::because(RefusalReason::of(cause), limit, usage)
    }

    /// The refusal of bytes up to `to`, past a limit or the end of the reservation.
    pub(crate) fn past_limit(to: usize, limit: usize, reserved: usize) -> Self {
        let cause = if limit < reserved { Cause::RegionLimit } else { Cause::ReservationExhausted };
        Self::new(cause, limit.min(reserved) as u64, to as u64)
    }

    /// A refusal with this cause, and no figures but those that the cause itself has.
    pub(crate) fn of(cause: Cause) -> Self {
        match cause {
            Cause::CgroupLimit { limit, usage, .. } => Self::new(cause, limit, usage),
            _ => Self::new(cause, 0, 0),
        }
    }

    pub(crate) fn cause(&self) -> Cause {
        match self.reason {
            RefusalReason::Cgroup(place) => {
                let path = sources::cgroup_path(place);
                Cause::CgroupLimit { path, limit: self.limit(), usage: self.usage }
            }
            RefusalReason::Kernel(errno) => Cause::Kernel(errno),
            RefusalReason::Overcommit(_) => Cause::Overcommit,
            RefusalReason::Gap => Cause::AddressSpace,
            RefusalReason::Plain(place) => {
                Cause::ALL.get(usize::from(place)).copied().unwrap_or(Cause::Injected)
            }
        }
    }
}

impl From<Evidence> for Refusal {
    fn from(evidence: Evidence) -> Self {
        let Evidence { obstacle, limit, usage, kept_back } = evidence;
        let reason = match obstacle {
            Obstacle::AddressSpace => RefusalReason::of(Cause::RlimitAs),
            Obstacle::Data => RefusalReason::of(Cause::RlimitData),
            Obstacle::Locked => RefusalReason::of(Cause::LockedLimit),
            Obstacle::Mappings => RefusalReason::of(Cause::MapCount),
            Obstacle::Overcommit => {
                RefusalReason::Overcommit(u32::try_from(kept_back >> 10).unwrap_or(u32::MAX))
            }
            Obstacle::Gap => RefusalReason::Gap,
        };
        Refusal::because(reason, limit, usage)
    }
}

/// The refusal behind a failed commit of `bytes` bytes. Signal-safe.
pub(crate) fn explain(errno: Errno, bytes: usize) -> Refusal {
    let mut found = None;
    sys::on_large_stack(|| found = Some(explain_call(errno, RefusedCall::Commit(bytes))));
    found.unwrap_or(Refusal::of(Cause::Kernel(errno.0)))
}

/// The refusal behind any failed call. Signal-safe, with some 4 KiB of stack.
pub(crate) fn explain_call(errno: Errno, wanted: RefusedCall) -> Refusal {
    match errno {
        #[cfg(not(highwater_portable))]
        sys::Errno::EFAULT => return Refusal::new(Cause::NotInherited, 0, 0),
        sys::Errno::ENOSPC | sys::Errno::EDQUOT => return Refusal::new(Cause::DiskFull, 0, 0),
        _ => {}
    }
    let found = scratch::borrow_soon().and_then(|mut scratch| evidence::find(errno, wanted, &mut *scratch));
    found.map_or(Refusal::of(Cause::Kernel(errno.0)), Refusal::from)
}
