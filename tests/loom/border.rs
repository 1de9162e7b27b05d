//! Spilling under loom: the real file, with loom's atomics, in every interleaving that three preemptions can make.
//!
//! The region is an array of pages, each a word that says what is mapped there. Threads commit pages in memory while
//! one of them, or two, claim the rest for a file.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]

/// The file under test takes its atomics from its parent module: here, from loom.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[path = "../../src/region/border.rs"]
mod border;

use border::{SpillBorder, SpillState};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};

const PAGE: usize = 4096;
const PAGES: usize = 4;
const NOTHING: usize = 0;
const MEMORY: usize = 1;
const FILE: usize = 2;

struct Region {
    border: SpillBorder,
    frontier: AtomicUsize,
    pages: [AtomicUsize; PAGES],
}

impl Region {
    fn new() -> Arc<Self> {
        let pages = std::array::from_fn(|_| AtomicUsize::new(NOTHING));
        Arc::new(Region { border: SpillBorder::new(), frontier: AtomicUsize::new(0), pages })
    }

    /// Commits the pages below `end`, in memory if that is admitted; whether it was.
    fn commit(&self, end: usize) -> bool {
        if !self.border.admit(end * PAGE) {
            return false;
        }
        for page in &self.pages[..end] {
            assert_ne!(page.swap(MEMORY, Ordering::Relaxed), FILE, "memory over the file");
        }
        self.frontier.fetch_max(end * PAGE, Ordering::AcqRel);
        self.border.done();
        true
    }

    /// Maps the file over the rest, if nobody else does; the border if it was this thread.
    fn spill(&self) -> Option<usize> {
        let border = self.border.claim().ok()?;
        for page in &self.pages[border / PAGE..] {
            assert_eq!(page.swap(FILE, Ordering::Relaxed), NOTHING, "the file over what was committed");
        }
        self.border.finish(true);
        Some(border)
    }
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

#[test]
fn every_admitted_commit_lies_below_the_border() {
    explore(|| {
        let region = Region::new();
        let threads = [1, 3].map(|end| {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || region.commit(end).then_some(end))
        });
        let border = region.spill().expect("nobody else claims");
        let admitted = threads.map(|thread| thread.join().unwrap());
        let most = admitted.into_iter().flatten().max().unwrap_or(0);
        assert_eq!(border, most * PAGE, "the border is where the last admitted commit ends");
        assert_eq!(region.border.state(), SpillState::InFile(border));
        assert!(!region.commit(4), "nothing is admitted any more");
    });
}

#[test]
fn one_thread_maps_and_the_others_see_it_done_or_pending() {
    explore(|| {
        let region = Region::new();
        assert!(region.commit(1));
        let other = {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || {
                let mine = region.spill();
                assert!(matches!(region.border.state(), SpillState::Switching | SpillState::InFile(PAGE)));
                mine
            })
        };
        let mine = region.spill();
        let theirs = other.join().unwrap();
        assert_eq!(mine.or(theirs), Some(PAGE));
        assert!(mine.is_none() || theirs.is_none(), "it happens once");
        assert_eq!(region.border.state(), SpillState::InFile(PAGE));
    });
}

/// A commit that came to nothing takes the border back to the frontier, and no further: another thread may have
/// committed less than it would have.
#[test]
fn a_commit_that_failed_takes_back_no_more_than_its_own() {
    explore(|| {
        let region = Region::new();
        let others = [1, 2].map(|end| {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || if end == 1 { region.commit(1) } else { region.spill().is_some() })
        });
        let failed = region.border.admit(3 * PAGE);
        if failed {
            region.border.failed(|| region.frontier.load(Ordering::Acquire));
        }
        let [committed, spilled] = others.map(|thread| thread.join().unwrap());
        assert!(spilled);
        let SpillState::InFile(border) = region.border.state() else { panic!("it has spilled") };
        assert!(!committed || border >= PAGE, "what was committed lies below the border");
    });
}

#[test]
fn alone_a_failed_commit_leaves_nothing_behind() {
    explore(|| {
        let region = Region::new();
        assert!(region.commit(1) && region.border.admit(3 * PAGE));
        region.border.failed(|| region.frontier.load(Ordering::Acquire));
        assert_eq!(region.spill(), Some(PAGE));
    });
}

#[test]
fn a_file_that_cannot_be_mapped_is_not_tried_again() {
    explore(|| {
        let region = Region::new();
        region.border.claim().unwrap();
        assert_eq!(region.border.state(), SpillState::Switching);
        region.border.finish(false);
        assert_eq!(region.border.claim(), Err(SpillState::Failed));
        region.border.reset(2 * PAGE);
        assert_eq!(region.border.claim(), Ok(2 * PAGE), "whoever has it alone may begin again");
    });
}
