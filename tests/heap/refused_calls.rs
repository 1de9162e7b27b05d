//! Every call of every policy, refused at each of its growths in turn: the call says so, nothing has changed, the heap
//! is whole, and the same call made once more succeeds. And once nothing grows any more, everything else goes on.

use crate::heap_model;
use crate::support;
use heap_model::{Call, Model, Order, Outcome, Setup, Step, Which, Wrong};
use highwater::heap::{Blocks, Bump, Fit, General, Heap, HeapError, HeapPolicy, Stack};
use highwater::oom::Injection;
use highwater::{Cause, Growth};
use std::ptr::NonNull;

fn kinds() -> [HeapPolicy; 9] {
    [
        General::new().into(),
        General::new().checked(true).into(),
        Blocks::new().margin(8192).into(),
        Blocks::new().margin(0).into(),
        Blocks::new().fit(Fit::First).margin(0).into(),
        Stack::new().into(),
        Stack::new().align(4096).into(),
        Bump::new().slice(64 << 10).into(),
        Bump::new().grain(8).into(),
    ]
}

fn setup(kind: HeapPolicy, injection: Option<Injection>) -> Setup {
    Setup { kind, reserve: 256 << 20, limit: None, growth: Growth::Fixed(4096), injection }
}

fn allocate(size: usize, align: usize) -> Call {
    Call::Allocate { size, align, zeroed: false }
}

fn zeroed(size: usize, align: usize) -> Call {
    Call::Allocate { size, align, zeroed: true }
}

fn resize(which: Which, size: usize) -> Call {
    Call::Reallocate { which, size, align: 16 }
}

/// All calls, each where it has to grow and where it has not.
fn program() -> Vec<Step> {
    let (oldest, newest) = (Which::Oldest(0), Which::Newest(0));
    let part = [
        allocate(40, 16),
        zeroed(300, 16),
        allocate(100, 4096),
        resize(newest, 3000),
        Call::Burst { count: 90, size: 1000 },
        allocate(30_000, 16),
        zeroed(20_000, 1 << 14),
        resize(newest, 60_000),
        resize(oldest, 50_000),
        Call::Misuse(Wrong::Foreign(0)),
        Call::FreeMany { count: 40, order: Order::Random(3) },
        allocate(200_000, 16),
        // The last block, where it is; then one that has another behind it.
        resize(newest, 400_000),
        resize(newest, 800_000),
        zeroed(150_000, 1 << 17),
        resize(Which::Newest(1), 1_000_000),
        Call::Reallocate { which: newest, size: 70_000, align: 1 << 18 },
        resize(Which::Newest(1), 500),
        Call::Free(newest),
        Call::Trim(0),
        Call::Check,
        allocate(300_000, 1 << 20),
        Call::Burst { count: 30, size: 5000 },
        Call::FreeMany { count: 60, order: Order::Lifo },
        Call::Trim(10_000),
    ];
    // The general heap does not reset, and goes on with what it has.
    let calls = part.into_iter().chain([Call::Fork, Call::Reset]).chain(part);
    calls.map(|call| Step { by: 0, call }).collect()
}

/// How often a region grows if nothing is refused.
fn growths(kind: HeapPolicy) -> u64 {
    let mut model = Model::new(setup(kind, Some(Injection::nth(u64::MAX))), false);
    for step in program() {
        assert_ne!(model.step(step), Outcome::Refused, "{kind:?}: {step:?}");
        model.compare();
    }
    let commits = model.heap().stats().region.commits;
    model.end();
    commits
}

#[test]
fn every_growth_of_every_call_is_refused_once() {
    for kind in kinds() {
        let all = growths(kind);
        println!("{kind:?} grows {all} times");
        assert!(all >= 10, "{kind:?} grows {all} times");
        let mut seen = 0;
        for nth in 1..=all {
            let mut model = Model::new(setup(kind, Some(Injection::nth(nth))), false);
            for step in program() {
                if model.step(step) == Outcome::Refused {
                    model.compare();
                    assert_ne!(model.step(step), Outcome::Refused, "{kind:?}, {nth} of {all}: {step:?}");
                }
                model.compare();
            }
            seen += model.refusals as u64;
            model.end();
        }
        // (The general heap looks for empty pages when it is refused, and may find some.)
        let is_general = matches!(kind, HeapPolicy::General(_));
        assert!(seen == all || (is_general && seen < all && seen >= all / 2), "{kind:?}: {seen} of {all}");
    }
}

#[test]
fn when_nothing_grows_any_more_the_rest_goes_on() {
    for kind in kinds() {
        for most in 0..growths(kind) {
            let mut model = Model::new(setup(kind, Some(Injection::after(most))), false);
            for step in program() {
                model.step(step);
                model.compare();
            }
            assert!(model.refusals > 0, "{kind:?}, {most} growths");
            model.end();
        }
    }
}

/// What the heap keeps beside the region is the system's to refuse: here by a limit on private memory.
fn the_system_refuses() {
    const SIZES: [usize; 7] = [40, 3000, 9000, 70_000, 300_000, 30_000, 4_000_000];
    let builder = |checked| {
        let builder = Heap::builder().reserve(256 << 20).head(0).growth(Growth::Fixed(64 << 10));
        builder.policy(General::new().checked(checked))
    };
    for checked in [false, true] {
        let first = builder(checked);
        support::limits::limit_data_to(4096);
        let unmade = first.try_build();
        support::limits::lift_limits();
        assert!(unmade.is_err(), "what is kept about threads is there from the beginning");
        let mut refused = 0;
        for more in (0..1 << 20).step_by(16 << 10) {
            let heap = builder(checked).build();
            let mut live: Vec<(NonNull<u8>, usize)> = Vec::with_capacity(100);
            support::limits::limit_data_softly(more);
            for (turn, size) in SIZES.iter().cycle().take(35).enumerate() {
                let old = live.get(turn / 2).copied().filter(|_| turn % 3 == 2);
                let result = match old {
                    // SAFETY: it lives, and nobody uses it.
                    Some((block, _)) => unsafe { heap.reallocate(block, *size, 16) },
                    None => heap.allocate(*size, 16),
                };
                match result {
                    Ok(block) => {
                        // SAFETY: the block is as long.
                        unsafe { block.add(size - 1).write(1) };
                        live.retain(|&(other, _)| old.is_none_or(|(old, _)| old != other));
                        live.push((block, *size));
                    }
                    Err(HeapError::OutOfMemory(error)) => {
                        assert_ne!(error.cause(), Cause::Injected, "{error}");
                        refused += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
                heap.check().expect("the heap is whole");
                assert_eq!(heap.stats().live_blocks, live.len());
            }
            support::limits::lift_limits();
            for size in SIZES {
                live.push((heap.allocate(size, 16).expect("nothing is in the way any more"), size));
            }
            for (block, size) in live {
                // SAFETY: it lives, and nobody uses it.
                unsafe {
                    block.add(size - 1).write(2);
                    heap.deallocate(block).expect("it lives");
                }
            }
            heap.trim(0);
            heap.check().expect("the heap is whole");
            assert!(heap.stats().free_runs <= 1, "{:?}", heap.stats());
        }
        assert!(refused > 100, "{refused}");
    }
}

#[test]
fn tables_that_cannot_grow() {
    if support::reserves() {
        support::child("system").assert_success();
    }
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("system", the_system_refuses)];
