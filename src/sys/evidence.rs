//! Why the system refused memory or addresses: figures that are read after the failing call and compared with what it
//! wanted. The error number alone names nothing: Linux has one for seven limits.
//!
//! Reading the figures and judging them are separate, so that tests can pass figures that no machine here has.
//!
//! Contract: [`find`] is signal-safe and takes some 4 KiB of stack.

use super::addresses::address_space;
use super::figures::{Overcommit, ProcessSize};
use super::{Errno, Resource, largest_gap, mappings, process_size, resource_limit};

/// What a refused call wanted, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedCall {
    /// Addresses that were not mapped, inaccessible.
    Reserve(usize),
    /// Addresses that were not mapped, with access from the start.
    MapWritable(usize),
    /// Access to addresses that are mapped.
    Commit(usize),
}

impl RefusedCall {
    const fn bytes(self) -> u64 {
        match self {
            RefusedCall::Reserve(bytes) | RefusedCall::MapWritable(bytes) | RefusedCall::Commit(bytes) => {
                bytes as u64
            }
        }
    }
}

/// A limit that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// `RLIMIT_AS`.
    AddressSpace,
    /// `RLIMIT_DATA`.
    Data,
    /// `RLIMIT_MEMLOCK`.
    Locked,
    /// `vm.max_map_count`.
    Mappings,
    /// `vm.overcommit_memory`.
    Overcommit,
    /// No gap between mappings is large enough.
    Gap,
}

impl Obstacle {
    const ALL: [Obstacle; 6] = [
        Obstacle::AddressSpace,
        Obstacle::Data,
        Obstacle::Locked,
        Obstacle::Mappings,
        Obstacle::Overcommit,
        Obstacle::Gap,
    ];

    /// What the system calls the limit.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Obstacle::AddressSpace => "RLIMIT_AS",
            Obstacle::Data => "RLIMIT_DATA",
            Obstacle::Locked => "RLIMIT_MEMLOCK",
            Obstacle::Mappings => "vm.max_map_count",
            Obstacle::Overcommit => "vm.overcommit_memory",
            Obstacle::Gap => "the address space",
        }
    }
}

/// A limit and the figures that prove that it was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) obstacle: Obstacle,
    /// The limit: bytes, mappings for `Mappings`, the largest gap for `Gap`.
    pub(crate) limit: u64,
    /// What is taken of it; for `Overcommit` and `Gap` what would have been.
    pub(crate) usage: u64,
    /// What the kernel keeps back of the limit from this process, in bytes; only for `Overcommit`.
    pub(crate) kept_back: u64,
}

impl Evidence {
    const fn new(obstacle: Obstacle, limit: u64, usage: u64) -> Self {
        Evidence { obstacle, limit, usage, kept_back: 0 }
    }

    /// Evidence of a name and figures; `None` where no obstacle has that name.
    pub(crate) fn named(name: &str, limit: u64, usage: u64, kept_back: u64) -> Option<Self> {
        let obstacle = Obstacle::ALL.into_iter().find(|obstacle| obstacle.name() == name)?;
        Some(Evidence { obstacle, limit, usage, kept_back })
    }
}

/// The limit, with exact figures: for errors that say what was refused before it.
impl core::fmt::Display for Evidence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Evidence { obstacle, limit, usage, kept_back } = *self;
        let name = obstacle.name();
        match obstacle {
            Obstacle::AddressSpace | Obstacle::Data | Obstacle::Locked => {
                write!(f, "{name}, whose limit is {limit} bytes of which {usage} are taken")
            }
            Obstacle::Mappings => write!(f, "{name}, of whose {limit} mappings {usage} are taken"),
            Obstacle::Overcommit => {
                write!(f, "{name}, which allows {limit} bytes where {usage} would be promised")?;
                if kept_back > 0 { write!(f, " and {kept_back} are kept back") } else { Ok(()) }
            }
            Obstacle::Gap => write!(f, "{name}, whose largest gap is {limit} bytes"),
        }
    }
}

/// What stood in the way of a call that failed; `None` where no limit explains it. `scratch` is a buffer to read files
/// with. Signal-safe, with some 4 KiB of stack.
pub(crate) fn find(errno: Errno, wanted: RefusedCall, scratch: &mut [u8]) -> Option<Evidence> {
    match (errno, wanted) {
        (Errno::EAGAIN, _) => over(Resource::Locked, Obstacle::Locked, wanted),
        (Errno::ENOMEM, RefusedCall::Reserve(_)) => {
            over(Resource::AddressSpace, Obstacle::AddressSpace, wanted)
                .or_else(|| too_many_mappings(scratch))
                .or_else(|| no_gap(wanted, scratch))
        }
        (Errno::ENOMEM, RefusedCall::MapWritable(_)) => {
            over(Resource::AddressSpace, Obstacle::AddressSpace, wanted)
                .or_else(|| over(Resource::Data, Obstacle::Data, wanted))
                .or_else(|| too_many_mappings(scratch))
                // (Before the commit limit: a mapping with MAP_NORESERVE is charged in one mode only.)
                .or_else(|| no_gap(wanted, scratch))
                .or_else(|| over_commit_limit(wanted, scratch))
        }
        (Errno::ENOMEM, RefusedCall::Commit(_)) => over(Resource::Data, Obstacle::Data, wanted)
            .or_else(|| too_many_mappings(scratch))
            .or_else(|| over_commit_limit(wanted, scratch)),
        _ => None,
    }
}

