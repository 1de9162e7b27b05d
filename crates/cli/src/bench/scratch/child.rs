//! Runs one job on one allocator, in a separate process.

use std::{hint::black_box, time::Instant};

use allocator_api2::alloc::Global;
use clap::ValueEnum;
use highwater::{Arena, HugePages};
use serde::{Deserialize, Serialize};

use super::{
    blink::BlinkHandle,
    jobs::{Maps, Requests, ScratchJob, ScratchJobKind, Strings, Trees},
};
use crate::{failure::Failure, machine, output};

/// The contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScratchAllocator {
    /// `highwater::Arena`.
    Highwater,
    /// The same without huge pages, like the other allocators.
    HighwaterSmallPages,
    /// A `highwater::Scope` for each cycle.
    HighwaterScope,
    Bumpalo,
    BumpScope,
    BlinkAlloc,
    TypedArena,
    /// Owned values that are freed one by one.
    Malloc,
}

impl ScratchAllocator {
    pub fn name(self) -> &'static str {
        match self {
            ScratchAllocator::Highwater => "highwater",
            ScratchAllocator::HighwaterSmallPages => "highwater, no huge pages",
            ScratchAllocator::HighwaterScope => "highwater, Scope",
            ScratchAllocator::Bumpalo => "bumpalo",
            ScratchAllocator::BumpScope => "bump-scope",
            ScratchAllocator::BlinkAlloc => "blink-alloc",
            ScratchAllocator::TypedArena => "typed-arena",
            ScratchAllocator::Malloc => "malloc",
        }
    }

    /// Whether it is one of this project's.
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            ScratchAllocator::Highwater
                | ScratchAllocator::HighwaterSmallPages
                | ScratchAllocator::HighwaterScope
        )
    }
}

/// The plan of a child, which gets it as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScratchPlan {
    pub allocator: ScratchAllocator,
    pub job: ScratchJobKind,
    pub size: u64,
    pub cycles: u64,
}

impl ScratchPlan {
    /// Parses the argument of the child.
    pub fn parse(text: &str) -> Result<ScratchPlan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// The report of a child.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScratchReport {
    /// Wall time from before the allocator is made until after it is dropped.
    pub ns: u64,
    /// Processor time of the same.
    pub cpu_ns: u64,
    pub checksum: u64,
    pub peak_rss: Option<u64>,
}

/// Runs the plan and prints the report.
pub fn run(plan: &ScratchPlan) -> Result<std::process::ExitCode, Failure> {
    let report = match plan.job {
        ScratchJobKind::Trees => measure(plan, &Trees { depth: plan.size }),
        ScratchJobKind::Strings => measure(plan, &Strings::new(plan.size)),
        ScratchJobKind::Maps => measure(plan, &Maps { values: plan.size }),
        ScratchJobKind::Requests => measure(plan, &Requests),
    };
    let text = serde_json::to_string(&report).map_err(Failure::runtime)?;
    output::print(&text, std::process::ExitCode::SUCCESS)
}

fn measure<J: ScratchJob>(plan: &ScratchPlan, job: &J) -> ScratchReport {
    let (start, cpu) = (Instant::now(), machine::thread_cpu_ns());
    let checksum = match plan.allocator {
        ScratchAllocator::Highwater => arena(plan, job, Arena::new()),
        ScratchAllocator::HighwaterSmallPages => {
            arena(plan, job, Arena::builder().huge_pages(HugePages::Never).build())
        }
        ScratchAllocator::HighwaterScope => {
            let mut arena = Arena::new();
            cycles(plan, |cycle| job.cycle(&arena.scope(), cycle))
        }
        ScratchAllocator::Bumpalo => {
            let mut bump = bumpalo::Bump::new();
            cycles(plan, |cycle| {
                let sum = job.cycle(&bump, cycle);
                bump.reset();
                sum
            })
        }
        ScratchAllocator::BumpScope => {
            let mut bump: bump_scope::Bump = bump_scope::Bump::new();
            cycles(plan, |cycle| {
                let sum = job.cycle(&bump, cycle);
                bump.reset();
                sum
            })
        }
        ScratchAllocator::BlinkAlloc => {
            let mut blink = blink_alloc::Blink::new();
            cycles(plan, |cycle| {
                let sum = job.cycle(BlinkHandle(&blink), cycle);
                blink.reset();
                sum
            })
        }
        ScratchAllocator::TypedArena => cycles(plan, |cycle| job.typed(cycle)),
        ScratchAllocator::Malloc => cycles(plan, |cycle| job.cycle(Global, cycle)),
    };
    let (ns, cpu_ns) = (start.elapsed().as_nanos() as u64, machine::thread_cpu_ns() - cpu);
    ScratchReport { ns, cpu_ns, checksum, peak_rss: machine::peak_rss() }
}

fn arena<J: ScratchJob>(plan: &ScratchPlan, job: &J, mut arena: Arena) -> u64 {
    cycles(plan, |cycle| {
        let sum = job.cycle(&arena, cycle);
        arena.reset();
        sum
    })
}

fn cycles(plan: &ScratchPlan, mut run_cycle: impl FnMut(u64) -> u64) -> u64 {
    (0..plan.cycles).fold(0, |sum: u64, cycle| sum.rotate_left(1) ^ run_cycle(black_box(cycle)))
}
