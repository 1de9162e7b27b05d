//! The shared arena's counter under loom: the real file, with loom's atomics, in every interleaving that three
//! preemptions can make.
//!
//! The arena is an array of cells that loom watches: two threads that have the same byte, or one that has a byte of
//! which it cannot know that the other has given it up, are a race, and the model fails. That it does is shown by
//! counters that are wrong in one place each.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]

/// The file under test takes its atomics from its parent module: here, from loom.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
}

#[path = "../../src/arena/counter.rs"]
#[allow(dead_code, reason = "nothing is reset while threads share it")]
mod counter;

use counter::Counter;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::JoinHandle;
use std::ops::Range;

/// Addresses start here, so that one which wraps or goes below is seen.
const BASE: usize = 100;
const BYTES: usize = 6;
const END: usize = BASE + BYTES;

type Block = Range<usize>;

/// What the models are written over: the real counter, and wrong ones.
trait Count: Send + Sync + 'static {
    fn new(next: usize) -> Self;
    fn get(&self) -> usize;
    /// An addition, and what has to follow it when it fails.
    fn add(&self, bytes: usize, end: usize) -> Option<usize>;
    fn allocate_with(&self, plan: impl FnMut(usize) -> Result<(usize, usize), ()>) -> Result<usize, ()>;
    fn resize(&self, from: usize, to: usize) -> bool;
}

impl Count for Counter {
    fn new(next: usize) -> Self {
        Counter::new(next)
    }

    fn get(&self) -> usize {
        self.get()
    }

    fn add(&self, bytes: usize, end: usize) -> Option<usize> {
        let start = self.add(bytes, end).ok();
        if start.is_none() {
            self.clamp(end);
        }
        start
    }

    fn allocate_with(&self, plan: impl FnMut(usize) -> Result<(usize, usize), ()>) -> Result<usize, ()> {
        self.allocate_with(plan)
    }

    fn resize(&self, from: usize, to: usize) -> bool {
        self.resize(from, to)
    }
}

struct Arena<C> {
    counter: C,
    /// Who has each byte.
    bytes: [UnsafeCell<usize>; BYTES],
}

// SAFETY: that no two threads have a byte at a time is what loom finds out.
unsafe impl<C: Count> Send for Arena<C> {}
// SAFETY: as above.
unsafe impl<C: Count> Sync for Arena<C> {}

impl<C: Count> Arena<C> {
    /// An arena whose first `used` bytes are a block.
    fn new(used: usize) -> Arc<Self> {
        let bytes = std::array::from_fn(|_| UnsafeCell::new(0));
        Arc::new(Arena { counter: C::new(BASE + used), bytes })
    }

    /// Takes possession: loom reports whoever has the bytes at the same time.
    #[track_caller]
    fn hold(&self, block: Block, owner: usize) -> Block {
        assert!(BASE <= block.start && block.end <= END, "{block:?} lies outside");
        for byte in &self.bytes[block.start - BASE..block.end - BASE] {
            // SAFETY: loom watches it.
            byte.with_mut(|byte| unsafe { *byte = owner });
        }
        block
    }

    #[track_caller]
    fn check(&self, block: &Block, owner: usize) {
        for byte in &self.bytes[block.start - BASE..block.end - BASE] {
            // SAFETY: loom watches it.
            let found = byte.with_mut(|byte| unsafe { *byte });
            assert_eq!(found, owner, "{block:?} was handed out twice");
        }
    }

    /// A plain allocation.
    fn add(&self, bytes: usize, owner: usize) -> Option<Block> {
        let start = self.counter.add(bytes, END)?;
        Some(self.hold(start..start + bytes, owner))
    }

    /// A fallible one.
    fn allocate(&self, bytes: usize, owner: usize) -> Option<Block> {
        let fits = |next: usize| if next + bytes <= END { Ok((next + bytes, next)) } else { Err(()) };
        let start = self.counter.allocate_with(fits).ok()?;
        Some(self.hold(start..start + bytes, owner))
    }

    /// The owner of a block lets it end at `start + bytes`, if it is the last one.
    fn resize(&self, block: Block, bytes: usize, owner: usize) -> Block {
        let end = block.start + bytes;
        if end > END || !self.counter.resize(block.end, end) {
            return block;
        }
        self.hold(block.start..end, owner)
    }
}

