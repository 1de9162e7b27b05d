//! One computation with vectors in an arena, with vectors on the heap, and, if their length is constant, with vectors on
//! the stack; in Rust and in C. The common part of `bench rk4` and `bench physics`.

mod charts;
mod clock;
mod contests;
mod sentences;

use clap::{Args, builder::RangedU64ValueParser};

use super::{
    c::{CArgs, CToolchain},
    spaces::Space,
};
use crate::{
    failure::Failure,
    interrupt,
    lab::{Findings, Lab, LabArgs},
};

/// The default lengths of vectors.
const LENGTHS: [usize; 10] = [2, 4, 8, 16, 32, 64, 128, 256, 1024, 8192];
const QUICK_LENGTHS: [usize; 2] = [4, 64];
const MAX_LENGTH: u64 = 1 << 17;

/// Options of both benches.
#[derive(Args, Clone, Debug, Default)]
pub struct VersusArgs {
    /// Lengths of vectors, separated by commas [default: 2 to 8192]; 2, 4, 8, 16, 32 and 64 are also measured as
    /// constants
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = RangedU64ValueParser::<u64>::new().range(2..=MAX_LENGTH))]
    pub lengths: Vec<u64>,

    /// Steps of a run [default: as many as take about ten milliseconds]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u64>::new().range(1..=100_000_000))]
    pub steps: Option<u64>,

    #[command(flatten)]
    pub c: CArgs,

    #[command(flatten)]
    pub lab: LabArgs,
}

impl VersusArgs {
    /// The lengths in ascending order, each once.
    pub fn all_lengths(&self) -> Vec<usize> {
        let mut lengths: Vec<usize> = self.lengths.iter().map(|length| *length as usize).collect();
        if lengths.is_empty() {
            lengths = self.lab.size(LENGTHS.to_vec(), QUICK_LENGTHS.to_vec());
        }
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// The command line that repeats it.
    fn command(&self, bench: &str) -> String {
        let mut command = format!("bench {bench}");
        if !self.lengths.is_empty() {
            let lengths: Vec<_> = self.lengths.iter().map(ToString::to_string).collect();
            command.push_str(&format!(" --lengths {}", lengths.join(",")));
        }
        if let Some(steps) = self.steps {
            command.push_str(&format!(" --steps {steps}"));
        }
        if self.c.no_c {
            command.push_str(" --no-c");
        }
        self.lab.command(&command)
    }
}

/// A computation with vectors of one length.
pub trait Computation {
    /// The name of the bench and of its program in C.
    const NAME: &'static str;

    /// The computation for this length.
    fn of_length(length: usize) -> Self;

    /// How many steps take about ten milliseconds.
    fn steps(length: usize) -> usize;

    /// Computes this many steps from the start, with lasting values in `space`, and returns the result.
    fn run<O: Space, S: Space>(&self, space: O, scratch: S, steps: usize) -> Vec<f64>;

    /// The problem in the form the program in C reads.
    fn numbers(&self) -> Vec<f64>;
}

/// Measures all lengths.
pub fn measure<J: Computation>(title: &str, args: &VersusArgs) -> Result<Findings, Failure> {
    let lengths = args.all_lengths();
    let toolchain = CToolchain::open(&args.c);
    let contenders = lengths.iter().map(|length| contests::count(*length, toolchain.is_ok())).sum();
    let lab = Lab::new(&format!("bench {}", J::NAME), &args.lab, args.lab.size(15, 3), 1, contenders);
    let mut findings = Findings::new(J::NAME, title, args.command(J::NAME), args.lab.quick);
    let mut bitwise_equal = Vec::new();
    for length in lengths {
        if interrupt::requested() {
            findings.partial = true;
            break;
        }
        let divisor = args.lab.size(1, 20);
        let steps = args.steps.map_or_else(|| J::steps(length).div_ceil(divisor), |steps| steps as usize);
        bitwise_equal.extend(contests::of_length::<J>(length, steps, &toolchain, &lab, &mut findings)?);
    }
    findings.words = sentences::of_findings(&findings, &toolchain, &bitwise_equal);
    findings.pictures = charts::of(&findings)?;
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_that_repeats_it() {
        let mut args = VersusArgs::default();
        assert_eq!(args.command("rk4"), "highwater bench rk4");
        assert_eq!(args.all_lengths(), LENGTHS);
        args.lengths = vec![64, 8, 8];
        args.steps = Some(10);
        args.lab.quick = true;
        args.lab.runs = Some(3);
        args.c.no_c = true;
        let command = "highwater bench rk4 --lengths 64,8,8 --steps 10 --no-c --runs 3 --quick";
        assert_eq!(args.command("rk4"), command);
        assert_eq!(args.all_lengths(), [8, 64]);
    }
}
