//! One job on one allocator, in a process of its own.

use std::{hint::black_box, time::Instant};

use allocator_api2::alloc::Global;
use clap::ValueEnum;
use highwater::{Arena, HugePages};
use serde::{Deserialize, Serialize};

use super::{
    blink::Blinking,
    jobs::{Job, Maps, Requests, Strings, Trees, What},
};
use crate::{failure::Failure, machine, output};

/// The contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// `highwater::Arena`.
    Highwater,
    /// The same, that does not ask for huge pages, as the others do not.
    HighwaterSmallPages,
    /// A `highwater::Scope` for each cycle.
    HighwaterScope,
    Bumpalo,
    BumpScope,
    BlinkAlloc,
    TypedArena,
    /// Values that are owned, and freed one by one.
    Malloc,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Who::Highwater => "highwater",
            Who::HighwaterSmallPages => "highwater, no huge pages",
            Who::HighwaterScope => "highwater, Scope",
            Who::Bumpalo => "bumpalo",
            Who::BumpScope => "bump-scope",
            Who::BlinkAlloc => "blink-alloc",
            Who::TypedArena => "typed-arena",
            Who::Malloc => "malloc",
        }
    }

    /// One of this project's.
    pub fn is_ours(self) -> bool {
        matches!(self, Who::Highwater | Who::HighwaterSmallPages | Who::HighwaterScope)
    }
}

/// What a child is to do; it gets this as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub who: Who,
    pub what: What,
    pub size: u64,
    pub cycles: u64,
}

impl Plan {
    /// The child's own argument.
    pub fn parse(text: &str) -> Result<Plan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// What it says afterwards.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Told {
    /// From before the allocator is made until it is gone.
    pub ns: u64,
    /// Processor time of the same.
    pub cpu_ns: u64,
    pub checksum: u64,
    pub peak_rss: Option<u64>,
}

/// Does the plan and prints what came of it.
pub fn run(plan: &Plan) -> Result<std::process::ExitCode, Failure> {
    let told = match plan.what {
        What::Trees => on(plan, &Trees { depth: plan.size }),
        What::Strings => on(plan, &Strings::new(plan.size)),
        What::Maps => on(plan, &Maps { values: plan.size }),
        What::Requests => on(plan, &Requests),
    };
    let text = serde_json::to_string(&told).map_err(Failure::runtime)?;
    output::print(&text, std::process::ExitCode::SUCCESS)
}

fn on<J: Job>(plan: &Plan, job: &J) -> Told {
    let (start, cpu) = (Instant::now(), machine::thread_cpu_ns());
    let checksum = match plan.who {
        Who::Highwater => arena(plan, job, Arena::new()),
        Who::HighwaterSmallPages => arena(plan, job, Arena::builder().huge_pages(HugePages::Never).build()),
        Who::HighwaterScope => {
            let mut arena = Arena::new();
            cycles(plan, |cycle| job.cycle(&arena.scope(), cycle))
        }
        Who::Bumpalo => {
            let mut bump = bumpalo::Bump::new();
            cycles(plan, |cycle| {
                let sum = job.cycle(&bump, cycle);
                bump.reset();
                sum
            })
        }
        Who::BumpScope => {
            let mut bump: bump_scope::Bump = bump_scope::Bump::new();
            cycles(plan, |cycle| {
                let sum = job.cycle(&bump, cycle);
                bump.reset();
                sum
            })
        }
        Who::BlinkAlloc => {
            let mut blink = blink_alloc::Blink::new();
            cycles(plan, |cycle| {
                let sum = job.cycle(Blinking(&blink), cycle);
                blink.reset();
                sum
            })
        }
        Who::TypedArena => cycles(plan, |cycle| job.typed(cycle)),
        Who::Malloc => cycles(plan, |cycle| job.cycle(Global, cycle)),
    };
    let (ns, cpu_ns) = (start.elapsed().as_nanos() as u64, machine::thread_cpu_ns() - cpu);
    Told { ns, cpu_ns, checksum, peak_rss: machine::peak_rss() }
}

fn arena<J: Job>(plan: &Plan, job: &J, mut arena: Arena) -> u64 {
    cycles(plan, |cycle| {
        let sum = job.cycle(&arena, cycle);
        arena.reset();
        sum
    })
}

fn cycles(plan: &Plan, mut one: impl FnMut(u64) -> u64) -> u64 {
    (0..plan.cycles).fold(0, |sum: u64, cycle| sum.rotate_left(1) ^ one(black_box(cycle)))
}
