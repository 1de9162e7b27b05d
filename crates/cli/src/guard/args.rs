//! The command line of `guard`.

use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use highwater::guard::Kind;
use serde::{Deserialize, Serialize};

use super::{kinds, plan::Plan};
use crate::size;

/// All kinds, one after the other.
pub const ALL: &str = "all";

const LONG: &str = "\
Provokes a violation of a guard in a child process and shows its report.

A guard is a page that must never become accessible. The child makes an arena, says how it is laid \
out and touches a byte that it must not touch; the report is what it wrote about that. Shown are a \
drawing of the layout, from the figures of that very run, the report, and how the child ended.

Without a KIND the kinds are listed.";

fn after() -> String {
    format!(
        "\
Kinds:
{}
N is what --by says, 1 if it says nothing.

An allocation ends right against its guard where its size is a multiple of its alignment. What \
alignment leaves between them, and what of its pages is before it, is filled with a pattern instead: \
a write there is found when the allocation is given up, and the child aborts at that point, whatever \
--abort says; a read there is not noticed, so it is refused. The child's arena has a minimal alignment \
of 1; that of others, 8 by default, leaves as much.

A child leaves no core dump. A build without the fault engine has no reports of touches; there the \
command fails.

Examples:
  highwater guard overflow
  highwater guard overflow --size 100 --align 16 --by 13 --read
  highwater guard use-after-reset --mechanism protect --abort
  highwater guard all --json

Exit status: 0 the child reported the kind and ended as it should, 1 it did not or could not be \
started, 2 refused (bad arguments).",
        kinds::list().lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name).into_iter().chain([ALL]))
}

/// Provoke a violation of a guard and show its report.
#[derive(Args)]
#[command(long_about = LONG, after_long_help = after(), after_help = "Example:\n  highwater guard overflow")]
pub struct GuardArgs {
    /// What to provoke
    #[arg(value_parser = names())]
    pub kind: Option<String>,

    /// List the kinds, which is also what happens without one
    #[arg(long, conflicts_with_all = ["kind", "mechanism", "abort", "read", "size", "align", "by"])]
    pub list: bool,

    /// How guards inside the region are made
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Mechanism::Auto, requires = "kind")]
    pub mechanism: Mechanism,

    /// Let the child abort in a function named after the kind, instead of dying at the instruction
    #[arg(long, requires = "kind")]
    pub abort: bool,

    /// Read the byte instead of writing it; an underflow is always written
    #[arg(long, requires = "kind")]
    pub read: bool,

    /// The size of the allocation, for overflow, underflow and use-after-reset [default: 100]
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "kind")]
    pub size: Option<usize>,

    /// The alignment of the allocation, for the same [default: 1]
    #[arg(long, value_name = "BYTES", value_parser = alignment, requires = "kind")]
    pub align: Option<usize>,

    /// How many bytes past the border to touch: the first byte that is wrong is 1
    #[arg(long, value_name = "N", value_parser = bytes, default_value = "1", requires = "kind")]
    pub by: usize,

    /// Print the result as JSON, and nothing else on stdout
    #[arg(long)]
    pub json: bool,

    /// Be the child: provoke what this says.
    #[arg(long, hide = true, value_name = "PLAN", value_parser = Plan::parse)]
    pub provoke: Option<Plan>,
}

/// `--mechanism`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// By advice where the kernel has it, by protection otherwise.
    Auto,
    /// By `MADV_GUARD_INSTALL` (Linux 6.13 and later).
    Advice,
    /// By `mprotect`.
    Protect,
}

/// More would show nothing that less does not.
const MOST: usize = 1 << 30;

fn bytes(text: &str) -> Result<usize, String> {
    match size::parse_positive(text)? {
        bytes if bytes > MOST => Err(format!("at most {MOST} bytes can be asked for here")),
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
    fn figures() {
        assert_eq!(bytes("64k"), Ok(65536));
        assert_eq!(bytes("1GiB"), Ok(MOST));
        assert!(bytes("0").is_err());
        assert!(bytes("1073741825").is_err());
        assert_eq!(alignment("4096"), Ok(4096));
        assert!(alignment("24").is_err());
    }
}
