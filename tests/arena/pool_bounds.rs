//! What of a pool's arenas waits, and how much memory they keep while they do.

use highwater::{Arena, ArenaPool, Cause, Growth, GuardPolicy, Monitor, PooledArena};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// An arena that has committed at least so many bytes.
fn committed(pool: &ArenaPool, bytes: usize) -> PooledArena<'_> {
    let arena = pool.get();
    arena.alloc_slice_fill_copy(bytes, 1u8);
    arena
}

#[test]
fn no_more_wait_than_may() {
    for idle in [0, 1, 3] {
        let pool = ArenaPool::builder().idle(idle).build();
        let guards: Vec<_> = (0..5).map(|_| pool.get()).collect();
        let monitors: Vec<Monitor> = guards.iter().map(|guard| guard.monitor()).collect();
        drop(guards);
        assert_eq!(pool.idle(), idle);
        assert_eq!(
            monitors.iter().filter(|monitor| monitor.is_live()).count(),
            idle,
            "the others are unmapped"
        );
        *pool.get().alloc(1u64) += 1;
        assert_eq!(pool.idle(), idle);
    }
}

#[test]
fn each_keeps_no_more_than_it_may() {
    let pool = ArenaPool::builder().warm_each(MIB).build();
    let monitor = committed(&pool, 5 * MIB).monitor();
    assert!(monitor.is_live() && monitor.stats().unwrap().committed <= MIB);
    assert_eq!(pool.warm_bytes(), monitor.stats().unwrap().committed);
    let nothing = ArenaPool::builder().warm_each(0).build();
    drop(committed(&nothing, MIB));
    assert_eq!((nothing.idle(), nothing.warm_bytes()), (1, 0));
    assert_eq!(nothing.get().alloc_slice_fill_copy(MIB, 2u8).len(), MIB);
}

#[test]
fn all_together_keep_no_more_than_they_may() {
    let pool = ArenaPool::builder().warm(5 * MIB / 2).build();
    let guards: Vec<_> = (0..5).map(|_| committed(&pool, MIB)).collect();
    drop(guards);
    assert_eq!(pool.idle(), 5, "without memory they may wait all the same");
    assert!(pool.warm_bytes() <= 5 * MIB / 2 && pool.warm_bytes() >= MIB, "{}", pool.warm_bytes());
    let cold = ArenaPool::builder().warm(0).build();
    drop((committed(&cold, MIB), committed(&cold, MIB)));
    assert_eq!((cold.idle(), cold.warm_bytes()), (2, 0));
}

#[test]
fn clearing_gives_everything_back() {
    let pool = ArenaPool::new();
    let monitors = [committed(&pool, MIB), committed(&pool, MIB)].map(|guard| guard.monitor());
    let out = pool.get();
    assert!(pool.warm_bytes() >= MIB);
    pool.clear();
    assert_eq!((pool.idle(), pool.warm_bytes()), (0, 0));
    assert_eq!(monitors.iter().filter(|monitor| monitor.is_live()).count(), 1, "what is out stays");
    assert_eq!(*out.alloc(5), 5);
    drop(out);
    assert_eq!(pool.idle(), 1);
}

#[test]
fn the_last_that_came_goes_first() {
    let pool = ArenaPool::new();
    let (first, second) = (pool.get(), pool.get());
    let ids = [first.id(), second.id()];
    drop(first);
    drop(second);
    for _ in 0..3 {
        assert_eq!(pool.get().id(), ids[1]);
    }
    let (third, fourth) = (pool.get(), pool.get());
    assert_eq!([third.id(), fourth.id()], [ids[1], ids[0]]);
}

#[test]
fn arenas_are_made_as_they_are_described() {
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let pool = ArenaPool::builder().arenas(move || {
        count.fetch_add(1, SeqCst);
        Arena::builder().name("request").reserve(8 * MIB).head(0).limit(MIB)
    });
    let pool = pool.build();
    for _ in 0..3 {
        let (one, other) = (pool.get(), pool.scratch(&[]));
        for arena in [&one, &other] {
            assert_eq!((arena.remaining(), arena.reserved_bytes()), (MIB, 8 * MIB));
            let error = arena.try_alloc_slice_fill_copy(MIB + 1, 1u8).unwrap_err();
            assert!(error.cause() == Cause::RegionLimit && error.to_string().contains("request"), "{error}");
            // A limit of the user's own goes with the user, the region's stays.
            arena.set_allocation_limit(Some(100));
        }
    }
    assert_eq!(made.load(SeqCst), 2, "only what did not wait was made");
}

#[test]
fn arenas_that_cannot_be_made() {
    let pool = ArenaPool::builder().arenas(|| Arena::builder().reserve(0)).build();
    assert!(pool.try_get().is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| pool.get().id())).is_err());
    assert_eq!(pool.idle(), 0);
    // A maker that panics is no end of the pool.
    let calls = AtomicU32::new(0);
    let pool = ArenaPool::builder().arenas(move || {
        assert!(calls.fetch_add(1, SeqCst) != 1, "the second time");
        Arena::builder()
    });
    let pool = pool.build();
    let first = pool.get();
    assert!(catch_unwind(AssertUnwindSafe(|| pool.get().id())).is_err());
    drop((first, pool.get()));
    assert_eq!(pool.idle(), 2);
}

