//! `highwater bench rk4`: Runge-Kutta with vectors and matrices that functions return.

mod chain;
mod method;
mod picture;

use clap::Args;

use super::{
    spaces::Space,
    versus::{self, Computation, VersusArgs},
};
use crate::{failure::Failure, lab::Findings};
use chain::ChainProblem;

/// Integrate an equation with functions that return vectors and matrices: in an arena, on the heap, on the stack.
///
/// The equation describes a chain of masses and springs, x' = A(t) x with a tridiagonal matrix; a step allocates 16
/// vectors and 8 matrices. Every variant is the same program, in Rust and in C, and all results must be equal.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLE)]
pub struct Rk4Args {
    #[command(flatten)]
    pub versus: VersusArgs,
}

const EXAMPLE: &str = "\
Examples:
  highwater bench rk4 --quick                    two lengths, a few rounds
  highwater bench rk4 --lengths 4,16 --charts rk4-charts";

/// Measures the bench.
pub fn measure(args: &Rk4Args) -> Result<Findings, Failure> {
    let title = "Runge-Kutta with vectors and matrices that are returned";
    if let Some(odd) = args.versus.lengths.iter().find(|length| *length % 2 != 0) {
        return Err(Failure::refused(format!(
            "--lengths {odd}: a state has two numbers for each mass, so its length is even"
        )));
    }
    let mut findings = versus::measure::<ChainProblem>(title, &args.versus)?;
    findings.pictures.push(picture::trajectory()?);
    Ok(findings)
}

impl Computation for ChainProblem {
    const NAME: &'static str = "rk4";

    fn of_length(length: usize) -> Self {
        ChainProblem::of_length(length)
    }

    fn steps(length: usize) -> usize {
        (4_000_000 / (length + 60)).max(10)
    }

    fn run<O: Space, S: Space>(&self, space: O, scratch: S, steps: usize) -> Vec<f64> {
        method::integrate(space, scratch, self, &self.start, 0.0, steps)
    }

    fn numbers(&self) -> Vec<f64> {
        let head = [self.length() as f64, self.time_step, self.softening];
        [&head, &self.rest[..], &self.springs, &self.start].concat()
    }
}

#[cfg(test)]
mod tests;
