//! One way, in a process of its own: memory is filled word by word until the size is reached.

use std::{fs, hint::black_box, mem::MaybeUninit, process::ExitCode, ptr, slice, time::Instant};

use highwater::{Growth, HugePages, Region, Reserve};
use serde::{Deserialize, Serialize};

use super::way::{Engine, Way};
use crate::{failure::Failure, machine, output};

/// Parts of a run; where it is traced, memory is looked at after each.
const PARTS: usize = 128;
const WORD: usize = size_of::<u64>();

/// What a child is to do; it gets this as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub way: Way,
    /// To be filled, in bytes.
    pub size: usize,
    /// How much memory the process has over time is to be told.
    pub traced: bool,
}

impl Plan {
    /// The child's own argument.
    pub fn parse(text: &str) -> Result<Plan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// What it says afterwards.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Told {
    /// From before the first word until after the last.
    pub ns: u64,
    /// Processor time of the same.
    pub cpu_ns: u64,
    /// That the kernel served meanwhile.
    pub page_faults: u64,
    /// Times that the frontier moved; ours only.
    pub steps: Option<u64>,
    /// Committed, or taken from the system, and not used, in bytes.
    pub overshoot: u64,
    pub peak_rss: Option<u64>,
    /// Of all words.
    pub checksum: u64,
    pub trace: Trace,
}

/// Nanoseconds since the first word, and bytes that the process has in memory then.
pub type Trace = Vec<(u64, u64)>;

/// Does the plan and prints what came of it.
pub fn run(plan: &Plan) -> Result<ExitCode, Failure> {
    let told = match plan.way.engine {
        Engine::Vec => vec(plan),
        Engine::Bumpalo => bumpalo(plan),
        Engine::Malloc => malloc(plan)?,
        _ => region(plan)?,
    };
    output::print(&serde_json::to_string(&told).map_err(Failure::runtime)?, ExitCode::SUCCESS)
}

/// The clocks, and where they stood.
struct Clock {
    start: Instant,
    cpu: u64,
    faults: u64,
    traced: bool,
    trace: Trace,
}

impl Clock {
    /// `fill` gets the words of each part, in order.
    fn around(plan: &Plan, mut fill: impl FnMut(std::ops::Range<usize>)) -> Told {
        let words = plan.size / WORD;
        let trace = Vec::with_capacity(PARTS + 1);
        let (faults, cpu) = (machine::page_faults(), machine::thread_cpu_ns());
        let mut clock = Clock { start: Instant::now(), cpu, faults, traced: plan.traced, trace };
        clock.look();
        for part in 0..PARTS {
            fill(words * part / PARTS..words * (part + 1) / PARTS);
            clock.look();
        }
        clock.stop()
    }

    fn look(&mut self) {
        if self.traced {
            self.trace.push((self.start.elapsed().as_nanos() as u64, rss()));
        }
    }

    fn stop(self) -> Told {
        Told {
            ns: self.start.elapsed().as_nanos() as u64,
            cpu_ns: machine::thread_cpu_ns() - self.cpu,
            page_faults: machine::page_faults() - self.faults,
            trace: self.trace,
            ..Told::default()
        }
    }
}

/// Bytes that this process has in memory now.
fn rss() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// What is written at a place: nothing that memory could be full of by itself.
#[inline]
fn word(place: usize) -> u64 {
    place as u64 ^ 0x5555_5555_5555_5555
}

fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

impl Told {
    fn with(mut self, steps: Option<u64>, taken: usize, plan: &Plan, checksum: u64) -> Self {
        self.steps = steps;
        self.overshoot = taken.saturating_sub(plan.size) as u64;
        // Reading takes no memory.
        self.peak_rss = machine::peak_rss();
        self.checksum = checksum;
        self
    }
}

