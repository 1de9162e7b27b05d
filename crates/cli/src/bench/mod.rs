//! `highwater bench`: measured comparisons with peers.
//!
//! A bench has a folder here with its `Args` (which flatten [`LabArgs`]), a function `measure` that returns its
//! [`Findings`] as data, and a variant below.

mod c;
pub mod growth;
pub mod malloctest;
pub mod physics;
pub mod rk4;
pub mod scratch;
mod spaces;
mod versus;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::{
    failure::Failure,
    interrupt::{self, SecondCtrlC},
    lab::{self, Findings, LabArgs},
};

/// Compare with peers: medians, ratios, charts.
#[derive(Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    Growth(Box<growth::GrowthArgs>),
    Physics(Box<physics::PhysicsArgs>),
    Rk4(Box<rk4::Rk4Args>),
    Scratch(Box<scratch::ScratchArgs>),
    Malloctest(Box<malloctest::MalloctestArgs>),
}

/// Runs the subcommand.
pub fn run(args: &BenchArgs) -> Result<ExitCode, Failure> {
    match &args.bench {
        Bench::Physics(args) => run_bench(&args.versus.lab, || physics::measure(args)),
        Bench::Rk4(args) => run_bench(&args.versus.lab, || rk4::measure(args)),
        Bench::Growth(args) => {
            growth::child(args).unwrap_or_else(|| run_bench(&args.lab, || growth::measure(args)))
        }
        Bench::Scratch(args) => {
            scratch::child(args).unwrap_or_else(|| run_bench(&args.lab, || scratch::measure(args)))
        }
        Bench::Malloctest(args) => run_bench(&args.lab, || malloctest::measure(args)),
    }
}

/// Runs one bench, and prints and writes its findings as its options say.
fn run_bench(
    args: &LabArgs,
    measure: impl FnOnce() -> Result<Findings, Failure>,
) -> Result<ExitCode, Failure> {
    lab::check(args)?;
    interrupt::install(SecondCtrlC::Exit)?;
    lab::deliver(measure()?, args)
}
