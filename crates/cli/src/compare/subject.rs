//! One allocator under comparison, and a run of the command on it.

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
    judge::{Effect, Judge, Verdict},
    streams::Streams,
    watch::{Seen, Watch},
};
use crate::{
    allocators::Allocator,
    failure::Failure,
    interrupt,
    lab::{Metric, Sample, Unit},
    launch::{self, Ended},
    output, warm,
};

/// Looks at a run below which their largest sum is a matter of chance.
const ENOUGH: u64 = 10;

/// What all runs have in common.
pub struct Plan {
    pub command: Vec<OsString>,
    pub prepare: Option<OsString>,
    pub ignore_failure: bool,
    pub output: Option<PathBuf>,
    /// The most memory that a run took so far, in bytes.
    pub peak: Cell<u64>,
    /// Why there are no further runs.
    pub stop: RefCell<Option<Failure>>,
    /// How the command failed first, on an allocator without which the others go on.
    pub failed: RefCell<Option<Failure>>,
}

/// An allocator, and what became of its runs besides figures.
pub struct Subject {
    pub allocator: Allocator,
    judge: Option<Arc<Mutex<Judge>>>,
    /// Runs so far.
    runs: u32,
    /// How often each end was met.
    ends: BTreeMap<String, u32>,
    failures: u32,
    /// Processes that were still there after the command had ended.
    left: usize,
    looks: u64,
    looked: Duration,
}

