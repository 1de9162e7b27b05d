//! Refusals everywhere: each admission in turn, many at random, a limit, a full reservation. After each the heap is
//! whole, and what was allocated is what it was.

use highwater::heap::{General, Heap, HeapError};
use highwater::oom::Injection;
use highwater::{Cause, Growth};
use std::ptr::NonNull;

/// The same calls with refusals here and there; how many there were.
fn work(heap: &Heap) -> usize {
    let mut refused = 0;
    let mut live: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
    let sizes = [40, 200, 3000, 9000, 30_000, 70_000, 200_000, 1_000_000];
    for turn in 0..120usize {
        let size = sizes[turn % sizes.len()] + turn;
        let tag = turn as u8;
        match heap.allocate(size, 16) {
            Ok(block) => {
                // SAFETY: a live block.
                unsafe { block.write_bytes(tag, size) };
                live.push((block, size, tag));
            }
            Err(HeapError::OutOfMemory(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        if turn % 5 == 4 && !live.is_empty() {
            let which = turn * 31 % live.len();
            let (block, size, tag) = live[which];
            // SAFETY: a live block, which this replaces.
            match unsafe { heap.reallocate(block, size * 2, 16) } {
                Ok(block) => {
                    // SAFETY: as above.
                    unsafe { block.write_bytes(tag, size * 2) };
                    live[which] = (block, size * 2, tag);
                }
                Err(HeapError::OutOfMemory(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        heap.check().expect("the heap is whole");
    }
    assert_eq!(heap.stats().live_blocks, live.len());
    for (block, size, tag) in live {
        // SAFETY: a live block, freed once.
        unsafe {
            let contents = std::slice::from_raw_parts(block.as_ptr(), size);
            assert!(contents.chunks(4096).all(|part| part == &[tag; 4096][..part.len()]));
            heap.deallocate(block).unwrap();
        }
    }
    heap.trim(0);
    heap.check().unwrap();
    assert!(heap.stats().free_runs <= 1);
    refused
}

fn small_steps() -> highwater::Builder<Heap> {
    Heap::builder().reserve(256 << 20).head(0).growth(Growth::Fixed(256 << 10)).policy(General::new())
}

#[test]
fn each_admission_in_turn() {
    // (One that comes when there are empty pages to be had is not noticed.)
    let reached = (1..40).filter(|&nth| work(&small_steps().inject(Injection::nth(nth)).build()) > 0).count();
    assert!(reached >= 3, "{reached} were refused");
}

#[test]
fn a_third_of_all_and_everything_after_some() {
    let mut refused = 0;
    for seed in 0..10 {
        refused += work(&small_steps().inject(Injection::rate(333_333, seed)).build());
        refused += work(&small_steps().inject(Injection::after(seed * 3)).build());
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_limit_is_met_and_what_is_freed_is_used_again() {
    let heap = Heap::builder().reserve(64 << 20).limit(4 << 20).policy(General::new()).build();
    let mut blocks = Vec::new();
    let error = loop {
        match heap.allocate(1000, 16) {
            Ok(block) => blocks.push(block),
            Err(error) => break error,
        }
    };
    let HeapError::OutOfMemory(error) = error else { panic!("{error}") };
    assert_eq!(error.cause(), Cause::RegionLimit);
    assert_eq!(error.requested(), 1024.min(error.requested()), "the size or its class");
    assert!(blocks.len() >= 3 << 10, "{} of 4 MiB", blocks.len());
    heap.check().unwrap();
    let count = blocks.len();
    for block in blocks.drain(..) {
        // SAFETY: a live block, freed once.
        unsafe { heap.deallocate(block) }.unwrap();
    }
    // Another class gets what the pages had, without anybody asking for it.
    let others: Vec<_> = std::iter::from_fn(|| heap.allocate(5000, 16).ok()).collect();
    assert!(others.len() * 5000 > count * 1000 / 2, "{} blocks", others.len());
    heap.check().unwrap();
}

#[test]
fn a_reservation_that_is_full() {
    let heap = Heap::builder().reserve(1 << 20).policy(General::new()).build();
    let blocks: Vec<_> = std::iter::from_fn(|| heap.allocate(100_000, 16).ok()).collect();
    assert!(blocks.len() >= 7, "{}", blocks.len());
    heap.check().unwrap();
}

#[test]
fn a_block_that_cannot_grow_at_the_end_moves_to_what_is_free() {
    let heap = Heap::builder().reserve(64 << 20).limit(7 << 20).policy(General::new()).build();
    let [low, high] = [4 << 20, 2 << 20].map(|size| heap.allocate(size, 16).unwrap());
    // SAFETY: live blocks, of which the first is freed once and the second one is replaced.
    unsafe {
        high.write_bytes(7, 2 << 20);
        heap.deallocate(low).unwrap();
        let moved = heap.reallocate(high, 7 << 19, 16).expect("there are 4 MiB");
        assert_eq!(moved.add((2 << 20) - 1).read(), 7);
        heap.deallocate(moved).unwrap();
    }
    heap.check().unwrap();
    assert_eq!(heap.stats().live_blocks, 0);
}