fn over(limit: Resource, obstacle: Obstacle, wanted: RefusedCall) -> Option<Evidence> {
    let max = resource_limit(limit)?;
    let size = process_size()?;
    let taken = match limit {
        Resource::AddressSpace => size.total,
        Resource::Data => size.data,
        Resource::Locked => size.locked,
        Resource::FileSize => 0,
    };
    (taken.saturating_add(wanted.bytes()) > max).then_some(Evidence::new(obstacle, max, taken))
}

/// Whether there are as many mappings as there may be, but for a few: a call may need two more.
fn too_many_mappings(scratch: &mut [u8]) -> Option<Evidence> {
    let (count, max) = mappings(scratch)?;
    (count.saturating_add(3) >= max).then_some(Evidence::new(Obstacle::Mappings, max, count))
}

fn over_commit_limit(wanted: RefusedCall, scratch: &mut [u8]) -> Option<Evidence> {
    let overcommit = super::overcommit(scratch)?;
    overcommitted(&overcommit, wanted.bytes(), process_size())
}

/// Whether `bytes` more are beyond what the kernel overcommit to this process.
fn overcommitted(overcommit: &Overcommit, bytes: u64, process: Option<ProcessSize>) -> Option<Evidence> {
    match overcommit.mode {
        2 => {
            let usage = overcommit.committed.saturating_add(bytes);
            let kept_back = overcommit.kept_back(process?);
            // The kernel compares a sum that each processor may be a part of a 256th of the memory behind with.
            let doubt = (overcommit.total / 256).max(1 << 20);
            let is_beyond = usage.saturating_add(kept_back).saturating_add(doubt) >= overcommit.commit_limit;
            is_beyond.then_some(Evidence {
                kept_back,
                ..Evidence::new(Obstacle::Overcommit, overcommit.commit_limit, usage)
            })
        }
        // What could never be had is refused in any case.
        0 if bytes > overcommit.total => Some(Evidence::new(Obstacle::Overcommit, overcommit.total, bytes)),
        _ => None,
    }
}

fn no_gap(wanted: RefusedCall, scratch: &mut [u8]) -> Option<Evidence> {
    let largest = largest_gap(address_space(), scratch)?;
    (largest < wanted.bytes()).then_some(Evidence::new(Obstacle::Gap, largest, wanted.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn strict() -> Overcommit {
        Overcommit {
            mode: 2,
            commit_limit: 12 * GIB,
            committed: 11 * GIB,
            total: 24 * GIB,
            user_reserve: 128 * MIB,
            admin_reserve: 8 * MIB,
        }
    }

    fn process(total: u64, is_admin: bool) -> ProcessSize {
        ProcessSize { total, data: 0, locked: 0, resident: 0, is_admin }
    }

    #[test]
    fn what_is_kept_back_is_the_kernels_formula() {
        let overcommit = strict();
        assert_eq!(overcommit.kept_back(process(64 * GIB, true)), 128 * MIB);
        assert_eq!(overcommit.kept_back(process(64 * GIB, false)), 136 * MIB);
        assert_eq!(overcommit.kept_back(process(GIB, true)), 32 * MIB);
        assert_eq!(overcommit.left(process(GIB, true)), GIB - 32 * MIB);
        assert_eq!(Overcommit { committed: 13 * GIB, ..overcommit }.left(process(GIB, true)), 0);
    }

    #[test]
    fn a_strict_limit_is_named_with_what_is_kept_back() {
        let (large, overcommit) = (process(64 * GIB, false), strict());
        // It fits below the limit, and not below what this process may have of it.
        let found = overcommitted(&overcommit, 900 * MIB, Some(large)).expect("too much");
        assert_eq!(
            found,
            Evidence {
                obstacle: Obstacle::Overcommit,
                limit: 12 * GIB,
                usage: 11 * GIB + 900 * MIB,
                kept_back: 136 * MIB
            }
        );
        assert_eq!(overcommitted(&overcommit, 500 * MIB, Some(large)), None);
        // The same step by a process with less address space.
        assert_eq!(overcommitted(&overcommit, 800 * MIB, Some(process(GIB, true))), None);
        assert!(overcommitted(&overcommit, GIB, Some(process(GIB, true))).is_some());
    }

    #[test]
    fn other_modes_refuse_what_could_never_be_had() {
        let (lax, process) = (Overcommit { mode: 0, ..strict() }, Some(process(GIB, true)));
        assert_eq!(overcommitted(&lax, 24 * GIB, process), None);
        let found = overcommitted(&lax, 100 * GIB, process).expect("more than memory");
        assert_eq!((found.limit, found.usage, found.kept_back), (24 * GIB, 100 * GIB, 0));
        assert_eq!(overcommitted(&Overcommit { mode: 1, ..strict() }, 100 * GIB, process), None);
    }
}
