//! What each policy promises beyond what all of them do: where blocks go, and what comes back when.

use crate::support;
use highwater::heap::{Blocks, Bump, Fit, Heap, HeapError, HeapPolicy, Stack};
use highwater::oom::Injection;
use highwater::{Cause, Growth};
use std::ptr::NonNull;

fn heap(kind: impl Into<HeapPolicy>) -> Heap {
    Heap::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(4096)).policy(kind).build()
}

fn get(heap: &Heap, size: usize) -> NonNull<u8> {
    let block = heap.allocate(size, 16).unwrap();
    // SAFETY: the block is as long.
    unsafe { block.write_bytes(0xab, size) };
    block
}

fn free(heap: &Heap, block: NonNull<u8>) {
    // SAFETY: the tests use no block that they have freed.
    unsafe { heap.deallocate(block) }.unwrap();
}

fn resize(heap: &Heap, block: NonNull<u8>, size: usize) -> NonNull<u8> {
    // SAFETY: as above.
    unsafe { heap.reallocate(block, size, 16) }.unwrap()
}

fn address(block: NonNull<u8>) -> usize {
    block.as_ptr().addr()
}

#[test]
fn blocks_begin_with_a_margin_and_grow_by_a_page() {
    let heap = heap(Blocks::new().margin(10_000));
    assert_eq!((heap.stats().used, heap.stats().region.committed), (0, 0));
    get(&heap, 100);
    // The block, the margin, and whole pages.
    assert_eq!(heap.stats().used, 12_288);
    let rest = heap.stats().largest_free_run - 16;
    get(&heap, rest);
    assert_eq!((heap.stats().used, heap.stats().free_runs), (12_288, 0));
    get(&heap, 1);
    assert_eq!(heap.stats().used, 16_384, "a page more");
    // 4,000 bytes are free at the end: what is missing comes behind them, not a whole block.
    let before = heap.stats();
    get(&heap, 6_000);
    assert_eq!((heap.stats().used - before.used, heap.stats().free_runs), (4096, 1));
    heap.check().unwrap();
}

#[test]
fn best_fit_takes_the_shortest_and_first_fit_the_lowest() {
    for (fit, expected) in [(Fit::Best, 3), (Fit::First, 1)] {
        let heap = heap(Blocks::new().fit(fit));
        let sizes = [16, 400, 16, 96, 16, 200, 16];
        let blocks = sizes.map(|size| get(&heap, size));
        [1, 3, 5].into_iter().for_each(|i| free(&heap, blocks[i]));
        assert_eq!(get(&heap, 90), blocks[expected], "{fit:?}");
        // What is left of a long one is used as well.
        assert_eq!(
            get(&heap, 150),
            blocks[if fit == Fit::Best { 5 } else { 1 }]
                .map_addr(|at| { if fit == Fit::Best { at } else { at.checked_add(112).unwrap() } })
        );
        heap.check().unwrap();
    }
}

#[test]
fn free_blocks_are_joined_with_both_neighbours() {
    for fit in [Fit::Best, Fit::First] {
        let heap = heap(Blocks::new().fit(fit));
        let blocks = [0; 5].map(|_| get(&heap, 80));
        let runs = |heap: &Heap| heap.stats().free_runs;
        free(&heap, blocks[1]);
        free(&heap, blocks[3]);
        assert_eq!(runs(&heap), 3, "and the margin");
        free(&heap, blocks[2]);
        assert_eq!(runs(&heap), 2, "three became one");
        assert_eq!(get(&heap, 3 * 80 + 2 * 16), blocks[1], "with the headers between them");
        free(&heap, blocks[0]);
        free(&heap, blocks[1]);
        free(&heap, blocks[4]);
        assert_eq!((runs(&heap), heap.stats().free_bytes), (1, heap.stats().largest_free_run));
        heap.check().unwrap();
    }
}

#[test]
fn blocks_are_resized_where_they_are() {
    let heap = heap(Blocks::new());
    let [first, second, third] = [0; 3].map(|_| get(&heap, 1000));
    assert_eq!(resize(&heap, first, 100), first);
    let small = get(&heap, 500);
    assert!(address(first) < address(small) && address(small) < address(second), "in what was given back");
    free(&heap, second);
    assert_eq!(resize(&heap, small, 1500), small, "into the free block behind it");
    let last = resize(&heap, first, 1000);
    assert!(address(last) > address(third));
    // The last block grows with the heap.
    assert_eq!((resize(&heap, last, 8 << 20), heap.stats().live_blocks), (last, 3));
    heap.check().unwrap();
}