fn region(plan: &Plan) -> Result<Told, Failure> {
    let growth = match plan.way.engine {
        Engine::Upfront | Engine::UpfrontPhysical => Growth::Upfront,
        Engine::Fixed(step) => Growth::Fixed(step),
        _ => Growth::default(),
    };
    let reserve = match plan.way.engine {
        Engine::UpfrontPhysical => Reserve::Physical,
        _ => Reserve::Default,
    };
    let mut builder = Region::builder().name("growth").reserve(reserve).growth(growth);
    if plan.way != Way::DEFAULT {
        let huge_pages = if plan.way.huge { HugePages::Advise } else { HugePages::Never };
        builder = builder.populate(plan.way.populate).huge_pages(huge_pages);
    }
    let region = builder.try_build().map_err(Failure::runtime)?;
    if region.limit() < plan.size {
        return Err(Failure::runtime(format!("only {} bytes could be reserved", region.limit())));
    }
    let base = black_box(region.as_ptr().cast::<u64>());
    let mut refused = None;
    let told = match plan.way.engine {
        Engine::Explicit(step) => {
            let mut frontier = region.committed_bytes();
            Clock::around(plan, |words| {
                for place in words {
                    let end = (place + 1) * WORD;
                    if end > frontier {
                        // (Without memory nothing more is written.)
                        if refused.is_some() {
                            return;
                        }
                        refused = region.ensure((end - WORD + step).min(region.limit())).err();
                        frontier = region.committed_bytes();
                        if end > frontier {
                            return;
                        }
                    }
                    // SAFETY: below the frontier, and nobody else has the region.
                    unsafe { base.add(place).write(word(place)) };
                }
            })
        }
        _ => Clock::around(plan, |words| {
            for place in words {
                // SAFETY: below the region's limit, where a write commits; nobody else has the region.
                unsafe { base.add(place).write(word(place)) };
            }
        }),
    };
    if let Some(refusal) = refused {
        return Err(Failure::runtime(refusal));
    }
    let stats = region.stats();
    // SAFETY: so many words were written, from the base on.
    let checksum = sum(unsafe { slice::from_raw_parts(base, plan.size / WORD) });
    Ok(told.with(Some(stats.commits), stats.committed, plan, checksum))
}

fn vec(plan: &Plan) -> Told {
    let mut words = black_box(Vec::new());
    let told = Clock::around(plan, |places| {
        for place in places {
            words.push(word(place));
        }
    });
    told.with(None, words.capacity() * WORD, plan, sum(&words))
}

fn bumpalo(plan: &Plan) -> Told {
    let mut bump = black_box(bumpalo::Bump::new());
    let told = Clock::around(plan, |places| {
        for place in places {
            bump.alloc(word(place));
        }
    });
    let taken = bump.allocated_bytes_including_metadata();
    let of_chunk = |chunk: &[MaybeUninit<u8>]| {
        // SAFETY: only `u64`s were allocated, so a chunk holds these, aligned and without gaps.
        sum(unsafe { slice::from_raw_parts(chunk.as_ptr().cast(), chunk.len() / WORD) })
    };
    let checksum = bump.iter_allocated_chunks().fold(0_u64, |all, chunk| all.wrapping_add(of_chunk(chunk)));
    told.with(None, taken, plan, checksum)
}

fn malloc(plan: &Plan) -> Result<Told, Failure> {
    // SAFETY: any size may be asked for.
    let block = black_box(unsafe { libc::malloc(plan.size) }.cast::<u64>());
    if ptr::eq(block, ptr::null()) {
        return Err(Failure::runtime(format!("malloc gives no {} bytes", plan.size)));
    }
    let told = Clock::around(plan, |places| {
        for place in places {
            // SAFETY: within the block, which is ours.
            unsafe { block.add(place).write(word(place)) };
        }
    });
    // SAFETY: so many words were written, from its start on; the end of the process frees it.
    let checksum = sum(unsafe { slice::from_raw_parts(block, plan.size / WORD) });
    Ok(told.with(None, plan.size, plan, checksum))
}
