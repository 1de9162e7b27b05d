//! The plan of one child: the violation to provoke, and the expected result.

use clap::ValueEnum;
use highwater::guard::{Access, ViolationKind};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::kinds;
use crate::machine::page_size;

/// The reach of the arena: how far past the frontier a touch is growth.
pub const REACH: usize = 1 << 20;

/// `--mechanism`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// By advice if the kernel supports it, by protection otherwise
    Auto,
    /// By `MADV_GUARD_INSTALL` (Linux 6.13 and later)
    Advice,
    /// By `mprotect`
    Protect,
}

/// One violation to provoke. The child gets it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardPlan {
    /// The name of its kind.
    pub kind: String,
    /// How the byte is touched.
    pub access: AccessKind,
    /// How guards inside the region are made.
    pub mechanism: Mechanism,
    /// What happens after the report.
    pub on_violation: ViolationResponse,
    /// That of the allocation, if the kind is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// That of the allocation, if the kind is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub align: Option<usize>,
    /// Bytes past the boundary; the first one is 1.
    pub by: usize,
}

/// How a byte is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessKind {
    Read,
    Write,
}

impl AccessKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            AccessKind::Read => "read",
            AccessKind::Write => "write",
        }
    }

    /// Whether a report names this access. Some processors do not report which it was.
    pub fn matches(self, reported: &str) -> bool {
        reported == self.name() || reported == access_name(Access::Unknown)
    }
}

/// The name of an access in JSON reports.
pub fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Unknown => "unknown",
    }
}

/// What happens after the report of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ViolationResponse {
    Die,
    Abort,
}

impl GuardPlan {
    /// Parses the argument of the child.
    pub fn parse(text: &str) -> Result<GuardPlan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Checks that the touch is a violation of this kind, and is detected.
    pub fn check(&self, kind: ViolationKind, page: usize) -> Result<(), String> {
        let (by, slack) = (self.by, self.slack(page));
        let (size, align) = (self.size.unwrap_or(0), self.align.unwrap_or(1));
        match kind {
            ViolationKind::Overflow if self.access == AccessKind::Read && by <= slack.behind => Err(format!(
                "overflow: --read --by {by} is in the {} bytes that --align {align} leaves behind --size {size}, \
                 where reads are not detected; --by {} is the guard's first byte",
                slack.behind,
                slack.behind + 1
            )),
            ViolationKind::Underflow if slack.before == 0 => Err(format!(
                "underflow: --size {size} --align {align} starts at a page boundary, and the page before it is not part of it"
            )),
            ViolationKind::Underflow if by > slack.before => Err(format!(
                "underflow: --by {by} is more than the {} bytes of its page before --size {size} --align {align}",
                slack.before
            )),
            ViolationKind::UseAfterReset if by > size => {
                Err(format!("use-after-reset: --by {by} is past the last byte of --size {size}"))
            }
            _ => Ok(()),
        }
    }

    /// The bytes of the allocation's pages that are not part of it.
    fn slack(&self, page: usize) -> Slack {
        let (size, align) = (self.size.unwrap_or(0), self.align.unwrap_or(1));
        let data = size.next_multiple_of(page);
        // It ends as close to the guard as its alignment allows; with more than a page it starts at a page boundary.
        let behind = if align > page { data - size } else { size.next_multiple_of(align) - size };
        Slack { before: data - size - behind, behind }
    }

    /// Whether the touch is no fault, but is detected later by a check of the pattern.
    pub fn is_detected_later(&self) -> bool {
        match kinds::named(&self.kind) {
            Some(ViolationKind::Underflow) => true,
            Some(ViolationKind::Overflow) => self.by <= self.slack(page_size()).behind,
            _ => false,
        }
    }

    /// The signal that is expected to end the child.
    pub fn signal(&self) -> Signal {
        match self.on_violation {
            ViolationResponse::Die if !self.is_detected_later() => Signal::SIGSEGV,
            _ => Signal::SIGABRT,
        }
    }

    /// The distance that the report is expected to have; `None` if it has none.
    pub fn distance(&self) -> Option<usize> {
        match kinds::named(&self.kind)? {
            ViolationKind::Unallocated => None,
            ViolationKind::BeyondReach => Some(REACH + self.by),
            _ => Some(self.by),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Slack {
    before: usize,
    behind: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: ViolationKind, access: AccessKind, size: usize, align: usize, by: usize) -> GuardPlan {
        GuardPlan {
            kind: kind.name().into(),
            access,
            mechanism: Mechanism::Auto,
            on_violation: ViolationResponse::Die,
            size: Some(size),
            align: Some(align),
            by,
        }
    }

    #[test]
    fn slack_is_on_both_sides() {
        for (size, align, before, behind) in [
            (100, 1, 3996, 0),
            (100, 16, 3984, 12),
            (4096, 1, 0, 0),
            (1, 4096, 0, 4095),
            (100, 8192, 0, 3996),
            (4097, 8192, 0, 4095),
            (4097, 2, 4094, 1),
        ] {
            let slack = plan(ViolationKind::Overflow, AccessKind::Write, size, align, 1).slack(4096);
            assert_eq!(slack, Slack { before, behind }, "{size} aligned to {align}");
        }
    }

    #[test]
    fn touches_that_are_not_detected_are_refused() {
        let check = |kind, access, size, align, by| plan(kind, access, size, align, by).check(kind, 4096);
        assert!(
            check(ViolationKind::Overflow, AccessKind::Read, 100, 16, 12).unwrap_err().contains("--by 13")
        );
        assert!(check(ViolationKind::Overflow, AccessKind::Read, 100, 16, 13).is_ok());
        assert!(check(ViolationKind::Overflow, AccessKind::Write, 100, 16, 1).is_ok());
        assert!(
            check(ViolationKind::Underflow, AccessKind::Write, 4096, 1, 1)
                .unwrap_err()
                .contains("--size 4096")
        );
        assert!(check(ViolationKind::Underflow, AccessKind::Write, 100, 1, 3996).is_ok());
        assert!(
            check(ViolationKind::Underflow, AccessKind::Write, 100, 1, 3997).unwrap_err().contains("3997")
        );
        assert!(check(ViolationKind::UseAfterReset, AccessKind::Read, 100, 1, 101).is_err());
    }

    #[test]
    fn the_child_reads_what_the_parent_writes() {
        let plan = plan(ViolationKind::Underflow, AccessKind::Write, 8, 2, 3);
        assert_eq!(GuardPlan::parse(&serde_json::to_string(&plan).unwrap()), Ok(plan));
        assert!(GuardPlan::parse("{}").is_err());
    }
}
