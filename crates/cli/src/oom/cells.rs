//! The cells of the matrix: allocators, limits, and what the library guarantees for each combination.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The allocator that runs out of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OomSubject {
    /// The C library's `malloc`
    Malloc,
    /// A `Vec<u8>` that grows by `try_reserve`
    Vec,
    /// `bumpalo::Bump` through `try_alloc_layout`
    Bumpalo,
    /// An arena that is committed completely at the start
    Upfront,
    /// An arena that grows by faults, without headroom
    Fault,
    /// The same with headroom, the default
    Headroom,
    /// The same, which continues in a file when memory is refused
    Spill,
}

/// The limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// Address space
    RlimitAs,
    /// Private writable memory
    RlimitData,
    /// The memory cgroup of the process
    Cgroup,
    /// The byte limit of the arena
    Region,
    /// The kernel's commit limit, if vm.overcommit_memory is 2
    Overcommit,
    /// A small file system that backs the memory
    Disk,
    /// No limit: an injected refusal
    Injection,
}

impl OomSubject {
    /// All of them, in the order of the table.
    pub const ALL: [OomSubject; 7] = [
        OomSubject::Malloc,
        OomSubject::Vec,
        OomSubject::Bumpalo,
        OomSubject::Upfront,
        OomSubject::Fault,
        OomSubject::Headroom,
        OomSubject::Spill,
    ];

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            OomSubject::Malloc => "malloc",
            OomSubject::Vec => "vec",
            OomSubject::Bumpalo => "bumpalo",
            OomSubject::Upfront => "upfront",
            OomSubject::Fault => "fault",
            OomSubject::Headroom => "headroom",
            OomSubject::Spill => "spill",
        }
    }

    /// Whether it is an arena of this library.
    pub fn is_arena(self) -> bool {
        !matches!(self, OomSubject::Malloc | OomSubject::Vec | OomSubject::Bumpalo)
    }
}

impl LimitKind {
    /// All of them, in the order of the table.
    pub const ALL: [LimitKind; 7] = [
        LimitKind::RlimitAs,
        LimitKind::RlimitData,
        LimitKind::Cgroup,
        LimitKind::Region,
        LimitKind::Overcommit,
        LimitKind::Disk,
        LimitKind::Injection,
    ];

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            LimitKind::RlimitAs => "rlimit-as",
            LimitKind::RlimitData => "rlimit-data",
            LimitKind::Cgroup => "cgroup",
            LimitKind::Region => "region",
            LimitKind::Overcommit => "overcommit",
            LimitKind::Disk => "disk",
            LimitKind::Injection => "injection",
        }
    }
}

/// Why a combination is not applicable, if it is not.
pub fn inapplicable(who: OomSubject, what: LimitKind) -> Option<&'static str> {
    match (who, what) {
        (OomSubject::Malloc | OomSubject::Vec, LimitKind::Region) => Some("it has no limit of its own"),
        (OomSubject::Malloc | OomSubject::Vec | OomSubject::Bumpalo, LimitKind::Disk) => {
            Some("its memory is not backed by files")
        }
        (OomSubject::Malloc | OomSubject::Vec | OomSubject::Bumpalo, LimitKind::Injection) => {
            Some("injection is only for regions")
        }
        (OomSubject::Upfront, LimitKind::Injection) => Some("it is committed at the start and never grows"),
        _ => None,
    }
}

/// What this library guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Nothing: other allocators, and arenas with a protection switched off.
    Nothing,
    /// The work is completed in spite of the limit.
    Completion,
    /// A refusal that names one of these causes.
    Refusal(&'static [&'static str]),
}

/// The guarantee for a cell. If address space runs out (`rlimit-as`, and for `upfront` everything that is counted when
/// memory is mapped) the reservation is made smaller, and the arena reaches its end.
pub fn guarantee(who: OomSubject, what: LimitKind, has_faults: bool) -> Guarantee {
    use Guarantee::{Completion, Nothing, Refusal};
    if !who.is_arena() || inapplicable(who, what).is_some() {
        return Nothing;
    }
    match (what, who) {
        // Not every engine supports it.
        (_, OomSubject::Spill) if !has_faults => Nothing,
        (LimitKind::Region, _) => Refusal(&["region-limit"]),
        (LimitKind::Injection, OomSubject::Fault | OomSubject::Headroom) => Refusal(&["injected"]),
        // Without the fault engine memory may come from the global allocator, which guarantees nothing.
        _ if !has_faults => Nothing,
        (LimitKind::RlimitAs, _) => Refusal(&["rlimit-as", "reservation-exhausted"]),
        (LimitKind::RlimitData, OomSubject::Upfront) => Refusal(&["rlimit-data", "reservation-exhausted"]),
        (LimitKind::Overcommit, OomSubject::Upfront) => Refusal(&["overcommit", "reservation-exhausted"]),
        // Without headroom the OOM killer acts before the library can refuse.
        (LimitKind::Cgroup, OomSubject::Upfront | OomSubject::Fault) => Nothing,
        (LimitKind::Disk, _) => Refusal(&["disk-full"]),
        (_, OomSubject::Spill) => Completion,
        (LimitKind::RlimitData, _) => Refusal(&["rlimit-data"]),
        (LimitKind::Cgroup, _) => Refusal(&["cgroup-limit"]),
        (LimitKind::Overcommit, _) => Refusal(&["overcommit"]),
        (LimitKind::Injection, _) => Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for who in OomSubject::ALL {
            assert_eq!(OomSubject::from_str(who.name(), false), Ok(who));
            assert_eq!(serde_json::to_value(who).unwrap(), who.name());
        }
        for what in LimitKind::ALL {
            assert_eq!(LimitKind::from_str(what.name(), false), Ok(what));
            assert_eq!(serde_json::to_value(what).unwrap(), what.name());
        }
        assert_eq!(
            (OomSubject::ALL.len(), LimitKind::ALL.len()),
            (OomSubject::value_variants().len(), LimitKind::value_variants().len())
        );
    }

    #[test]
    fn guarantees_are_for_arenas_with_headroom() {
        for what in LimitKind::ALL {
            assert_eq!(guarantee(OomSubject::Malloc, what, true), Guarantee::Nothing);
            if inapplicable(OomSubject::Headroom, what).is_none() {
                assert!(
                    matches!(guarantee(OomSubject::Headroom, what, true), Guarantee::Refusal(_)),
                    "{what:?}"
                );
            }
        }
        assert_eq!(guarantee(OomSubject::Fault, LimitKind::Cgroup, true), Guarantee::Nothing);
        assert_eq!(guarantee(OomSubject::Spill, LimitKind::Cgroup, true), Guarantee::Completion);
        assert_eq!(guarantee(OomSubject::Headroom, LimitKind::Cgroup, false), Guarantee::Nothing);
    }
}
