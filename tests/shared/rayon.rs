//! Pools and shared arenas under rayon.

use highwater::{Arena, ArenaPool, SharedArena};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const THREADS: usize = 6;

fn threads() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(THREADS).build().unwrap()
}

/// A pool that counts the arenas it has made.
fn counting() -> (ArenaPool, Arc<AtomicU32>) {
    let made = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&made);
    let make = move || {
        count.fetch_add(1, SeqCst);
        Arena::builder().reserve(64 << 20).head(0)
    };
    (ArenaPool::builder().arenas(make).build(), made)
}

/// The sum of the digits of all numbers below `n`, by way of texts in an arena.
fn digits(arena: &mut Arena, n: u64) -> u64 {
    let scope = arena.scope();
    let texts = scope.alloc_iter((0..n).map(|i| &*scope.alloc_fmt(format_args!("{i}"))));
    texts.iter().flat_map(|text| text.bytes()).map(|byte| u64::from(byte - b'0')).sum()
}

fn expected(n: u64) -> u64 {
    (0..n).flat_map(|i| i.to_string().into_bytes()).map(|byte| u64::from(byte - b'0')).sum()
}

#[test]
fn each_job_has_an_arena_and_arenas_are_used_again() {
    let (pool, made) = counting();
    let threads = threads();
    for _ in 0..5 {
        let sums: Vec<u64> = threads.install(|| {
            (0..400u64).into_par_iter().map_init(|| pool.get(), |arena, n| digits(arena, n)).collect()
        });
        assert!((0..400u64).zip(&sums).all(|(n, &sum)| sum == expected(n)));
    }
    let made = made.load(SeqCst) as usize;
    assert!((1..=THREADS).contains(&made), "{made} arenas for {THREADS} threads");
    assert_eq!(pool.idle(), made, "all came back");
}

#[test]
fn values_stay_in_a_jobs_arena_until_it_ends() {
    let (pool, _) = counting();
    let total: u64 = threads().install(|| {
        (0..200u64)
            .into_par_iter()
            .map_init(
                || pool.get(),
                |arena, n| {
                    let mine = arena.alloc_slice_fill_copy(1000, n);
                    // Whoever is interrupted here by another job's thread finds its own numbers again.
                    rayon::yield_now();
                    mine.iter().sum::<u64>()
                },
            )
            .sum()
    });
    assert_eq!(total, 1000 * 199 * 200 / 2);
}

/// Work that splits further while it holds an arena: whoever steals it gets another one.
#[test]
fn nested_jobs_have_different_arenas() {
    fn sum(pool: &ArenaPool, range: std::ops::Range<u64>, held: &[u64]) -> u64 {
        let arena = pool.get();
        assert!(!held.contains(&arena.id()), "handed out twice");
        let held: Vec<u64> = held.iter().copied().chain([arena.id()]).collect();
        let mine = arena.alloc_iter(range.clone());
        if range.end - range.start > 8 {
            let middle = range.start.midpoint(range.end);
            let (left, right) =
                rayon::join(|| sum(pool, range.start..middle, &held), || sum(pool, middle..range.end, &held));
            assert_eq!(left + right, mine.iter().sum::<u64>());
        }
        assert!(mine.iter().copied().eq(range));
        mine.iter().sum()
    }
    let (pool, _) = counting();
    assert_eq!(threads().install(|| sum(&pool, 0..2000, &[])), 1999 * 1000);
}

#[test]
fn a_panic_in_a_job_gives_all_arenas_back() {
    let (pool, made) = counting();
    let threads = threads();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        threads.install(|| {
            (0..1000)
                .into_par_iter()
                .map_init(
                    || pool.get(),
                    |arena, n| {
                        arena.alloc([n; 100]);
                        assert!(n != 700, "this one");
                    },
                )
                .count()
        })
    }));
    assert!(panicked.is_err());
    drop(threads); // all of its jobs have ended
    assert_eq!(pool.idle(), made.load(SeqCst) as usize);
    assert!(pool.get().alloc([0u64; 10]).iter().all(|&n| n == 0));
}

#[test]
fn a_shared_arena_holds_what_all_jobs_made() {
    let mut shared = SharedArena::builder().reserve(1 << 30).build();
    let threads = threads();
    for _ in 0..3 {
        let words: Vec<&str> = threads.install(|| {
            (0..20_000u32).into_par_iter().map(|n| &*shared.alloc_fmt(format_args!("word {n}"))).collect()
        });
        let parts: Vec<&mut [u32]> = threads.install(|| {
            (0..20_000u32)
                .into_par_iter()
                .map_init(|| shared.local(), |local, n| local.alloc_slice_fill_copy(n as usize % 50, n))
                .collect()
        });
        assert!(words.iter().enumerate().all(|(n, word)| **word == format!("word {n}")));
        assert!(
            parts
                .iter()
                .zip(0u32..)
                .all(|(part, n)| part.len() == n as usize % 50 && part.iter().all(|&m| m == n))
        );
        assert_eq!(words.iter().map(|word| word.as_ptr()).collect::<HashSet<_>>().len(), 20_000);
        shared.reset();
    }
}
