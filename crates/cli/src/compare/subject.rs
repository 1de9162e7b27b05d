//! The runs of the command on one allocator.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::wait::{WaitPidFlag, WaitStatus, waitpid},
};
use serde::Serialize;

use super::{
    judge::{PreloadEffect, PreloadJudge, PreloadVerdict},
    streams::Streams,
    watcher::{RunObservation, RunWatcher},
};
use crate::{
    allocators::Allocator,
    failure::Failure,
    interrupt,
    lab::{Metric, RunSample, Unit},
    launch::{self, ProcessOutcome},
    output, warm,
};

/// With fewer samples for each run than this, the sampled peak is not meaningful.
const MIN_SAMPLES: u64 = 10;

/// What all runs share.
pub struct ComparePlan {
    pub command: Vec<OsString>,
    pub prepare: Option<OsString>,
    pub ignore_failure: bool,
    pub output: Option<PathBuf>,
    /// The largest peak memory of a run so far, in bytes.
    pub peak: Cell<u64>,
    /// The failure that stops all further runs.
    pub stop: RefCell<Option<Failure>>,
    /// The first failure of the command on an allocator other than the system's; the other allocators continue.
    pub failed: RefCell<Option<Failure>>,
}

/// An allocator, and the facts about its runs besides their figures.
pub struct AllocatorRuns {
    pub allocator: Allocator,
    judge: Option<Arc<Mutex<PreloadJudge>>>,
    /// The number of runs so far.
    runs: u32,
    /// How often the command ended in each way.
    ends: BTreeMap<String, u32>,
    failures: u32,
    /// The number of processes that were still running after the command had ended.
    left: usize,
    samples: u64,
    sampled: Duration,
}

/// The facts about an allocator's runs, for JSON.
#[derive(Debug, Serialize)]
pub struct AllocatorReport {
    #[serde(flatten)]
    allocator: Allocator,
    /// `None` for the system's.
    preload: Option<Preload>,
    ends: BTreeMap<String, u32>,
    processes_left: usize,
    /// The mean interval of samples of the tree's memory.
    mean_interval_ns: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Preload {
    verdict: PreloadVerdict,
    #[serde(flatten)]
    effect: PreloadEffect,
}

/// What is measured of each run, in the order of its sample.
pub fn metrics() -> Vec<Metric> {
    vec![
        Metric::new("wall", "wall time", Unit::Ns),
        Metric::new("cpu", "user + system", Unit::Ns),
        Metric::new("peak-process", "largest process", Unit::Bytes),
        Metric::new("peak-tree", "all processes", Unit::Bytes),
        Metric::new("page-faults", "page faults", Unit::Count),
        Metric::new("context-switches", "context switches", Unit::Count),
    ]
}

fn sample(outcome: &ProcessOutcome, observed: RunObservation) -> RunSample {
    let usage = &outcome.usage;
    // The kernel counts the largest process exactly; samples may have missed its peak.
    let tree = observed.peak.map(|peak| peak.max(usage.peak_resident) as f64);
    let ns = |time: Duration| Some(time.as_nanos() as f64);
    RunSample::of_some([
        ns(outcome.wall),
        ns(usage.user + usage.system),
        Some(usage.peak_resident as f64),
        tree,
        Some((usage.minor_faults + usage.major_faults) as f64),
        Some((usage.voluntary + usage.involuntary) as f64),
    ])
}

impl AllocatorRuns {
    /// `root` is the program that is run.
    pub fn new(allocator: Allocator, root: Option<&Path>) -> Self {
        let judge =
            allocator.library.as_deref().map(|library| PreloadJudge::new(library, root.map(Path::to_owned)));
        let judge = judge.map(|judge| Arc::new(Mutex::new(judge)));
        Self {
            allocator,
            judge,
            runs: 0,
            ends: BTreeMap::new(),
            failures: 0,
            left: 0,
            samples: 0,
            sampled: Duration::ZERO,
        }
    }

    /// Does one run. A failure that stops the comparison is stored in the plan.
    pub fn run(&mut self, plan: &ComparePlan) -> Result<RunSample, String> {
        if plan.stop.borrow().is_some() {
            return Err("not run".into());
        }
        let (failure, stored) = match self.measure(plan) {
            Ok(Ok(sample)) => return Ok(sample),
            // If the command fails on the system's allocator there is nothing to compare with.
            Ok(Err(failure)) if !self.allocator.is_system() => (failure, &plan.failed),
            Ok(Err(failure)) | Err(failure) => (failure, &plan.stop),
        };
        let message = failure.message.clone();
        stored.borrow_mut().get_or_insert(failure);
        Err(message)
    }