#[test]
fn a_heap_of_blocks_shrinks() {
    let heap = heap(Blocks::new().margin(64 << 10));
    let low = get(&heap, 1 << 20);
    let high = [0; 6].map(|_| get(&heap, 1 << 20));
    let full = heap.stats();
    high.iter().for_each(|&block| free(&heap, block));
    let shrunk = heap.stats();
    assert!(full.used > 7 << 20 && shrunk.used < 3 << 20, "{full:?} {shrunk:?}");
    if highwater::engine() == highwater::Engine::Fault {
        assert!(shrunk.region.committed < 3 << 20, "{shrunk:?}");
    }
    free(&heap, low);
    assert!(heap.stats().used <= 200 << 10, "{:?}", heap.stats());
    assert!(heap.trim(0) > 0);
    assert_eq!(heap.stats().used, 4096);
    heap.check().unwrap();
    get(&heap, 1 << 20);
}

#[test]
fn blocks_are_aligned_and_what_is_before_them_is_used() {
    for fit in [Fit::Best, Fit::First] {
        let heap = heap(Blocks::new().fit(fit));
        let low = get(&heap, 100);
        let aligned = heap.allocate(100, 1 << 16).unwrap();
        assert!(address(aligned).is_multiple_of(1 << 16));
        let between = get(&heap, 4000);
        assert!(address(low) < address(between) && address(between) < address(aligned));
        [low, aligned, between].into_iter().for_each(|block| free(&heap, block));
        assert_eq!(heap.stats().free_runs, 1);
        heap.check().unwrap();
    }
}

#[test]
fn a_stack_comes_down_to_the_highest_live_block() {
    let heap = heap(Stack::new());
    let blocks = [0; 6].map(|_| get(&heap, 100));
    let used = heap.stats().used;
    [4, 2, 3].into_iter().for_each(|i| free(&heap, blocks[i]));
    let stats = heap.stats();
    assert_eq!((stats.used, stats.free_runs, stats.live_blocks), (used, 1, 3), "the top lives");
    assert_eq!(stats.free_bytes, 3 * 112);
    free(&heap, blocks[5]);
    assert_eq!(heap.stats().used, used / 3, "and with it came the three below");
    assert_eq!(get(&heap, 100), blocks[2]);
    [0, 2, 1].into_iter().for_each(|i| free(&heap, blocks[i]));
    assert_eq!((heap.stats().used, heap.stats().free_bytes), (0, 0));
    heap.check().unwrap();
}

#[test]
fn the_last_block_of_a_stack_grows_in_place() {
    let heap = heap(Stack::new());
    let [low, last] = [0; 2].map(|_| get(&heap, 100));
    for size in [10_000, 10 << 20, 50, 100] {
        assert_eq!(resize(&heap, last, size), last);
    }
    assert_eq!(resize(&heap, low, 60), low, "a shorter one stays as well");
    assert_ne!(resize(&heap, low, 1000), low);
    assert_eq!(heap.stats().free_runs, 1);
    heap.check().unwrap();
}

#[test]
fn options_of_a_stack() {
    let heap = heap(Stack::new().align(256).errno(true));
    for size in [1, 300, 10] {
        assert!(address(get(&heap, size)).is_multiple_of(256));
    }
    let errno = || std::io::Error::last_os_error().raw_os_error();
    heap.allocate(1 << 30, 1).unwrap_err();
    assert_eq!(errno(), Some(libc::ENOMEM));
    heap.allocate(1, 3).unwrap_err();
    assert_eq!(errno(), Some(libc::EINVAL));

    // SAFETY: one thread has the heap.
    let heap = self::heap(unsafe { Stack::new().align(8).single_threaded() });
    let [low, high] = [0; 2].map(|_| heap.allocate(8, 8).unwrap());
    assert_eq!(address(high) - address(low), 24, "a header of 16 bytes");
    free(&heap, high);
    free(&heap, low);
    assert_eq!(heap.stats().used, 0);
}

#[test]
fn a_slice_is_used_again_when_its_last_block_goes() {
    let heap = heap(Bump::new().slice(64 << 10));
    let blocks: Vec<_> = (0..600).map(|_| get(&heap, 1000)).collect();
    let full = heap.stats();
    assert!(full.free_runs == 0 && full.used > 600_000);
    // Every second block: no slice is empty, so nothing can be had again.
    blocks.iter().step_by(2).for_each(|&block| free(&heap, block));
    assert_eq!(heap.stats().free_runs, 0);
    let fresh = get(&heap, 1000);
    assert!(address(fresh) > address(blocks[599]));
    // The blocks of the first slices.
    blocks[..200].iter().skip(1).step_by(2).for_each(|&block| free(&heap, block));
    assert_eq!(heap.stats().free_runs, 1);
    let again: Vec<_> = (0..120).map(|_| get(&heap, 1000)).collect();
    assert!(again.contains(&blocks[0]), "the first slice is filled again from its start");
    assert!(heap.stats().used <= full.used + (64 << 10));
    heap.check().unwrap();
}

