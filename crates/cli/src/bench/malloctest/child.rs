//! The child process, which measures itself.

use std::process::ExitCode;

use bumpalo::Bump;
use clap::Args;
use highwater::Arena;

use super::{
    allocator::{NoAllocator, ScopedArena, SystemMalloc},
    plan::{AllocatorChoice, MalloctestPlan, MalloctestReport},
    work,
};
use crate::{allocators::probe, failure::Failure, machine, output};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "malloctest-child";

/// The arguments of the child.
#[derive(Args)]
pub struct ChildArgs {
    #[arg(value_parser = MalloctestPlan::parse)]
    plan: MalloctestPlan,
}

/// Runs the plan and prints the report.
pub fn run(args: &ChildArgs) -> Result<ExitCode, Failure> {
    let plan = &args.plan;
    let malloc_from = probe::defining_file(c"malloc").map(|file| file.to_string_lossy().into_owned());
    let rss_before = machine::rss();
    let (shape, write) = (&plan.shape, plan.write);
    let measured = match plan.allocator {
        AllocatorChoice::Malloc => work::run::<SystemMalloc>(shape, write),
        AllocatorChoice::Arena => work::run::<Arena>(shape, write),
        AllocatorChoice::Scope => work::run::<ScopedArena>(shape, write),
        AllocatorChoice::Bumpalo => work::run::<Bump>(shape, write),
        AllocatorChoice::None => work::run::<NoAllocator>(shape, write),
    };
    let measured = measured.map_err(Failure::runtime)?;
    let report = MalloctestReport {
        malloc_from,
        repeat_ns: measured.repeat_ns,
        thread_ns: measured.thread_ns,
        user_ns: measured.usage.user_ns,
        system_ns: measured.usage.system_ns,
        page_faults: measured.usage.page_faults,
        peak_rss: measured.peak_rss,
        rss_before,
        asked: measured.asked,
        verified: measured.verified,
    };
    output::print(&serde_json::to_string(&report).map_err(Failure::runtime)?, ExitCode::SUCCESS)
}
