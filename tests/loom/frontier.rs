//! The lock-free protocols under loom: the real files, with loom's atomics, in every interleaving that two
//! or three preemptions can make.
//!
//! The frontier's region is an array of pages here, each an atomic that `commit` sets as `mprotect` would; a
//! thread may use what lies below a frontier that it read. The free list's blocks are words that say whether
//! somebody has them.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]

/// The files under test take their atomics from their parent module: here, from loom.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
}

#[path = "../../src/region/free.rs"]
mod free;
#[path = "../../src/region/frontier.rs"]
mod frontier;

use free::FreeList;
use frontier::Frontier;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

const PAGES: usize = 4;

struct Region {
    frontier: Frontier,
    pages: [AtomicBool; PAGES],
}

impl Region {
    fn new() -> Arc<Self> {
        Arc::new(Region {
            frontier: Frontier::new(0),
            pages: std::array::from_fn(|_| AtomicBool::new(false)),
        })
    }

    /// Every page below the frontier is accessible to whoever has read the frontier.
    #[track_caller]
    fn check(&self, at_least: usize) {
        let frontier = self.frontier.get();
        assert!(frontier >= at_least, "the frontier is at {frontier} and not at {at_least}");
        for page in 0..frontier {
            // Relaxed, so that it is the frontier's own ordering which makes the page visible.
            assert!(
                self.pages[page].load(Ordering::Relaxed),
                "page {page} below {frontier} is not accessible"
            );
        }
    }

    fn commit(&self, from: usize, to: usize) {
        for page in &self.pages[from..to] {
            page.store(true, Ordering::Relaxed);
        }
    }

    /// Grows by at least `step` pages so that those below `wanted` are accessible.
    fn advance(&self, wanted: usize, step: usize) -> Result<Advance, &'static str> {
        self.advance_by(wanted, |from| {
            let to = (from + step).max(wanted).min(PAGES);
            self.commit(from, to);
            Ok(to)
        })
    }

    /// The order of a growth, as `grow.rs` has it: read the frontier, commit from there, raise it.
    fn advance_by(
        &self,
        wanted: usize,
        commit: impl FnOnce(usize) -> Result<usize, &'static str>,
    ) -> Result<Advance, &'static str> {
        let from = self.frontier.get();
        if wanted <= from {
            return Ok(Advance::Covered);
        }
        let to = commit(from)?;
        Ok(Advance::Grown { from, to, moved: self.frontier.raise(to) })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advance {
    Covered,
    Grown { from: usize, to: usize, moved: usize },
}

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn three_threads_advance_to_different_places() {
    explore(2, || {
        let region = Region::new();
        let threads = [(1, 1), (3, 2)].map(|(wanted, step)| {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || {
                region.advance(wanted, step).unwrap();
                region.check(wanted);
            })
        });
        region.advance(2, 2).unwrap();
        region.check(2);
        for thread in threads {
            thread.join().unwrap();
        }
        region.check(3);
    });
}

#[test]
fn a_thread_that_only_reads_finds_everything_below_accessible() {
    explore(2, || {
        let region = Region::new();
        let grower = {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || {
                region.advance(1, 1).unwrap();
                region.advance(3, 1).unwrap();
            })
        };
        let reader = {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || {
                region.check(0);
                region.check(0);
            })
        };
        region.advance(2, 2).unwrap();
        region.check(2);
        grower.join().unwrap();
        reader.join().unwrap();
        region.check(3);
    });
}

#[test]
fn an_error_leaves_the_frontier_alone_and_others_go_on() {
    explore(3, || {
        let region = Region::new();
        let failing = {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || {
                let commit = region.advance_by(4, |_| Err("refused"));
                let admission = region.advance_by(4, |_| Err("not admitted"));
                assert_eq!((commit, admission), (Err("refused"), Err("not admitted")));
                region.check(0);
            })
        };
        region.advance(2, 1).unwrap();
        region.check(2);
        failing.join().unwrap();
        assert_eq!(region.frontier.get(), 2, "nobody raised it to what was refused");
    });
}

