//! Many regions, many threads: every fault finds its region, and nobody loses a byte.

use crate::support;
use highwater::{Arena, Growth, Region};
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use support::maps;
use support::raw::{get, page, put};

/// A thread's own numbers without a crate for them: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn each_of_64_regions_gets_its_own_faults() {
    if !support::has_faults() {
        return;
    }
    let make = |_| Region::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(page())).build();
    let regions: Vec<Region> = (0..64).map(make).collect();
    for round in 0..50 {
        for (i, region) in regions.iter().enumerate() {
            // Region i is touched in every round that i + 1 divides.
            if round % (i + 1) == 0 {
                put(region, region.committed_bytes(), i as u8 + 1);
            }
        }
    }
    for (i, region) in regions.iter().enumerate() {
        let expected = 50usize.div_ceil(i + 1);
        assert_eq!(region.stats().faults, expected as u64, "region {i}");
        assert_eq!(region.committed_bytes(), expected * page());
        assert!((0..expected).all(|n| get(region, n * page()) == i as u8 + 1));
    }
}

#[test]
fn four_threads_move_one_frontier() {
    if !support::has_faults() {
        return;
    }
    const THREADS: usize = 4;
    let pages = 4_000;
    for round in 0..4u8 {
        let step = if round % 2 == 0 { page() } else { 7 * page() };
        let region = Region::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(step)).build();
        let start = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (region, start) = (&region, &start);
                scope.spawn(move || {
                    start.wait();
                    for i in (thread..pages).step_by(THREADS) {
                        put(region, i * page() + thread, i as u8 | 1);
                    }
                });
            }
        });
        assert!((0..pages).all(|i| get(&region, i * page() + i % THREADS) == i as u8 | 1));
        let stats = region.stats();
        assert!(stats.committed >= pages * page() && stats.committed <= pages * page() + THREADS * step);
        // A thread that lost a race may have made a growth of its own; none is lost.
        let least = (pages * page()).div_ceil(step * THREADS) as u64;
        assert!(stats.faults >= least && stats.faults <= pages as u64, "{stats:?}");
        let found = maps::count(maps::reserved(&region));
        assert!(found <= 3, "{found} mappings");
    }
}

#[test]
fn threads_that_touch_the_same_page_at_once_are_all_served() {
    if !support::has_faults() {
        return;
    }
    let region = Region::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(page())).build();
    let (threads, rounds) = (4, 500);
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (region, start) = (&region, &start);
            scope.spawn(move || {
                for round in 0..rounds {
                    start.wait();
                    put(region, round * page() + thread, thread as u8 + 1);
                }
            });
        }
    });
    for round in 0..rounds {
        assert!((0..threads).all(|thread| get(&region, round * page() + thread) == thread as u8 + 1));
    }
    assert_eq!(region.committed_bytes(), rounds * page());
}

#[test]
fn regions_come_and_go_while_others_grow() {
    let stop = AtomicBool::new(false);
    let steady = Arena::builder().reserve(1 << 30).growth(Growth::Fixed(page())).build();
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let stop = &stop;
            scope.spawn(move || {
                let mut random = Random(0x9e37_79b9 + thread);
                let mut live: Vec<(Arena, usize)> = Vec::new();
                let mut rounds = 0;
                while !stop.load(SeqCst) || rounds < 100 {
                    rounds += 1;
                    if live.len() == 8 {
                        drop(live.swap_remove(random.below(8)));
                    }
                    let reserve = (1 + random.below(64)) << 20;
                    let builder = Arena::builder().reserve(reserve).head(0).growth(Growth::Fixed(page()));
                    let (arena, len) = (builder.build(), 1 + random.below(20_000));
                    arena.alloc_slice_fill_with(len, |i| i);
                    live.push((arena, len));
                    let (arena, len) = &live[random.below(live.len())];
                    // SAFETY: the arena starts with so many numbers.
                    let numbers =
                        unsafe { std::slice::from_raw_parts(arena.region().as_ptr().cast::<usize>(), *len) };
                    assert!(numbers.iter().enumerate().all(|(i, &number)| i == number));
                }
            });
        }
        let mut kept = Vec::new();
        for i in 0..4_000u32 {
            kept.push(steady.alloc_slice_fill_copy(1_000, i));
        }
        stop.store(true, SeqCst);
        assert!(kept.iter().enumerate().all(|(i, slice)| slice.iter().all(|&value| value == i as u32)));
    });
}

#[test]
fn arenas_move_between_threads() {
    let mut arena = Arena::builder().reserve(256 << 20).build();
    let mut expected = 0;
    for round in 0..20u64 {
        arena = std::thread::spawn(move || {
            arena.alloc_slice_fill_copy(50_000, round);
            arena
        })
        .join()
        .unwrap();
        expected += 400_000;
        assert_eq!(arena.allocated_bytes(), expected);
    }
    // SAFETY: the arena starts with so many numbers.
    let numbers = unsafe { std::slice::from_raw_parts(arena.region().as_ptr().cast::<u64>(), 1_000_000) };
    assert!(numbers.iter().enumerate().all(|(i, &number)| number == i as u64 / 50_000));
}
