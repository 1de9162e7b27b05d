//! `highwater bench`: measured comparisons, each with its peers beside it.
//!
//! A bench has a file or folder here with its `Args` (which flatten [`LabArgs`]), a function `measure` that gives
//! its [`Findings`] as data, and a variant below.

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

/// Does what the command line says.
pub fn run(args: &BenchArgs) -> Result<ExitCode, Failure> {
    match &args.bench {
        Bench::Physics(args) => one(&args.versus.lab, || physics::measure(args)),
        Bench::Rk4(args) => one(&args.versus.lab, || rk4::measure(args)),
        Bench::Growth(args) => {
            growth::child(args).unwrap_or_else(|| one(&args.lab, || growth::measure(args)))
        }
        Bench::Scratch(args) => {
            scratch::child(args).unwrap_or_else(|| one(&args.lab, || scratch::measure(args)))
        }
        Bench::Malloctest(args) => one(&args.lab, || malloctest::measure(args)),
    }
}

/// One bench from the command line: its findings are printed and written as its options say.
fn one(args: &LabArgs, measure: impl FnOnce() -> Result<Findings, Failure>) -> Result<ExitCode, Failure> {
    lab::check(args)?;
    interrupt::install(SecondCtrlC::Exit)?;
    lab::deliver(measure()?, args)
}
