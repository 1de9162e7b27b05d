//! A pool's memory decays when it is not used, and only then.

use highwater::{Arena, ArenaPool, Growth, Monitor, PooledArena};
use std::sync::Barrier;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const DECAY: u32 = 8;

fn pool(decay: u32) -> ArenaPool {
    // Small steps, so that what is committed is what was used.
    let make = || Arena::builder().reserve(64 * MIB).head(16 * KIB).growth(Growth::Fixed(16 * KIB));
    ArenaPool::builder().arenas(make).decay(decay).build()
}

fn committed(monitor: Monitor) -> usize {
    monitor.stats().expect("it waits").committed
}

/// Uses so much memory: what is handed out uninitialised is committed.
fn touch(arena: &PooledArena<'_>, bytes: usize) {
    assert_eq!(arena.alloc_uninit_slice::<u8>(bytes).len(), bytes);
}

#[test]
fn what_only_waits_loses_all_of_its_memory() {
    let pool = pool(DECAY);
    let (one, other) = (pool.get(), pool.get());
    touch(&one, MIB);
    touch(&other, MIB);
    let (used, waiting) = (other.monitor(), one.monitor());
    drop(one);
    drop(other);
    // The other one is taken each time, since it came last.
    for round in 1..=3 * DECAY {
        let arena = pool.get();
        assert_eq!(Some(arena.id()), used.id());
        touch(&arena, MIB);
        drop(arena);
        assert!(committed(used) >= MIB, "memory that is used stays: {round}");
        if round < DECAY - 1 {
            assert!(committed(waiting) >= MIB, "not before its time: {round}");
        }
    }
    assert_eq!((committed(waiting), pool.idle()), (0, 2));
    assert_eq!(pool.warm_bytes(), committed(used));
    // It is still good for use.
    let (_, cold) = (pool.get(), pool.get());
    touch(&cold, MIB);
}

#[test]
fn memory_that_is_used_each_time_stays() {
    let pool = pool(DECAY);
    touch(&pool.get(), 2 * MIB);
    let commits = pool.get().stats().commits;
    for round in 0..10 * DECAY {
        let arena = pool.get();
        touch(&arena, 2 * MIB);
        assert_eq!(arena.stats().commits, commits, "round {round} grew again");
    }
}

#[test]
fn memory_that_was_used_once_goes_by_halves() {
    let pool = pool(DECAY);
    let monitor = pool.get().monitor();
    touch(&pool.get(), 8 * MIB);
    let mut before = committed(monitor);
    assert!(before >= 8 * MIB);
    let mut steps = 0;
    for _ in 0..40 * DECAY {
        touch(&pool.get(), 4 * KIB);
        let now = committed(monitor);
        assert!(now >= before / 2 && now <= before, "{before} became {now}");
        steps += u32::from(now < before);
        before = now;
    }
    assert!((5..=10).contains(&steps), "{steps}");
    assert!(before <= 128 * KIB, "{before}");
}

/// The most that was used since the last look is what stays, not what the last user used.
#[test]
fn memory_that_is_used_now_and_then_stays() {
    let pool = pool(DECAY);
    touch(&pool.get(), 4 * MIB);
    let monitor = pool.get().monitor();
    for round in 0..10 * DECAY {
        touch(&pool.get(), if round % (DECAY / 2) == 0 { 4 * MIB } else { KIB });
        assert!(committed(monitor) >= 4 * MIB, "round {round}");
    }
}

/// What scopes use is not seen afterwards; the arena gives memory back now and then, and not at every return.
#[test]
fn scopes_do_not_grow_again_at_every_return() {
    let pool = pool(DECAY);
    let rounds = 20 * DECAY;
    let (mut regrown, mut last) = (0, 0);
    for round in 0..rounds {
        let mut arena = pool.get();
        arena.scope().alloc_uninit_slice::<u8>(4 * MIB);
        let commits = arena.stats().commits;
        regrown += u32::from(round > 0 && commits > last);
        last = commits;
    }
    assert!(regrown <= rounds / DECAY, "{regrown} of {rounds} uses grew again");
}

#[test]
fn with_a_decay_of_one_and_of_none() {
    for decay in [0, 1] {
        let pool = pool(decay);
        let (one, other) = (pool.get(), pool.get());
        touch(&one, MIB);
        let waiting = one.monitor();
        drop((one, other));
        drop(pool.get());
        drop(pool.get());
        assert_eq!(committed(waiting), 0, "{decay}");
        // What is in use is looked at each time, and stays while it is used.
        for _ in 0..5 {
            let arena = pool.get();
            touch(&arena, MIB);
            let monitor = arena.monitor();
            drop(arena);
            assert!(committed(monitor) >= MIB);
        }
    }
}

/// Threads take, fill, verify and return; the figures are true when all are done.
#[test]
fn threads_and_decay() {
    let pool = pool(3);
    let monitors = std::sync::Mutex::new(Vec::<Monitor>::new());
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8usize {
            let (pool, monitors, start) = (&pool, &monitors, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..200 {
                    let mut arena = pool.get();
                    let mut known = monitors.lock().unwrap();
                    if known.iter().all(|monitor| monitor.id() != Some(arena.id())) {
                        known.push(arena.monitor());
                    }
                    drop(known);
                    let number = (thread << 16 | round) as u64;
                    let block = arena.alloc_slice_fill_copy(1 + round * 37 % 20_000, number);
                    std::thread::yield_now();
                    assert!(block.iter().all(|&n| n == number));
                    let used = arena.allocated_bytes();
                    let scope = arena.scope();
                    assert!(scope.alloc_slice_fill_copy(1000, 1u8).len() + used <= scope.allocated_bytes());
                }
            });
        }
    });
    let known = monitors.into_inner().unwrap();
    let waiting: Vec<usize> =
        known.iter().filter_map(|monitor| monitor.stats()).map(|stats| stats.committed).collect();
    assert_eq!((waiting.len(), waiting.iter().sum::<usize>()), (pool.idle(), pool.warm_bytes()));
    assert!(known.len() >= pool.idle() && pool.idle() <= 16);
}
