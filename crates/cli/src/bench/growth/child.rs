//! Runs one strategy in a separate process: memory is filled word by word until the size is reached.

use std::{hint::black_box, mem::MaybeUninit, process::ExitCode, ptr, slice, time::Instant};

use highwater::{Growth, HugePages, Region, Reserve};
use serde::{Deserialize, Serialize};

use super::strategy::{GrowthMethod, GrowthStrategy};
use crate::{failure::Failure, machine, output};

/// The number of parts of a run; memory is sampled after each if the run is traced.
const PARTS: usize = 128;
const WORD: usize = size_of::<u64>();

/// The plan of a child, which gets it as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct GrowthPlan {
    pub strategy: GrowthStrategy,
    /// Bytes to fill.
    pub size: usize,
    /// Whether to sample the resident memory over time.
    pub traced: bool,
}

impl GrowthPlan {
    /// Parses the argument of the child.
    pub fn parse(text: &str) -> Result<GrowthPlan, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// The report of a child.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GrowthReport {
    /// Wall time from before the first word until after the last.
    pub ns: u64,
    /// Processor time of the same.
    pub cpu_ns: u64,
    /// Page faults served in that time.
    pub page_faults: u64,
    /// How often the frontier moved; this project's only.
    pub steps: Option<u64>,
    /// Bytes committed, or obtained from the system, and not used.
    pub overshoot: u64,
    pub peak_rss: Option<u64>,
    /// The checksum of all words.
    pub checksum: u64,
    pub trace: RssTrace,
}

/// Nanoseconds since the first word, and resident bytes at that time.
pub type RssTrace = Vec<(u64, u64)>;

/// Runs the plan and prints the report.
pub fn run(plan: &GrowthPlan) -> Result<ExitCode, Failure> {
    let report = match plan.strategy.engine {
        GrowthMethod::Vec => vec(plan),
        GrowthMethod::Bumpalo => bumpalo(plan),
        GrowthMethod::Malloc => malloc(plan)?,
        _ => region(plan)?,
    };
    output::print(&serde_json::to_string(&report).map_err(Failure::runtime)?, ExitCode::SUCCESS)
}

/// The clocks and counters at the start.
struct Clock {
    start: Instant,
    cpu: u64,
    faults: u64,
    traced: bool,
    trace: RssTrace,
}

impl Clock {
    /// Runs `fill` on the range of words of each part, in order.
    fn measure(plan: &GrowthPlan, mut fill: impl FnMut(std::ops::Range<usize>)) -> GrowthReport {
        let words = plan.size / WORD;
        let trace = Vec::with_capacity(PARTS + 1);
        let (faults, cpu) = (machine::page_faults(), machine::thread_cpu_ns());
        let mut clock = Clock { start: Instant::now(), cpu, faults, traced: plan.traced, trace };
        clock.sample();
        for part in 0..PARTS {
            fill(words * part / PARTS..words * (part + 1) / PARTS);
            clock.sample();
        }
        clock.stop()
    }

    fn sample(&mut self) {
        if self.traced {
            self.trace.push((self.start.elapsed().as_nanos() as u64, machine::rss().unwrap_or(0)));
        }
    }

    fn stop(self) -> GrowthReport {
        GrowthReport {
            ns: self.start.elapsed().as_nanos() as u64,
            cpu_ns: machine::thread_cpu_ns() - self.cpu,
            page_faults: machine::page_faults() - self.faults,
            trace: self.trace,
            ..GrowthReport::default()
        }
    }
}

/// The word at an index: a pattern that fresh memory does not contain.
#[inline]
fn word(index: usize) -> u64 {
    index as u64 ^ 0x5555_5555_5555_5555
}

fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

impl GrowthReport {
    fn with(mut self, steps: Option<u64>, obtained: usize, plan: &GrowthPlan, checksum: u64) -> Self {
        self.steps = steps;
        self.overshoot = obtained.saturating_sub(plan.size) as u64;
        // Computing the checksum used no memory.
        self.peak_rss = machine::peak_rss();
        self.checksum = checksum;
        self
    }
}

