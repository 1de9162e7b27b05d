//! Looking at a run while it goes on: how much memory all its processes have together, and whether they have the
//! library.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{judge::Judge, tree};
use crate::guard;

/// Between two looks.
pub const INTERVAL: Duration = Duration::from_millis(20);
/// After the first one; then twice as long each time. Much can be over soon.
const FIRST: Duration = Duration::from_micros(250);
/// Looking takes at most one part in so many of a core.
const SHARE: u32 = 20;

/// What was seen of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The most that all processes had at once, in bytes; what they share counts for each of them.
    pub peak: Option<u64>,
    pub looks: u64,
    /// From the first to the last.
    pub over: Duration,
}

/// A thread that looks.
pub struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    /// Begins. The judge, if there is one, is told what was seen.
    pub fn begin(judge: Option<Arc<Mutex<Judge>>>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        Self { is_over, thread: thread::spawn(move || watch(judge.as_deref(), &flag)) }
    }

    /// The run is over.
    pub fn end(self) -> Seen {
        self.is_over.store(true, Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_default()
    }
}

fn watch(judge: Option<&Mutex<Judge>>, is_over: &AtomicBool) -> Seen {
    let (proc, page) = (Path::new("/proc"), guard::page_size() as u64);
    // Something is known where children are listed, even of what is over before the first look.
    let mut seen = Seen { peak: tree::descendants(proc).map(|_| 0), ..Seen::default() };
    let (begun, mut pause) = (Instant::now(), FIRST);
    while !is_over.load(Relaxed) {
        let start = Instant::now();
        if let Some(ids) = tree::descendants(proc).filter(|ids| !ids.is_empty()) {
            let sum: u64 = ids.iter().filter_map(|id| tree::resident(proc, *id, page)).sum();
            seen.peak = seen.peak.max(Some(sum));
            if let Some(judge) = judge {
                let mut judge = judge.lock().unwrap_or_else(PoisonError::into_inner);
                ids.iter().for_each(|id| look(&mut judge, proc, *id));
            }
            seen.looks += 1;
            seen.over = begun.elapsed();
        }
        thread::park_timeout(pause.max(start.elapsed() * (SHARE - 1)));
        pause = (pause * 2).min(INTERVAL);
    }
    seen
}

fn look(judge: &mut Judge, proc: &Path, id: u32) {
    let Some(program) = tree::program(proc, id) else { return };
    if judge.is_open(id, &program) {
        let mapped = tree::mapped(proc, id);
        // If it became another program in between, the files are not this one's.
        if tree::program(proc, id).as_ref() == Some(&program) {
            judge.look(id, program, mapped.as_deref());
        }
    }
}