/// A thread may be stopped for good between its commit and raising the frontier: in a forked child the
/// others are simply gone.
#[test]
fn a_thread_that_stops_in_the_middle_holds_nobody_up() {
    explore(2, || {
        let region = Region::new();
        let stopped = {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || {
                let begun = region.advance_by(3, |from| {
                    region.commit(from, 3);
                    Err("stopped here, before the frontier is raised")
                });
                assert!(begun.is_err() || begun == Ok(Advance::Covered));
            })
        };
        let grower = {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || {
                region.advance(2, 1).unwrap();
                region.check(2);
            })
        };
        region.advance(1, 1).unwrap();
        region.check(1);
        grower.join().unwrap();
        stopped.join().unwrap();
        region.advance(4, 1).unwrap();
        region.check(4);
    });
}

#[test]
fn what_is_reported_is_what_was_done() {
    explore(3, || {
        let region = Region::new();
        let other = {
            let region = Arc::clone(&region);
            loom::thread::spawn(move || region.advance(2, 1).unwrap())
        };
        let mine = region.advance(1, 1).unwrap();
        let mut sum = 0;
        for (advance, wanted) in [(mine, 1), (other.join().unwrap(), 2)] {
            match advance {
                Advance::Covered => {}
                Advance::Grown { from, to, moved } => {
                    assert!(from < wanted && wanted <= to);
                    sum += moved;
                }
            }
        }
        assert_eq!(sum, region.frontier.get(), "every page is counted once");
        assert!(mine != Advance::Covered || region.frontier.get() == 2);
        region.frontier.set(0);
        assert_eq!(region.frontier.get(), 0, "whoever has it alone may move it down");
    });
}

const BLOCKS: u32 = 3;

/// Blocks on a free list: each with its word for the list, and whether somebody has it.
struct Blocks {
    free: FreeList,
    below: [AtomicU32; BLOCKS as usize],
    taken: [AtomicBool; BLOCKS as usize],
}

impl Blocks {
    /// All of them free; the last one on top.
    fn new() -> Arc<Self> {
        let blocks = Blocks {
            free: FreeList(AtomicU64::new(0)),
            below: std::array::from_fn(|_| AtomicU32::new(0)),
            taken: std::array::from_fn(|_| AtomicBool::new(false)),
        };
        for number in 0..BLOCKS {
            blocks.free.push(number, &blocks.below[number as usize]);
        }
        Arc::new(blocks)
    }

    fn take(&self) -> Option<u32> {
        let number = self.free.pop(|number| self.below.get(number as usize))?;
        let before = self.taken[number as usize].swap(true, Ordering::Relaxed);
        assert!(!before, "block {number} was handed out twice");
        Some(number)
    }

    fn give(&self, number: u32) {
        self.taken[number as usize].store(false, Ordering::Relaxed);
        self.free.push(number, &self.below[number as usize]);
    }
}

/// One thread takes two and gives the first back while the other is in the middle of taking: the same block
/// is on top again, over another stack.
#[test]
fn no_block_is_handed_out_twice_and_none_is_lost() {
    explore(3, || {
        let blocks = Blocks::new();
        let other = {
            let blocks = Arc::clone(&blocks);
            loom::thread::spawn(move || {
                let (first, second) = (blocks.take().unwrap(), blocks.take());
                blocks.give(first);
                second
            })
        };
        let mine = blocks.take().unwrap();
        let kept = other.join().unwrap();
        let mut all: Vec<u32> = std::iter::from_fn(|| blocks.take()).chain(kept).chain([mine]).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

#[test]
fn blocks_go_back_and_forth_between_three_threads() {
    explore(2, || {
        let blocks = Blocks::new();
        let threads = [(), ()].map(|()| {
            let blocks = Arc::clone(&blocks);
            loom::thread::spawn(move || blocks.give(blocks.take().unwrap()))
        });
        blocks.give(blocks.take().unwrap());
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(std::iter::from_fn(|| blocks.take()).count(), BLOCKS as usize);
    });
}
