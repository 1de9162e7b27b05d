//! The command line of `guard`.

use clap::{Args, builder::PossibleValuesParser};
use highwater::guard::ViolationKind;

use super::{
    kinds,
    plan::{AccessKind, GuardPlan, Mechanism, ViolationResponse},
};
use crate::{failure::Failure, machine::page_size, size};

/// The argument that stands for all kinds.
pub const ALL: &str = "all";

const LONG: &str = "\
Provokes a guard violation in a child process and shows its report.

A guard is a page that never becomes accessible. The child makes an arena, prints its layout and \
touches a byte that must not be touched; the library then writes a report. The output shows a drawing \
of the layout with the figures of this run, the report, and how the child ended.

Without a KIND, the kinds are listed.";

fn after() -> String {
    format!(
        "\
Kinds:
{}
N is the value of --by, 1 by default.

An allocation ends directly at its guard if its size is a multiple of its alignment. The bytes that \
alignment leaves between them, and those before the allocation on its first page, are filled with a \
pattern: a write there is detected when the allocation is freed, and the child aborts at that point, \
with or without --abort; a read there is not detected, so it is refused. The child's arena has a min \
alignment of 1; other arenas have 8 by default, which leaves a gap of up to 7 bytes.

A child writes no core dump. A build without the fault engine does not report touches of guards; \
there the command fails.

Examples:
  highwater guard overflow
  highwater guard overflow --size 100 --align 16 --by 13 --read
  highwater guard use-after-reset --mechanism protect --abort
  highwater guard all --json

Exit status: 0 the child reported the violation and ended as expected; 1 it did not, or could not be \
started; 2 refused (bad arguments).",
        kinds::list().lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(ViolationKind::ALL.map(ViolationKind::name).into_iter().chain([ALL]))
}

/// Provoke a guard violation and show its report.
#[derive(Args)]
#[command(long_about = LONG, after_long_help = after(), after_help = "Example:\n  highwater guard overflow")]
pub struct GuardArgs {
    /// The kind of violation to provoke
    #[arg(value_parser = names())]
    pub kind: Option<String>,

    /// List the kinds, which is also the default
    #[arg(long, conflicts_with_all = ["kind", "mechanism", "abort", "read", "size", "align", "by"])]
    pub list: bool,

    /// How guards inside the region are made
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Mechanism::Auto, requires = "kind")]
    pub mechanism: Mechanism,

    /// Let the child abort in a function named after the kind, instead of at the faulting instruction
    #[arg(long, requires = "kind")]
    pub abort: bool,

    /// Read the byte instead of writing it; an underflow is always a write
    #[arg(long, requires = "kind")]
    pub read: bool,

    /// Size of the allocation, for overflow, underflow and use-after-reset [default: 100]
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "kind")]
    pub size: Option<usize>,

    /// Alignment of the allocation, for the same kinds [default: 1]
    #[arg(long, value_name = "BYTES", value_parser = alignment, requires = "kind")]
    pub align: Option<usize>,

    /// Which byte past the boundary to touch: 1 is the first invalid byte
    #[arg(long, value_name = "N", value_parser = bytes, default_value = "1", requires = "kind")]
    pub by: usize,

    /// Print the result as JSON, and nothing else on stdout
    #[arg(long)]
    pub json: bool,

    /// Internal: the child that provokes this.
    #[arg(long, hide = true, value_name = "PLAN", value_parser = GuardPlan::parse)]
    pub provoke: Option<GuardPlan>,
}

impl GuardArgs {
    /// The plans for a kind, or one for each kind.
    pub fn plans(&self, name: &str) -> Result<Vec<GuardPlan>, Failure> {
        let plan = |kind| self.plan(kind, name == ALL).map_err(Failure::refused);
        ViolationKind::ALL.into_iter().filter(|kind| name == ALL || kind.name() == name).map(plan).collect()
    }

    fn plan(&self, kind: ViolationKind, among_all: bool) -> Result<GuardPlan, String> {
        let name = kind.name();
        let has_allocation = kinds::has_allocation(kind);
        if let (Some(bytes), false, false) = (self.size.or(self.align), has_allocation, among_all) {
            let option = if self.size.is_some() { "--size" } else { "--align" };
            return Err(format!("{option} {bytes} has no meaning for {name}, which is about no allocation"));
        }
        if self.read && kind == ViolationKind::Underflow && !among_all {
            return Err("--read cannot show an underflow: only a write there is detected".into());
        }
        let read = self.read && kind != ViolationKind::Underflow;
        let plan = GuardPlan {
            kind: name.to_owned(),
            access: if read { AccessKind::Read } else { AccessKind::Write },
            mechanism: self.mechanism,
            on_violation: if self.abort { ViolationResponse::Abort } else { ViolationResponse::Die },
            size: has_allocation.then_some(self.size.unwrap_or(100)),
            align: has_allocation.then_some(self.align.unwrap_or(1)),
            by: self.by,
        };
        plan.check(kind, page_size())?;
        Ok(plan)
    }
}

/// A larger allocation would show nothing more.
const MAX_BYTES: usize = 1 << 30;

fn bytes(text: &str) -> Result<usize, String> {
    match size::parse_positive(text)? {
        bytes if bytes > MAX_BYTES => Err(format!("the max is {MAX_BYTES} bytes")),
        bytes => Ok(bytes),
    }
}

fn alignment(text: &str) -> Result<usize, String> {
    match bytes(text)? {
        align if align.is_power_of_two() => Ok(align),
        _ => Err("an alignment is a power of two".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_alignments() {
        assert_eq!(bytes("64k"), Ok(65536));
        assert_eq!(bytes("1GiB"), Ok(MAX_BYTES));
        assert!(bytes("0").is_err());
        assert!(bytes("1073741825").is_err());
        assert_eq!(alignment("4096"), Ok(4096));
        assert!(alignment("24").is_err());
    }
}
