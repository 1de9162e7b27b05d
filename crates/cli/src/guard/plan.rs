//! What one child is to provoke, and what must come of it.

use highwater::guard::{Access, Kind};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::{
    args::{ALL, GuardArgs, Mechanism},
    kinds,
};
use crate::failure::Failure;

/// How far past the frontier the arena lets a touch be where that is shown.
pub const REACH: usize = 1 << 20;

/// One violation to provoke. The child gets it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The name of its kind.
    pub kind: String,
    /// How the byte is touched.
    pub access: Touched,
    /// How guards inside the region are made.
    pub mechanism: Mechanism,
    /// What follows the report.
    pub on_violation: Response,
    /// The allocation's, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// The allocation's, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub align: Option<usize>,
    /// Bytes past the border; the first one is 1.
    pub by: usize,
}

/// How a byte is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Touched {
    Read,
    Write,
}

impl Touched {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Touched::Read => "read",
            Touched::Write => "write",
        }
    }

    /// Some processors do not say.
    pub fn matches(self, said: &str) -> bool {
        said == self.name() || said == access_name(Access::Unknown)
    }
}

/// As in reports that are JSON.
pub fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Unknown => "unknown",
    }
}

/// What follows the report of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    Die,
    Abort,
}

impl Plan {
    /// The child's own argument.
    pub fn parse(text: &str) -> Result<Plan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// What the command line asks for: one plan, or one for each kind.
    pub fn all(args: &GuardArgs, name: &str) -> Result<Vec<Plan>, Failure> {
        let plan = |kind| Plan::new(args, kind, name == ALL).map_err(Failure::asked);
        Kind::ALL.into_iter().filter(|kind| name == ALL || kind.name() == name).map(plan).collect()
    }

    fn new(args: &GuardArgs, kind: Kind, among_all: bool) -> Result<Plan, String> {
        let name = kind.name();
        let has_allocation = kinds::has_allocation(kind);
        if let (Some(bytes), false, false) = (args.size.or(args.align), has_allocation, among_all) {
            let option = if args.size.is_some() { "--size" } else { "--align" };
            return Err(format!("{option} {bytes} means nothing for {name}, which is about no allocation"));
        }
        if args.read && kind == Kind::Underflow && !among_all {
            return Err("--read cannot show an underflow: it is found by what was written".into());
        }
        let read = args.read && kind != Kind::Underflow;
        let plan = Plan {
            kind: name.to_owned(),
            access: if read { Touched::Read } else { Touched::Write },
            mechanism: args.mechanism,
            on_violation: if args.abort { Response::Abort } else { Response::Die },
            size: has_allocation.then_some(args.size.unwrap_or(100)),
            align: has_allocation.then_some(args.align.unwrap_or(1)),
            by: args.by,
        };
        plan.check(kind, page_size())?;
        Ok(plan)
    }

    /// Whether the touch would be what was asked for.
    fn check(&self, kind: Kind, page: usize) -> Result<(), String> {
        let (by, slack) = (self.by, self.slack(page));
        let (size, align) = (self.size.unwrap_or(0), self.align.unwrap_or(1));
        match kind {
            Kind::Overflow if self.access == Touched::Read && by <= slack.behind => Err(format!(
                "overflow: --read --by {by} is in the {} bytes that --align {align} leaves behind --size {size}, \
                 where reads are not noticed; --by {} is the guard's first byte",
                slack.behind,
                slack.behind + 1
            )),
            Kind::Underflow if slack.before == 0 => Err(format!(
                "underflow: --size {size} --align {align} begins on a page, and what is before it is not its own"
            )),
            Kind::Underflow if by > slack.before => Err(format!(
                "underflow: --by {by} is more than the {} bytes of its page before --size {size} --align {align}",
                slack.before
            )),
            Kind::UseAfterReset if by > size => {
                Err(format!("use-after-reset: --by {by} is past the last byte of --size {size}"))
            }
            _ => Ok(()),
        }
    }

    /// What of the allocation's pages is not its own.
    fn slack(&self, page: usize) -> Slack {
        let (size, align) = (self.size.unwrap_or(0), self.align.unwrap_or(1));
        let data = size.next_multiple_of(page);
        // It ends as close to the guard as its alignment lets it; with more than a page that is a page's start.
        let behind = if align > page { data - size } else { size.next_multiple_of(align) - size };
        Slack { before: data - size - behind, behind }
    }

    /// Whether the touch is of bytes that are verified later, and no fault.
    pub fn is_found_later(&self) -> bool {
        match kinds::named(&self.kind) {
            Some(Kind::Underflow) => true,
            Some(Kind::Overflow) => self.by <= self.slack(page_size()).behind,
            _ => false,
        }
    }

    /// What ends the child if all goes well.
    pub fn signal(&self) -> Signal {
        match self.on_violation {
            Response::Die if !self.is_found_later() => Signal::SIGSEGV,
            _ => Signal::SIGABRT,
        }
    }

    /// The distance that the report tells; `None` where it says nothing about it.
    pub fn distance(&self) -> Option<usize> {
        match kinds::named(&self.kind)? {
            Kind::Unallocated => None,
            Kind::BeyondReach => Some(REACH + self.by),
            _ => Some(self.by),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Slack {
    before: usize,
    behind: usize,
}

/// The page size in bytes.
pub fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kind: Kind, access: Touched, size: usize, align: usize, by: usize) -> Plan {
        Plan {
            kind: kind.name().into(),
            access,
            mechanism: Mechanism::Auto,
            on_violation: Response::Die,
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
            let slack = plan(Kind::Overflow, Touched::Write, size, align, 1).slack(4096);
            assert_eq!(slack, Slack { before, behind }, "{size} aligned to {align}");
        }
    }

    #[test]
    fn what_nobody_would_notice_is_refused() {
        let check = |kind, access, size, align, by| plan(kind, access, size, align, by).check(kind, 4096);
        assert!(check(Kind::Overflow, Touched::Read, 100, 16, 12).unwrap_err().contains("--by 13"));
        assert!(check(Kind::Overflow, Touched::Read, 100, 16, 13).is_ok());
        assert!(check(Kind::Overflow, Touched::Write, 100, 16, 1).is_ok());
        assert!(check(Kind::Underflow, Touched::Write, 4096, 1, 1).unwrap_err().contains("--size 4096"));
        assert!(check(Kind::Underflow, Touched::Write, 100, 1, 3996).is_ok());
        assert!(check(Kind::Underflow, Touched::Write, 100, 1, 3997).unwrap_err().contains("3997"));
        assert!(check(Kind::UseAfterReset, Touched::Read, 100, 1, 101).is_err());
    }

    #[test]
    fn the_child_reads_what_the_parent_writes() {
        let plan = plan(Kind::Underflow, Touched::Write, 8, 2, 3);
        assert_eq!(Plan::parse(&serde_json::to_string(&plan).unwrap()), Ok(plan));
        assert!(Plan::parse("{}").is_err());
    }
}