/// Making an arena may use the pool that it is for.
#[test]
fn a_maker_may_use_pools() {
    static INNER: ArenaPool = ArenaPool::new();
    let pool =
        ArenaPool::builder().arenas(|| Arena::builder().name(INNER.get().alloc_str("from an arena"))).build();
    assert_eq!((pool.get().allocated_bytes(), INNER.idle()), (0, 1));
}

#[test]
fn what_is_not_fit_for_strangers_is_not_kept() {
    let pool = ArenaPool::new();
    let monitor = {
        let mut guarded = pool.get();
        if guarded.guard_at(MIB..2 * MIB).is_err() {
            return; // nothing can be protected here
        }
        guarded.monitor()
    };
    assert!(!monitor.is_live());
    let (mut one, mut other) = (pool.get(), pool.get());
    std::mem::swap(&mut *one, &mut *other);
    drop((one, other));
    assert_eq!(pool.idle(), 0);
    std::mem::forget(pool.get());
    assert_eq!((pool.idle(), *pool.get().alloc(3)), (0, 3));
}

#[derive(Clone, Debug)]
enum Call {
    Get,
    Use(usize, usize),
    UseScope(usize, usize),
    Ahead(usize, usize),
    Drop(usize),
    Panic(usize),
    Clear,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let bytes = || prop_oneof![0usize..4000, 0usize..400_000];
    let which = any::<usize>;
    let call = prop_oneof![
        4 => Just(Call::Get),
        2 => (which(), bytes()).prop_map(|(which, bytes)| Call::Use(which, bytes)),
        2 => (which(), bytes()).prop_map(|(which, bytes)| Call::UseScope(which, bytes)),
        1 => (which(), bytes()).prop_map(|(which, bytes)| Call::Ahead(which, bytes)),
        4 => which().prop_map(Call::Drop),
        1 => which().prop_map(Call::Panic),
        1 => Just(Call::Clear),
    ];
    prop::collection::vec(call, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// Whatever is done with a pool, its figures are true and its bounds hold.
    #[test]
    fn figures_and_bounds(
        idle in 0usize..5,
        each in prop_oneof![Just(0), 0usize..300_000],
        warm in prop_oneof![Just(0), 0usize..600_000],
        decay in 0u32..6,
        calls in calls(),
    ) {
        let make = || Arena::builder().reserve(4 * MIB).head(16 * KIB);
        let pool = ArenaPool::builder().arenas(make).idle(idle).warm_each(each).warm(warm).decay(decay).build();
        let mut out: Vec<PooledArena<'_>> = Vec::new();
        let mut all: Vec<Monitor> = Vec::new();
        for call in calls {
            let at = |which: usize| which % out.len().max(1);
            match call {
                Call::Get => {
                    let arena = pool.get();
                    prop_assert_eq!((arena.allocated_bytes(), arena.allocation_limit()), (0, None));
                    prop_assert!(out.iter().all(|other| other.id() != arena.id()));
                    if all.iter().all(|monitor| monitor.id() != Some(arena.id())) {
                        all.push(arena.monitor());
                    }
                    out.push(arena);
                }
                Call::Drop(which) if !out.is_empty() => drop(out.swap_remove(at(which))),
                Call::Panic(which) if !out.is_empty() => {
                    let arena = out.swap_remove(at(which));
                    let panicked = catch_unwind(AssertUnwindSafe(move || {
                        arena.alloc_with(|| -> u64 { panic!("a user's") });
                    }));
                    prop_assert!(panicked.is_err());
                }
                Call::Use(which, bytes) if !out.is_empty() => {
                    out[at(which)].alloc_slice_fill_copy(bytes, 7u8);
                }
                Call::UseScope(which, bytes) if !out.is_empty() => {
                    let at = at(which);
                    out[at].scope().alloc_slice_fill_copy(bytes, 8u8);
                }
                Call::Ahead(which, bytes) if !out.is_empty() => out[at(which)].commit_ahead(bytes).unwrap(),
                Call::Clear => pool.clear(),
                _ => (),
            }
            let waits = |monitor: &&Monitor| monitor.is_live() && out.iter().all(|arena| Some(arena.id()) != monitor.id());
            let waiting: Vec<usize> = all.iter().filter(waits).map(|m| m.stats().unwrap().committed).collect();
            prop_assert_eq!(waiting.len(), pool.idle());
            prop_assert_eq!(waiting.iter().sum::<usize>(), pool.warm_bytes());
            prop_assert!(pool.idle() <= idle && pool.warm_bytes() <= warm);
            prop_assert!(waiting.iter().all(|&bytes| bytes <= each.next_multiple_of(64 * KIB)), "{:?} of {}", waiting, each);
        }
    }
}

#[test]
fn arenas_with_policies_of_their_own_are_kept() {
    let guarded = || Arena::builder().guard(GuardPolicy::default().at(1 << 20..(1 << 20) + 65536));
    let upfront = || Arena::builder().reserve(64 << 20).growth(Growth::Upfront);
    for pool in [ArenaPool::builder().arenas(guarded).build(), ArenaPool::builder().arenas(upfront).build()] {
        let first = pool.get().id();
        assert_eq!(pool.idle(), 1);
        assert_eq!(pool.get().id(), first);
    }
    // A guard that a user of it has placed is another matter.
    let pool = ArenaPool::new();
    pool.get().guard_at(1 << 20..2 << 20).unwrap();
    assert_eq!(pool.idle(), 0);
}