/// Everything that anybody still has, at the end: intact, apart from each other, and below the counter.
#[track_caller]
fn conclude<C: Count>(arena: &Arena<C>, mut live: Vec<(Option<Block>, usize)>) {
    let next = arena.counter.get();
    assert!((BASE..=END).contains(&next), "the counter ended at {next}");
    // Whatever is free is handed out once more.
    while let Some(block) = arena.add(1, 99) {
        live.push((Some(block), 99));
        assert!(live.len() < 100, "more than there is");
    }
    assert_eq!(arena.counter.get(), END, "clamped");
    let live = live.into_iter().filter_map(|(block, owner)| block.map(|block| (block, owner)));
    live.for_each(|(block, owner)| arena.check(&block, owner));
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

type Job<C> = fn(&Arena<C>) -> Option<Block>;

/// Runs jobs, each on a thread of its own, the last one here; what they have at the end.
fn run<C: Count>(arena: &Arc<Arena<C>>, jobs: &[Job<C>]) -> Vec<(Option<Block>, usize)> {
    let (last, others) = jobs.split_last().expect("there are jobs");
    let threads: Vec<JoinHandle<_>> = others
        .iter()
        .map(|&job| {
            let arena = Arc::clone(arena);
            loom::thread::spawn(move || job(&arena))
        })
        .collect();
    let mine = last(arena);
    let all = threads.into_iter().map(|thread| thread.join().unwrap()).chain([mine]);
    all.zip(1..).collect()
}

/// One addition that fails, and two that fail because of it or not at all.
fn additions<C: Count>() {
    let arena = Arena::<C>::new(2);
    let live = run(&arena, &[|arena| arena.add(5, 1), |arena| arena.add(2, 2), |arena| arena.add(1, 3)]);
    assert_eq!(live[0].0, None);
    conclude(&arena, live);
}

#[test]
fn failing_additions_hand_nothing_out_twice() {
    explore(additions::<Counter>);
}

/// The same with four threads, of which one is fallible.
#[test]
fn four_threads() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let arena = Arena::<Counter>::new(1);
        let live = run(
            &arena,
            &[
                |arena| arena.add(4, 1),
                |arena| arena.add(3, 2),
                |arena| arena.add(7, 3),
                |arena| arena.allocate(2, 4),
            ],
        );
        assert_eq!(live[2].0, None);
        conclude(&arena, live);
    });
}

/// The owner of a block shrinks it, frees it and grows it, while others come after it or not.
fn resizing<C: Count>() {
    let arena = Arena::<C>::new(0);
    let live = run(
        &arena,
        &[
            |arena| {
                let block = arena.allocate(3, 1)?;
                let block = arena.resize(block, 1, 1);
                arena.check(&block, 1);
                let block = arena.resize(block, 2, 1);
                arena.check(&block, 1);
                Some(block)
            },
            |arena| arena.add(2, 2),
            |arena| {
                let block = arena.allocate(1, 3)?;
                let freed = arena.resize(block, 0, 3);
                (!freed.is_empty()).then_some(freed)
            },
        ],
    );
    conclude(&arena, live);
}

#[test]
fn only_the_last_block_is_resized_and_only_once() {
    explore(resizing::<Counter>);
}

/// A block that ends exactly at the end goes and comes while additions fail and clamp.
fn resizing_at_the_end<C: Count>() {
    let arena = Arena::<C>::new(0);
    let live = run(
        &arena,
        &[
            |arena| {
                let block = arena.allocate(6, 1)?;
                Some(arena.resize(block, 2, 1))
            },
            |arena| arena.add(3, 2),
            |arena| arena.add(9, 3),
        ],
    );
    conclude(&arena, live);
}

#[test]
fn a_clamp_that_comes_late_takes_nothing_back() {
    explore(resizing_at_the_end::<Counter>);
}

#[test]
fn a_fallible_failure_changes_nothing() {
    explore(|| {
        let arena = Arena::<Counter>::new(0);
        let live = run(
            &arena,
            &[|arena| arena.allocate(7, 1), |arena| arena.allocate(9, 2), |arena| arena.allocate(2, 3)],
        );
        assert_eq!(live.iter().filter(|(block, _)| block.is_some()).count(), 1);
        assert_eq!(arena.counter.get(), BASE + 2, "only the one that succeeded shows");
        conclude(&arena, live);
    });
}

