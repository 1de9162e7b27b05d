//! Observes a run: the memory of all its processes together, and whether they have mapped the library.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{judge::PreloadJudge, tree};

/// The interval of samples.
pub const INTERVAL: Duration = Duration::from_millis(20);
/// The interval after the first sample; it doubles each time, because a run may be short.
const FIRST_INTERVAL: Duration = Duration::from_micros(250);
/// Sampling uses at most one part in this many of a core.
const MAX_CPU_SHARE: u32 = 20;

/// What was observed of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunObservation {
    /// The peak of the memory of all processes together, in bytes; shared memory counts for each of them.
    pub peak: Option<u64>,
    pub samples: u64,
    /// From the first sample to the last.
    pub sampled: Duration,
}

/// A thread that samples.
pub struct RunWatcher {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<RunObservation>,
}

impl RunWatcher {
    /// Starts the thread. The judge, if there is one, gets the observations.
    pub fn begin(judge: Option<Arc<Mutex<PreloadJudge>>>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        Self { is_over, thread: thread::spawn(move || watch(judge.as_deref(), &flag)) }
    }

    /// Ends the thread at the end of the run.
    pub fn end(self) -> RunObservation {
        self.is_over.store(true, Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}

fn watch(judge: Option<&Mutex<PreloadJudge>>, is_over: &AtomicBool) -> RunObservation {
    let proc = Path::new("/proc");
    // If children are listed, the peak is known to be at least 0, even for a run that ends before the first sample.
    let mut observed =
        RunObservation { peak: tree::descendants(proc).map(|_| 0), ..RunObservation::default() };
    let (begun, mut pause) = (Instant::now(), FIRST_INTERVAL);
    while !is_over.load(Relaxed) {
        let start = Instant::now();
        if let Some(ids) = tree::descendants(proc).filter(|ids| !ids.is_empty()) {
            let sum: u64 = ids.iter().filter_map(|id| tree::resident(proc, *id)).sum();
            observed.peak = observed.peak.max(Some(sum));
            if let Some(judge) = judge {
                let mut judge = judge.lock().unwrap_or_else(PoisonError::into_inner);
                ids.iter().for_each(|id| observe(&mut judge, proc, *id));
            }
            observed.samples += 1;
            observed.sampled = begun.elapsed();
        }
        thread::park_timeout(pause.max(start.elapsed() * (MAX_CPU_SHARE - 1)));
        pause = (pause * 2).min(INTERVAL);
    }
    observed
}

fn observe(judge: &mut PreloadJudge, proc: &Path, id: u32) {
    let Some(program) = tree::program(proc, id) else { return };
    if judge.needs_observation(id, &program) {
        let mapped = tree::mapped(proc, id);
        // If it executed another program in between, the files are not this program's.
        if tree::program(proc, id).as_ref() == Some(&program) {
            judge.observe(id, program, mapped.as_deref());
        }
    }
}
