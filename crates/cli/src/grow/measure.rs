//! Measures one job on one allocator.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    sync::{
        Barrier, Once,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use highwater::stats::now_ns;

use super::{
    alloc::Candidate,
    job::{GrowJob, ProgressCount, Share},
    progress,
    report::{GrowRun, RegionFigures},
    settings::ArenaSettings,
    trace::{FrontierLine, FrontierTrace},
};
use crate::{failure::Failure, interrupt, machine};

/// What all runs of one command share.
pub struct GrowPlan<'p> {
    /// The settings of arenas.
    pub settings: &'p ArenaSettings,
    /// The number of threads, each with its own allocator.
    pub threads: usize,
    /// The workload as given on the command line.
    pub workload: Vec<String>,
    /// Whether the frontier is to be drawn.
    pub traced: bool,
}

/// Does the job on one `C` for each thread. The calling thread is one of them, because `malloc` is faster on a process's
/// first thread.
pub fn measure<C: Candidate, J: GrowJob>(
    allocator: String,
    job: &J,
    plan: &GrowPlan<'_>,
) -> Result<(GrowRun, Option<FrontierTrace>), Failure> {
    silence_out_of_memory_panics();
    let mut candidates = Vec::with_capacity(plan.threads);
    for _ in 0..plan.threads {
        candidates.push(C::make(plan.settings).map_err(Failure::refused)?);
    }
    let heads: Vec<_> =
        candidates.iter().filter_map(Candidate::region).map(|region| region.committed).collect();
    let frontiers: Vec<_> =
        candidates.iter().filter(|_| plan.traced).filter_map(Candidate::frontier).collect();

    let (done, finished) = (ProgressCount::default(), AtomicBool::new(false));
    let barrier = Barrier::new(plan.threads);
    let page_faults = machine::page_faults();
    let (start, start_ns) = (Instant::now(), now_ns());
    let (shares, samples) = thread::scope(|scope| {
        let (done, finished, barrier) = (&done, &finished, &barrier);
        let label = allocator.as_str();
        let watcher =
            scope.spawn(move || progress::watch(label, job.total(), done, finished, &frontiers, start));
        let mut candidates = candidates.iter_mut().enumerate();
        let first = candidates.next();
        let others: Vec<_> = candidates
            .map(|(thread, candidate)| scope.spawn(move || work(candidate, job, thread, done, barrier)))
            .collect();
        let mut shares: Vec<_> = first
            .map(|(thread, candidate)| work(candidate, job, thread, done, barrier))
            .into_iter()
            .collect();
        shares.extend(others.into_iter().map(|other| other.join().unwrap_or_else(Err)));
        finished.store(true, Ordering::Release);
        watcher.thread().unpark();
        (shares, watcher.join().unwrap_or_default())
    });
    // These are read before anything else is allocated.
    let (page_faults, peak_rss) = (machine::page_faults() - page_faults, machine::peak_rss());

    let mut totals = Totals::default();
    let mut products = Vec::with_capacity(shares.len());
    let mut times = Vec::with_capacity(shares.len());
    let mut verified = true;
    for share in shares {
        let share = share.map_err(refusal)?.map_err(Failure::runtime)?;
        verified &= share.checked;
        totals.allocations += share.allocations;
        totals.asked += share.asked;
        totals.used += share.used.unwrap_or(share.asked);
        times.push(share.time);
        products.push(share.product);
    }
    let elapsed = times.iter().map(|time| time.1).max().zip(times.iter().map(|time| time.0).min());
    let thread_ns = times.iter().map(|(start, end)| (*end - *start).as_nanos() as u64).sum::<u64>();
    let index = job.facts(&products);
    drop(products);

    let partial = interrupt::requested() && (done.bytes() < job.total() || !verified);
    let regions: Vec<_> = candidates.iter().filter_map(Candidate::region).collect();
    let trace = plan.traced.then(|| {
        let end_ns = start_ns + elapsed.map_or(0, |(end, _)| (end - start).as_nanos() as u64);
        let mut samples = samples.into_iter();
        let lines =
            candidates.iter().zip(&regions).zip(&heads).map(|((candidate, region), head)| FrontierLine {
                steps: candidate.steps(),
                all_steps: region.growth_steps,
                samples: samples.next().unwrap_or_default(),
                head: *head,
                committed: region.committed,
            });
        FrontierTrace { start_ns, end_ns, lines: lines.collect() }
    });
    let run = GrowRun {
        command: "grow".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        job: J::NAME.into(),
        aim: plan.workload.clone(),
        allocator,
        engine: None,
        options: None,
        partial,
        verified,
        threads: plan.threads,
        total_bytes: job.total(),
        done_bytes: done.bytes(),
        allocations: totals.allocations,
        elapsed_ns: elapsed.map_or(0, |(end, start)| (end - start).as_nanos() as u64),
        thread_ns,
        ns_per_allocation: (totals.allocations > 0).then(|| thread_ns as f64 / totals.allocations as f64),
        asked: totals.asked,
        used: totals.used,
        held: candidates.iter().map(Candidate::obtained).sum(),
        region: regions.into_iter().reduce(RegionFigures::combine),
        page_faults,
        peak_rss,
        index,
        plot: None,
    };
    Ok((run, trace))
}

#[derive(Default)]
struct Totals {
    allocations: u64,
    asked: u64,
    used: u64,
}

type ThreadResult<'a, J> = Result<Result<Share<'a, J>, String>, Box<dyn Any + Send>>;

fn work<'a, C: Candidate, J: GrowJob>(
    candidate: &'a mut C,
    job: &J,
    thread: usize,
    done: &ProgressCount,
    barrier: &Barrier,
) -> ThreadResult<'a, J> {
    barrier.wait();
    let handle = candidate.handle();
    // After a panic the half-built product is not used again.
    panic::catch_unwind(AssertUnwindSafe(move || job.run(handle, thread, done)))
}

const OUT_OF_MEMORY: &str = "out of memory";

fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied())
}

/// Turns the panic of a refused growth into a failure; any other panic is a bug, and continues.
fn refusal(payload: Box<dyn Any + Send>) -> Failure {
    match message(&*payload) {
        Some(text) if text.contains(OUT_OF_MEMORY) => {
            Failure::refused(text.lines().next().unwrap_or(OUT_OF_MEMORY))
        }
        _ => panic::resume_unwind(payload),
    }
}

/// Keeps the panic hook from printing a panic that `refusal` reports in one line.
fn silence_out_of_memory_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !message(info.payload()).is_some_and(|text| text.contains(OUT_OF_MEMORY)) {
                previous(info);
            }
        }));
    });
}