/// Fallible ones, while the number stands past the end because of the others.
#[test]
fn fallible_and_failing_plain_ones_together() {
    explore(|| {
        let arena = Arena::<Counter>::new(0);
        let live = run(
            &arena,
            &[
                |arena| arena.add(8, 1),
                |arena| {
                    let first = arena.allocate(2, 2)?;
                    assert_eq!(first, BASE..BASE + 2, "at the beginning or not at all");
                    Some(first)
                },
                |arena| {
                    let before = arena.allocate(9, 3);
                    before.or_else(|| arena.add(8, 3))
                },
            ],
        );
        assert_eq!(arena.counter.get(), END, "both plain ones failed, and clamped");
        conclude(&arena, live);
    });
}

/// A thread's part: it is extended where nothing came after it, and its rest is given back where nothing did.
#[test]
fn parts_of_threads() {
    fn part(arena: &Arena<Counter>, owner: usize) -> Option<Block> {
        let (mut from, mut end) = (usize::MAX, usize::MAX);
        let mut kept: Vec<Block> = Vec::new();
        for _ in 0..2 {
            // One byte of the part is used each time, then it counts as used up.
            let taken = arena.counter.allocate_with(|next| {
                let start = if next == end { from } else { next };
                let after = (next + 2).min(END);
                if start < after { Ok((after, (start, after))) } else { Err(()) }
            });
            let Ok((start, after)) = taken else { break };
            kept.push(arena.hold(start..start + 1, owner));
            (from, end) = (start + 1, after);
        }
        if from != end {
            arena.hold(from..end, owner);
            arena.counter.resize(end, from);
        }
        kept.iter().for_each(|block| arena.check(block, owner));
        kept.pop()
    }
    explore(|| {
        let arena = Arena::<Counter>::new(0);
        let live = run(&arena, &[|arena| part(arena, 1), |arena| part(arena, 2), |arena| arena.add(1, 3)]);
        conclude(&arena, live);
    });
}

/// A counter that is wrong in what each of its parameters says.
struct Wrong<const UNDOES: bool, const STORES: bool, const RELAXED: bool>(AtomicUsize);

impl<const UNDOES: bool, const STORES: bool, const RELAXED: bool> Count for Wrong<UNDOES, STORES, RELAXED> {
    fn new(next: usize) -> Self {
        Wrong(AtomicUsize::new(next))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize, end: usize) -> Option<usize> {
        let order = if RELAXED { Ordering::Relaxed } else { Ordering::Acquire };
        let start = self.0.fetch_add(bytes, order);
        if start + bytes <= end {
            return Some(start);
        }
        if UNDOES {
            self.0.fetch_sub(bytes, Ordering::Relaxed);
        } else {
            self.0.fetch_min(end, Ordering::Relaxed);
        }
        None
    }

    fn allocate_with(&self, mut plan: impl FnMut(usize) -> Result<(usize, usize), ()>) -> Result<usize, ()> {
        let mut next = self.get();
        loop {
            let (after, start) = plan(next)?;
            match self.0.compare_exchange(next, after, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(start),
                Err(now) => next = now,
            }
        }
    }

    fn resize(&self, from: usize, to: usize) -> bool {
        if STORES {
            let is_last = self.get() == from;
            if is_last {
                self.0.store(to, Ordering::Release);
            }
            return is_last;
        }
        let order = if RELAXED { Ordering::Relaxed } else { Ordering::AcqRel };
        self.0.compare_exchange(from, to, order, Ordering::Relaxed).is_ok()
    }
}

#[test]
#[should_panic(expected = "was handed out twice")]
fn known_bad_a_failed_addition_that_is_undone() {
    explore(additions::<Wrong<true, false, false>>);
}

#[test]
#[should_panic]
fn known_bad_a_block_resized_without_a_compare() {
    explore(resizing::<Wrong<false, true, false>>);
}

/// Loom's own words: a byte that was given up in another thread, of which this one cannot know.
#[test]
#[should_panic(expected = "Causality violation")]
fn known_bad_bytes_that_are_given_up_without_saying_so() {
    explore(resizing_at_the_end::<Wrong<false, false, true>>);
}