fn region(plan: &GrowthPlan) -> Result<GrowthReport, Failure> {
    let growth = match plan.strategy.engine {
        GrowthMethod::Upfront | GrowthMethod::UpfrontPhysical => Growth::Upfront,
        GrowthMethod::Fixed(step) => Growth::Fixed(step),
        _ => Growth::default(),
    };
    let reserve = match plan.strategy.engine {
        GrowthMethod::UpfrontPhysical => Reserve::Physical,
        _ => Reserve::Default,
    };
    let mut builder = Region::builder().name("growth").reserve(reserve).growth(growth);
    if plan.strategy != GrowthStrategy::DEFAULT {
        let huge_pages = if plan.strategy.huge { HugePages::Advise } else { HugePages::Never };
        builder = builder.populate(plan.strategy.populate).huge_pages(huge_pages);
    }
    let region = builder.try_build().map_err(Failure::runtime)?;
    if region.limit() < plan.size {
        return Err(Failure::runtime(format!("only {} bytes could be reserved", region.limit())));
    }
    let base = black_box(region.as_ptr().cast::<u64>());
    let mut refused = None;
    let report = match plan.strategy.engine {
        GrowthMethod::Explicit(step) => {
            let mut frontier = region.committed_bytes();
            Clock::measure(plan, |words| {
                for index in words {
                    let end = (index + 1) * WORD;
                    if end > frontier {
                        // (After a refusal nothing more is written.)
                        if refused.is_some() {
                            return;
                        }
                        refused = region.ensure((end - WORD + step).min(region.limit())).err();
                        frontier = region.committed_bytes();
                        if end > frontier {
                            return;
                        }
                    }
                    // SAFETY: the word is below the frontier, and there is no other pointer into the region.
                    unsafe { base.add(index).write(word(index)) };
                }
            })
        }
        _ => Clock::measure(plan, |words| {
            for index in words {
                // SAFETY: the word is below the region's limit, where a write commits; there is no other pointer into
                // the region.
                unsafe { base.add(index).write(word(index)) };
            }
        }),
    };
    if let Some(refusal) = refused {
        return Err(Failure::runtime(refusal));
    }
    let stats = region.stats();
    // SAFETY: `plan.size / WORD` words have been written from the base on.
    let checksum = sum(unsafe { slice::from_raw_parts(base, plan.size / WORD) });
    Ok(report.with(Some(stats.commits), stats.committed, plan, checksum))
}

fn vec(plan: &GrowthPlan) -> GrowthReport {
    let mut words = black_box(Vec::new());
    let report = Clock::measure(plan, |indices| {
        for index in indices {
            words.push(word(index));
        }
    });
    report.with(None, words.capacity() * WORD, plan, sum(&words))
}

fn bumpalo(plan: &GrowthPlan) -> GrowthReport {
    let mut bump = black_box(bumpalo::Bump::new());
    let report = Clock::measure(plan, |indices| {
        for index in indices {
            bump.alloc(word(index));
        }
    });
    let obtained = bump.allocated_bytes_including_metadata();
    let of_chunk = |chunk: &[MaybeUninit<u8>]| {
        // SAFETY: only `u64`s were allocated, so a chunk consists of them, aligned and without gaps.
        sum(unsafe { slice::from_raw_parts(chunk.as_ptr().cast(), chunk.len() / WORD) })
    };
    let checksum = bump.iter_allocated_chunks().fold(0_u64, |all, chunk| all.wrapping_add(of_chunk(chunk)));
    report.with(None, obtained, plan, checksum)
}

fn malloc(plan: &GrowthPlan) -> Result<GrowthReport, Failure> {
    // SAFETY: malloc has no preconditions.
    let block = black_box(unsafe { libc::malloc(plan.size) }.cast::<u64>());
    if ptr::eq(block, ptr::null()) {
        return Err(Failure::runtime(format!("malloc refused {} bytes", plan.size)));
    }
    let report = Clock::measure(plan, |indices| {
        for index in indices {
            // SAFETY: the word is within the block, to which there is no other pointer.
            unsafe { block.add(index).write(word(index)) };
        }
    });
    // SAFETY: `plan.size / WORD` words have been written from its start on; the end of the process frees the block.
    let checksum = sum(unsafe { slice::from_raw_parts(block, plan.size / WORD) });
    Ok(report.with(None, plan.size, plan, checksum))
}
