//! `highwater bench physics`: a toy physics engine with vectors that functions return.

mod engine;
mod picture;
mod world;

use clap::Args;

use super::{
    spaces::Space,
    versus::{self, Computation, VersusArgs},
};
use crate::{failure::Failure, lab::Findings};
use world::PhysicsProblem;

/// Simulate bodies, springs and collisions with functions that return vectors: in an arena, on the heap, on the stack.
///
/// Ten bodies fall, bounce and pull each other in a box with as many dimensions as a vector has numbers; a step allocates
/// about 150 vectors. Every variant is the same program, in Rust and in C, and all results must be equal.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLE)]
pub struct PhysicsArgs {
    #[command(flatten)]
    pub versus: VersusArgs,
}

const EXAMPLE: &str = "\
Examples:
  highwater bench physics --quick                two numbers of dimensions, a few rounds
  highwater bench physics --lengths 2,4 --charts physics-charts";

/// Measures the bench.
pub fn measure(args: &PhysicsArgs) -> Result<Findings, Failure> {
    let title = "A toy physics engine with vectors that are returned";
    let mut findings = versus::measure::<PhysicsProblem>(title, &args.versus)?;
    findings.pictures.push(picture::motion()?);
    Ok(findings)
}

impl Computation for PhysicsProblem {
    const NAME: &'static str = "physics";

    fn of_length(length: usize) -> Self {
        PhysicsProblem::of_dimensions(length)
    }

    fn steps(length: usize) -> usize {
        (400_000 / (length + 40)).max(10)
    }

    fn run<O: Space, S: Space>(&self, space: O, scratch: S, steps: usize) -> Vec<f64> {
        let end = engine::simulate(space, scratch, &self.laws, &self.springs, &self.bodies, steps);
        let vectors = end.bodies.iter().flat_map(|body| body.at.iter().chain(&body.velocity));
        vectors.copied().chain([end.touches as f64]).collect()
    }

    fn numbers(&self) -> Vec<f64> {
        let laws = &self.laws;
        let counts = [self.dimensions(), self.bodies.len(), self.springs.len()].map(|count| count as f64);
        let laws = [laws.gravity, laws.drag, laws.stiffness, laws.restitution, laws.time_step, laws.size];
        let springs =
            self.springs.iter().flat_map(|spring| [spring.a as f64, spring.b as f64, spring.length]);
        let bodies = self.bodies.iter().flat_map(|body| body.at.iter().chain(&body.velocity)).copied();
        counts.into_iter().chain(laws).chain(springs).chain(bodies).collect()
    }
}

#[cfg(test)]
mod tests;
