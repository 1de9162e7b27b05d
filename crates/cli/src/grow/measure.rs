//! One job on one allocator, with the clock running.

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
    job::{Done, Job, Share},
    progress,
    report::{Region, Run},
    settings::Settings,
    trace::{Line, Trace},
};
use crate::{failure::Failure, interrupt, machine};

/// What all runs of one command have in common.
pub struct Plan<'p> {
    /// How arenas are made.
    pub settings: &'p Settings,
    /// How many, each with its thread.
    pub threads: usize,
    /// As it was given.
    pub aim: Vec<String>,
    /// The frontier is to be drawn.
    pub traced: bool,
}

/// Does the job on as many `C` as there are threads. The calling thread is one of these: `malloc`, for
/// one, treats a process's first thread better than others.
pub fn measure<C: Candidate, J: Job>(
    allocator: String,
    job: &J,
    plan: &Plan<'_>,
) -> Result<(Run, Option<Trace>), Failure> {
    quiet_when_out_of_memory();
    let mut candidates = Vec::with_capacity(plan.threads);
    for _ in 0..plan.threads {
        candidates.push(C::make(plan.settings).map_err(Failure::asked)?);
    }
    let heads: Vec<_> =
        candidates.iter().filter_map(Candidate::region).map(|region| region.committed).collect();
    let frontiers: Vec<_> =
        candidates.iter().filter(|_| plan.traced).filter_map(Candidate::frontier).collect();

    let (done, finished) = (Done::default(), AtomicBool::new(false));
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
    // Before anything is put together on the heap.
    let (page_faults, peak_rss) = (machine::page_faults() - page_faults, machine::peak_rss());

    let mut sum = Sum::default();
    let mut made = Vec::with_capacity(shares.len());
    let mut times = Vec::with_capacity(shares.len());
    let mut verified = true;
    for share in shares {
        let share = share.map_err(failed)?.map_err(Failure::during)?;
        verified &= share.checked;
        sum.allocations += share.allocations;
        sum.asked += share.asked;
        sum.used += share.used.unwrap_or(share.asked);
        times.push(share.time);
        made.push(share.made);
    }
    let elapsed = times.iter().map(|time| time.1).max().zip(times.iter().map(|time| time.0).min());
    let thread_ns = times.iter().map(|(start, end)| (*end - *start).as_nanos() as u64).sum::<u64>();
    let index = job.facts(&made);
    drop(made);

    let partial = interrupt::requested() && (done.bytes() < job.total() || !verified);
    let regions: Vec<_> = candidates.iter().filter_map(Candidate::region).collect();
    let trace = plan.traced.then(|| {
        let end_ns = start_ns + elapsed.map_or(0, |(end, _)| (end - start).as_nanos() as u64);
        let mut samples = samples.into_iter();
        let lines = candidates.iter().zip(&regions).zip(&heads).map(|((candidate, region), head)| Line {
            steps: candidate.steps(),
            all_steps: region.growth_steps,
            samples: samples.next().unwrap_or_default(),
            head: *head,
            committed: region.committed,
        });
        Trace { start_ns, end_ns, lines: lines.collect() }
    });
    let run = Run {
        command: "grow".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        job: J::NAME.into(),
        aim: plan.aim.clone(),
        allocator,
        engine: None,
        options: None,
        partial,
        verified,
        threads: plan.threads,
        total_bytes: job.total(),
        done_bytes: done.bytes(),
        allocations: sum.allocations,
        elapsed_ns: elapsed.map_or(0, |(end, start)| (end - start).as_nanos() as u64),
        thread_ns,
        ns_per_allocation: (sum.allocations > 0).then(|| thread_ns as f64 / sum.allocations as f64),
        asked: sum.asked,
        used: sum.used,
        held: candidates.iter().map(Candidate::held).sum(),
        region: regions.into_iter().reduce(Region::and),
        page_faults,
        peak_rss,
        index,
        plot: None,
    };
    Ok((run, trace))
}

#[derive(Default)]
struct Sum {
    allocations: u64,
    asked: u64,
    used: u64,
}

type Outcome<'a, J> = Result<Result<Share<'a, J>, String>, Box<dyn Any + Send>>;

fn work<'a, C: Candidate, J: Job>(
    candidate: &'a mut C,
    job: &J,
    thread: usize,
    done: &Done,
    barrier: &Barrier,
) -> Outcome<'a, J> {
    barrier.wait();
    let handle = candidate.handle();
    // What a panic leaves half made is not looked at again.
    panic::catch_unwind(AssertUnwindSafe(move || job.run(handle, thread, done)))
}

const OUT_OF_MEMORY: &str = "out of memory";

fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied())
}

/// A refused check is a panic that says so; any other panic is a bug, and goes on.
fn failed(payload: Box<dyn Any + Send>) -> Failure {
    match message(&*payload) {
        Some(text) if text.contains(OUT_OF_MEMORY) => {
            Failure::asked(text.lines().next().unwrap_or(OUT_OF_MEMORY))
        }
        _ => panic::resume_unwind(payload),
    }
}

/// Keeps the panic hook from telling at length what `failed` tells in a line.
fn quiet_when_out_of_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !message(info.payload()).is_some_and(|text| text.contains(OUT_OF_MEMORY)) {
                before(info);
            }
        }));
    });
}