/// The same for JSON.
#[derive(Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    allocator: Allocator,
    /// `None` for the system's.
    preload: Option<Preload>,
    ends: BTreeMap<String, u32>,
    processes_left: usize,
    /// Between two samples of the tree's memory.
    mean_interval_ns: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Preload {
    verdict: Verdict,
    #[serde(flatten)]
    effect: Effect,
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

fn sample(ended: &Ended, seen: Seen) -> Sample {
    let usage = &ended.usage;
    // The kernel knows the largest to the byte; looks may have missed it.
    let tree = seen.peak.map(|peak| peak.max(usage.peak_resident) as f64);
    let ns = |time: Duration| Some(time.as_nanos() as f64);
    Sample::of_some([
        ns(ended.wall),
        ns(usage.user + usage.system),
        Some(usage.peak_resident as f64),
        tree,
        Some((usage.minor_faults + usage.major_faults) as f64),
        Some((usage.voluntary + usage.involuntary) as f64),
    ])
}

impl Subject {
    /// With `root` as the program that is run.
    pub fn new(allocator: Allocator, root: Option<&Path>) -> Self {
        let judge = allocator.library.as_deref().map(|library| Judge::new(library, root.map(Path::to_owned)));
        let judge = judge.map(|judge| Arc::new(Mutex::new(judge)));
        Self {
            allocator,
            judge,
            runs: 0,
            ends: BTreeMap::new(),
            failures: 0,
            left: 0,
            looks: 0,
            looked: Duration::ZERO,
        }
    }

    /// One run. What stops the comparison is left in the plan.
    pub fn run(&mut self, plan: &Plan) -> Result<Sample, String> {
        if plan.stop.borrow().is_some() {
            return Err("not run".into());
        }
        let (failure, kept) = match self.measured(plan) {
            Ok(Ok(sample)) => return Ok(sample),
            // A command that fails by itself has nothing to compare.
            Ok(Err(failure)) if !self.allocator.is_system() => (failure, &plan.failed),
            Ok(Err(failure)) | Err(failure) => (failure, &plan.stop),
        };
        let message = failure.message.clone();
        kept.borrow_mut().get_or_insert(failure);
        Err(message)
    }

    /// An error in place of the sample is the command's own.
    fn measured(&mut self, plan: &Plan) -> Result<Result<Sample, Failure>, Failure> {
        prepare(plan)?;
        warm::memory_for(plan.peak.get())?;
        self.runs += 1;
        let name = format!("{}-{}", self.allocator.name, self.runs);
        let cannot = |error| Failure::during(format!("cannot keep the output of {name}: {error}"));
        let streams = Streams::open(plan.output.as_deref(), &name).map_err(cannot)?;
        let (program, words) = plan.command.split_first().ok_or_else(|| Failure::asked("nothing to run"))?;
        let mut command = Command::new(program);
        command.args(words);
        streams.connect(&mut command).map_err(cannot)?;
        self.allocator.prepare(&mut command);
        let (ended, seen) = self.watched(&mut command)?;
        plan.peak.set(plan.peak.get().max(seen.peak.unwrap_or(0)).max(ended.usage.peak_resident));
        if interrupt::requested() || (!ended.status.success() && interrupt::settled()) {
            return Ok(Ok(sample(&ended, seen)));
        }
        *self.ends.entry(launch::words(ended.status)).or_default() += 1;
        if !ended.status.success() {
            self.failures += 1;
            if !plan.ignore_failure {
                for line in streams.last_lines() {
                    output::note(&format!("{name}: {line}"));
                }
                let what = format!("{} under {}", program.display(), self.allocator.name);
                return Ok(Err(failed(&what, &ended)));
            }
        }
        Ok(Ok(sample(&ended, seen)))
    }

    fn watched(&mut self, command: &mut Command) -> Result<(Ended, Seen), Failure> {
        if let Some(judge) = &self.judge {
            judge.lock().unwrap_or_else(PoisonError::into_inner).begin();
        }
        let (ended, seen) = attended(command, || Watch::begin(self.judge.clone()))?;
        let seen = seen.end();
        self.left += reap();
        self.looks += seen.looks;
        self.looked += seen.over;
        if let Some(judge) = &self.judge {
            judge.lock().unwrap_or_else(PoisonError::into_inner).settle();
        }
        Ok((ended, seen))
    }

    /// What has to be known about the row.
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

    /// Whether its runs took long enough for the sampled peak to mean something.
    pub fn is_sampled(&self) -> bool {
        self.looks >= u64::from(self.runs) * ENOUGH
    }

    /// All of it.
    pub fn told(&self) -> Told {
        let preload = self.judge.as_ref().map(|judge| {
            let effect = judge.lock().unwrap_or_else(PoisonError::into_inner).effect();
            Preload { verdict: effect.verdict(), effect }
        });
        let gaps = self.looks.saturating_sub(u64::from(self.runs));
        let mean =
            u128::from(gaps).checked_sub(1).and_then(|_| self.looked.as_nanos().checked_div(gaps.into()));
        Told {
            allocator: self.allocator.clone(),
            preload,
            ends: self.ends.clone(),
            processes_left: self.left,
            mean_interval_ns: mean.and_then(|ns| u64::try_from(ns).ok()),
        }
    }
}

/// Where a command's program is.
pub fn program(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(name.into());
    }
    let places = env::var_os("PATH")?;
    env::split_paths(&places).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Starts a command and waits for it, with Ctrl-C passed on; `begun` is called in between.
fn attended<T>(command: &mut Command, begun: impl FnOnce() -> T) -> Result<(Ended, T), Failure> {
    let started = launch::start(command).map_err(|error| {
        let program = command.get_program().display();
        let message = format!("cannot run {program}: {error}");
        Failure { status: launch::status_of_start(&error), message }
    })?;
    interrupt::pass_on_to(Some(started.id()));
    let meanwhile = begun();
    let ended = started.wait(|| interrupt::pass_on_to(None));
    Ok((ended.map_err(|error| Failure::during(format!("cannot wait for the command: {error}")))?, meanwhile))
}

fn prepare(plan: &Plan) -> Result<(), Failure> {
    let Some(script) = &plan.prepare else { return Ok(()) };
    let cannot = |error| Failure::during(format!("cannot keep the output of --prepare: {error}"));
    let streams = Streams::open(None, "prepare").map_err(cannot)?;
    let mut command = Command::new("sh");
    command.arg("-c").arg(script);
    streams.connect(&mut command).map_err(cannot)?;
    let (ended, ()) = attended(&mut command, || ())?;
    reap();
    if ended.status.success() || interrupt::settled() {
        return Ok(());
    }
    for line in streams.last_lines() {
        output::note(&format!("prepare: {line}"));
    }
    Err(failed(&format!("--prepare {}", script.display()), &ended))
}

fn failed(what: &str, ended: &Ended) -> Failure {
    let message = format!("{what} ended with {}", launch::words(ended.status));
    Failure { status: launch::status(ended.status), message }
}

/// Takes leave of those whose parents have gone; how many still run.
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
