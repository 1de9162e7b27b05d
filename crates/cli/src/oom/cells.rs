//! The cells of the matrix: who allocates, what runs out, and what is promised of the two together.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Who allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The C library's `malloc`, block by block
    Malloc,
    /// A `Vec<u8>` that grows by `try_reserve`
    Vec,
    /// `bumpalo::Bump` through `try_alloc_layout`
    Bumpalo,
    /// An arena of which everything is accessible from the start
    Upfront,
    /// An arena that grows by fault and asks nobody what is left
    Fault,
    /// The same with headroom, which is the default
    Headroom,
    /// The same that goes on in a file when memory is refused
    Spill,
}

/// What runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Address space
    RlimitAs,
    /// Private writable memory
    RlimitData,
    /// The memory cgroup of the process
    Cgroup,
    /// The byte limit that the arena was given
    Region,
    /// What the kernel promises, where vm.overcommit_memory is 2
    Overcommit,
    /// A small file system that the memory lives on
    Disk,
    /// Nothing: one refusal is made up
    Injection,
}

impl Who {
    /// All of them, in the order of the table.
    pub const ALL: [Who; 7] =
        [Who::Malloc, Who::Vec, Who::Bumpalo, Who::Upfront, Who::Fault, Who::Headroom, Who::Spill];

    /// As it is written on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Who::Malloc => "malloc",
            Who::Vec => "vec",
            Who::Bumpalo => "bumpalo",
            Who::Upfront => "upfront",
            Who::Fault => "fault",
            Who::Headroom => "headroom",
            Who::Spill => "spill",
        }
    }

    /// Whether it is an arena of this library.
    pub fn is_arena(self) -> bool {
        !matches!(self, Who::Malloc | Who::Vec | Who::Bumpalo)
    }
}

impl What {
    /// All of them, in the order of the table.
    pub const ALL: [What; 7] = [
        What::RlimitAs,
        What::RlimitData,
        What::Cgroup,
        What::Region,
        What::Overcommit,
        What::Disk,
        What::Injection,
    ];

    /// As it is written on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            What::RlimitAs => "rlimit-as",
            What::RlimitData => "rlimit-data",
            What::Cgroup => "cgroup",
            What::Region => "region",
            What::Overcommit => "overcommit",
            What::Disk => "disk",
            What::Injection => "injection",
        }
    }
}

/// Why the two do not meet, where they cannot.
pub fn inapplicable(who: Who, what: What) -> Option<&'static str> {
    match (who, what) {
        (Who::Malloc | Who::Vec, What::Region) => Some("it has no limit of its own"),
        (Who::Malloc | Who::Vec | Who::Bumpalo, What::Disk) => Some("it does not live on files"),
        (Who::Malloc | Who::Vec | Who::Bumpalo, What::Injection) => Some("injection is for regions"),
        (Who::Upfront, What::Injection) => Some("what is accessible from the start asks for no growth"),
        _ => None,
    }
}

/// What this library promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nothing: others' allocators, and what was switched off.
    Nothing,
    /// The work is done in spite of it.
    Completion,
    /// A refusal that names one of these causes.
    Refusal(&'static [&'static str]),
}

/// The promise for a cell. Where addresses run out (`rlimit-as`, and for `upfront` everything that is counted when
/// memory is mapped) the reservation is what gets smaller, and its end is what is met.
pub fn promise(who: Who, what: What, has_faults: bool) -> Promise {
    use Promise::{Completion, Nothing, Refusal};
    if !who.is_arena() || inapplicable(who, what).is_some() {
        return Nothing;
    }
    match (what, who) {
        // Not every engine can.
        (_, Who::Spill) if !has_faults => Nothing,
        (What::Region, _) => Refusal(&["region-limit"]),
        (What::Injection, Who::Fault | Who::Headroom) => Refusal(&["injected"]),
        // Without the fault engine memory may be the global allocator's, which makes no promises.
        _ if !has_faults => Nothing,
        (What::RlimitAs, _) => Refusal(&["rlimit-as", "reservation-exhausted"]),
        (What::RlimitData, Who::Upfront) => Refusal(&["rlimit-data", "reservation-exhausted"]),
        (What::Overcommit, Who::Upfront) => Refusal(&["overcommit", "reservation-exhausted"]),
        // Nobody asks what is left, and the kernel kills.
        (What::Cgroup, Who::Upfront | Who::Fault) => Nothing,
        (What::Disk, _) => Refusal(&["disk-full"]),
        (_, Who::Spill) => Completion,
        (What::RlimitData, _) => Refusal(&["rlimit-data"]),
        (What::Cgroup, _) => Refusal(&["cgroup-limit"]),
        (What::Overcommit, _) => Refusal(&["overcommit"]),
        (What::Injection, _) => Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for who in Who::ALL {
            assert_eq!(Who::from_str(who.name(), false), Ok(who));
            assert_eq!(serde_json::to_value(who).unwrap(), who.name());
        }
        for what in What::ALL {
            assert_eq!(What::from_str(what.name(), false), Ok(what));
            assert_eq!(serde_json::to_value(what).unwrap(), what.name());
        }
        assert_eq!(
            (Who::ALL.len(), What::ALL.len()),
            (Who::value_variants().len(), What::value_variants().len())
        );
    }

    #[test]
    fn promises_are_for_arenas_with_headroom() {
        for what in What::ALL {
            assert_eq!(promise(Who::Malloc, what, true), Promise::Nothing);
            if inapplicable(Who::Headroom, what).is_none() {
                assert!(matches!(promise(Who::Headroom, what, true), Promise::Refusal(_)), "{what:?}");
            }
        }
        assert_eq!(promise(Who::Fault, What::Cgroup, true), Promise::Nothing);
        assert_eq!(promise(Who::Spill, What::Cgroup, true), Promise::Completion);
        assert_eq!(promise(Who::Headroom, What::Cgroup, false), Promise::Nothing);
    }
}