#[test]
fn bumped_blocks_have_nothing_between_them() {
    for grain in [8, 16] {
        let heap = heap(Bump::new().grain(grain));
        let blocks: Vec<_> = (0..1000).map(|_| heap.allocate(grain, grain).unwrap()).collect();
        assert!(blocks.windows(2).all(|pair| address(pair[1]) - address(pair[0]) == grain));
        // SAFETY: the block lives.
        assert_eq!(unsafe { heap.usable_size(blocks[7]) }, Ok(grain));
        // SAFETY: nobody uses the block.
        let last = unsafe { heap.reallocate(blocks[999], 5000, grain) }.unwrap();
        assert_eq!((last, heap.stats().live_blocks), (blocks[999], 1000), "the last block grows in place");
    }
}

#[test]
fn large_blocks_take_whole_slices_and_give_them_back() {
    let heap = heap(Bump::new().slice(64 << 10));
    let [low, large, behind] = [100_000, 300_000, 100_000].map(|size| get(&heap, size));
    assert_eq!(resize(&heap, large, 150_000), large);
    let between = get(&heap, 100_000);
    assert!(address(large) < address(between) && address(between) < address(behind), "in what it gave back");
    assert_ne!(resize(&heap, large, 400_000), large);
    assert_eq!(get(&heap, 190_000), large, "its place is free");
    assert_eq!(resize(&heap, low, 131_072), low);
    heap.check().unwrap();
}

#[test]
fn a_refused_bump_heap_uses_its_free_slices_again() {
    // (Growth is refused in the middle of a slice, long before the reservation ends.)
    let heap = Heap::builder()
        .reserve(64 << 20)
        .growth(Growth::Fixed(64 << 10))
        .inject(Injection::after(100))
        .policy(Bump::new())
        .build();
    let fill = |size: usize| {
        let blocks: Vec<_> = std::iter::from_fn(|| heap.allocate(size, 16).ok()).collect();
        for block in blocks.iter().rev() {
            // SAFETY: each is a live block, freed once.
            unsafe { heap.deallocate(*block) }.unwrap();
        }
        blocks.len() * size
    };
    let first = fill(1000);
    assert!(first > 4 << 20, "{first}");
    for size in [64, 30_000, 1000] {
        let bytes = fill(size);
        assert!(bytes > first * 3 / 4, "{bytes} in blocks of {size} after {first}");
        heap.check().unwrap();
    }
}

#[test]
fn an_exhausted_bump_heap_says_so_in_one_line() {
    let heap = Heap::builder().name("scratch").reserve(1 << 20).policy(Bump::new().diagnose(true)).build();
    let mut count = 0;
    let error = loop {
        match heap.allocate(10_000, 1) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(count > 80, "{count}");
    let HeapError::OutOfMemory(error) = error else { panic!("{error:?}") };
    assert_eq!((error.cause(), error.requested()), (Cause::ReservationExhausted, 10_000));
    heap.allocate(10_000, 1).unwrap_err();
    println!("\n{error}");
}

#[test]
fn the_line_has_all_figures() {
    let ended = support::child("exhausted");
    ended.assert_success();
    let line = ended.stdout.lines().find(|line| line.contains("out of memory")).expect("the error's text");
    let lines: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("highwater: ")).collect();
    assert_eq!(lines, [format!("highwater: {line}")], "once, and the same");
    for part in ["\"scratch\"", "requested 9.7 KiB (effective 9.7 KiB)", "used 10", "reserved 1 MiB"] {
        assert!(line.contains(part), "{line}: {part}");
    }
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("exhausted", an_exhausted_bump_heap_says_so_in_one_line)];

#[test]
#[expect(deprecated, reason = "the former name of the policy stays")]
fn the_former_name_is_the_policy() {
    use highwater::heap::Kind;
    let kind: Kind = Stack::new().into();
    assert!(matches!(kind, Kind::Stack(_)) && kind == HeapPolicy::from(Stack::new()));
    assert_eq!(Kind::default(), HeapPolicy::default());
}