    /// The inner error is a failure of the command, the outer one a failure to run it.
    fn measure(&mut self, plan: &ComparePlan) -> Result<Result<RunSample, Failure>, Failure> {
        prepare(plan)?;
        warm::memory_for(plan.peak.get())?;
        self.runs += 1;
        let name = format!("{}-{}", self.allocator.name, self.runs);
        let cannot = |error| Failure::runtime(format!("cannot keep the output of {name}: {error}"));
        let streams = Streams::open(plan.output.as_deref(), &name).map_err(cannot)?;
        let (program, words) =
            plan.command.split_first().ok_or_else(|| Failure::refused("nothing to run"))?;
        let mut command = Command::new(program);
        command.args(words);
        streams.connect(&mut command).map_err(cannot)?;
        self.allocator.prepare(&mut command);
        let (outcome, observed) = self.run_observed(&mut command)?;
        plan.peak.set(plan.peak.get().max(observed.peak.unwrap_or(0)).max(outcome.usage.peak_resident));
        if interrupt::requested() || (!outcome.status.success() && interrupt::requested_soon()) {
            return Ok(Ok(sample(&outcome, observed)));
        }
        *self.ends.entry(launch::describe(outcome.status)).or_default() += 1;
        if !outcome.status.success() {
            self.failures += 1;
            if !plan.ignore_failure {
                for line in streams.last_lines() {
                    output::note(&format!("{name}: {line}"));
                }
                let what = format!("{} under {}", program.display(), self.allocator.name);
                return Ok(Err(failed(&what, &outcome)));
            }
        }
        Ok(Ok(sample(&outcome, observed)))
    }

    fn run_observed(&mut self, command: &mut Command) -> Result<(ProcessOutcome, RunObservation), Failure> {
        if let Some(judge) = &self.judge {
            judge.lock().unwrap_or_else(PoisonError::into_inner).begin();
        }
        let (outcome, watcher) = run_with(command, || RunWatcher::begin(self.judge.clone()))?;
        let observed = watcher.end();
        self.left += reap();
        self.samples += observed.samples;
        self.sampled += observed.sampled;
        if let Some(judge) = &self.judge {
            judge.lock().unwrap_or_else(PoisonError::into_inner).end();
        }
        Ok((outcome, observed))
    }

    /// A note for the row: failures, and where the library did not take effect.
    pub fn note(&self) -> Option<String> {
        let mut notes: Vec<String> = Vec::new();
        if let Some(judge) = &self.judge {
            notes.extend(judge.lock().unwrap_or_else(PoisonError::into_inner).note());
        }
        if self.failures > 0 {
            let ends: Vec<_> = self
                .ends
                .iter()
                .filter(|(end, _)| *end != "status 0")
                .map(|(end, count)| format!("{count} x {end}"))
                .collect();
            notes.push(format!("failed: {}", ends.join(", ")));
        }
        if self.left > 0 {
            notes.push(format!("{} processes left running", self.left));
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// Whether its runs were long enough for the sampled peak to be meaningful.
    pub fn is_sampled(&self) -> bool {
        self.samples >= u64::from(self.runs) * MIN_SAMPLES
    }

    /// The report for JSON.
    pub fn report(&self) -> AllocatorReport {
        let preload = self.judge.as_ref().map(|judge| {
            let effect = judge.lock().unwrap_or_else(PoisonError::into_inner).effect();
            Preload { verdict: effect.verdict(), effect }
        });
        let gaps = self.samples.saturating_sub(u64::from(self.runs));
        let mean =
            u128::from(gaps).checked_sub(1).and_then(|_| self.sampled.as_nanos().checked_div(gaps.into()));
        AllocatorReport {
            allocator: self.allocator.clone(),
            preload,
            ends: self.ends.clone(),
            processes_left: self.left,
            mean_interval_ns: mean.and_then(|ns| u64::try_from(ns).ok()),
        }
    }
}

/// The path of a command's program.
pub fn program(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(name.into());
    }
    let dirs = env::var_os("PATH")?;
    env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Starts a command and waits for it, forwarding Ctrl-C; `on_start` is called after the start.
fn run_with<T>(command: &mut Command, on_start: impl FnOnce() -> T) -> Result<(ProcessOutcome, T), Failure> {
    let started = launch::start(command).map_err(|error| {
        let program = command.get_program().display();
        let message = format!("cannot run {program}: {error}");
        Failure { status: launch::start_error_status(&error), message }
    })?;
    interrupt::forward_to(Some(started.id()));
    let value = on_start();
    let outcome = started.wait(|| interrupt::forward_to(None));
    Ok((outcome.map_err(|error| Failure::runtime(format!("cannot wait for the command: {error}")))?, value))
}

fn prepare(plan: &ComparePlan) -> Result<(), Failure> {
    let Some(script) = &plan.prepare else { return Ok(()) };
    let cannot = |error| Failure::runtime(format!("cannot keep the output of --prepare: {error}"));
    let streams = Streams::open(None, "prepare").map_err(cannot)?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    streams.connect(&mut command).map_err(cannot)?;
    let (outcome, ()) = run_with(&mut command, || ())?;
    reap();
    if outcome.status.success() || interrupt::requested_soon() {
        return Ok(());
    }
    for line in streams.last_lines() {
        output::note(&format!("prepare: {line}"));
    }
    Err(failed(&format!("--prepare {}", script.display()), &outcome))
}

fn failed(what: &str, outcome: &ProcessOutcome) -> Failure {
    let message = format!("{what} ended with {}", launch::describe(outcome.status));
    Failure { status: launch::status(outcome.status), message }
}

/// Reaps orphaned processes; returns how many descendants are still running.
fn reap() -> usize {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {
                return super::tree::descendants(Path::new("/proc")).map_or(1, |ids| ids.len());
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return 0,
        }
    }
}
