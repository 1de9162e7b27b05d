//! `highwater bench malloctest`: arrays of random blocks, filled and emptied again.

mod child;
mod plan;
mod sizes;
mod subject;
mod usage;
mod work;

use std::process::ExitCode;

use clap::Args;

use self::plan::Plan;
use crate::failure::Failure;

/// Be the process that measures itself.
#[derive(Args)]
pub struct ChildArgs {
    #[arg(value_parser = Plan::parse)]
    plan: Plan,
}

/// Does what the command line says.
pub fn child(args: &ChildArgs) -> Result<ExitCode, Failure> {
    child::run(&args.plan)
}
