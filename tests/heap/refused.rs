//! Growth that is refused: at every place where it can be, by name, and nothing is lost by it.

use crate::support;
use highwater::heap::{Blocks, Bump, Fit, General, Heap, HeapError, HeapPolicy, Stack};
use highwater::oom::{self, Injection};
use highwater::{Cause, Growth, GuardPolicy, Headroom};
use proptest::prelude::*;
use std::ptr::NonNull;

fn kinds() -> [HeapPolicy; 5] {
    [
        Blocks::new().margin(8192).into(),
        Blocks::new().fit(Fit::First).margin(0).into(),
        Stack::new().into(),
        Bump::new().slice(64 << 10).into(),
        Bump::new().grain(8).into(),
    ]
}

/// Small steps, so that there is much to refuse.
fn heap(kind: HeapPolicy, injection: Injection) -> Heap {
    let builder = Heap::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(4096));
    builder.headroom(Headroom::Off).inject(injection).policy(kind).build()
}

struct Live {
    block: NonNull<u8>,
    len: usize,
    byte: u8,
}

impl Live {
    fn check(&self) {
        // SAFETY: the block lives, and was filled.
        let bytes = unsafe { std::slice::from_raw_parts(self.block.as_ptr(), self.len) };
        assert!(bytes.iter().all(|&byte| byte == self.byte));
    }
}

/// A program of allocations, moves and frees that keeps going when it is refused; how often that was.
fn program(heap: &Heap) -> usize {
    let mut live: Vec<Live> = Vec::new();
    let (mut refusals, mut seed) = (0, 1u64);
    for step in 0..400usize {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let draw = (seed >> 33) as usize;
        let (size, byte) = (1 + draw % if draw.is_multiple_of(17) { 300_000 } else { 6000 }, step as u8);
        let before = heap.stats();
        let result = match draw % 5 {
            0 | 1 if live.len() > 3 => {
                let Live { block, .. } = live.swap_remove(draw % live.len());
                // SAFETY: nobody uses it.
                unsafe { heap.deallocate(block) }.expect("freeing takes nothing");
                continue;
            }
            2 if !live.is_empty() => {
                let at = draw % live.len();
                let old = &live[at];
                old.check();
                // SAFETY: nobody uses it.
                let moved = unsafe { heap.reallocate(old.block, size, 16) };
                if moved.is_ok() {
                    live.swap_remove(at);
                }
                moved
            }
            _ => heap.allocate(size, 16),
        };
        match result {
            Ok(block) => {
                // SAFETY: the block is as long.
                unsafe { block.write_bytes(byte, size) };
                live.push(Live { block, len: size, byte });
            }
            Err(error) => {
                let HeapError::OutOfMemory(error) = error else { panic!("{error:?}") };
                assert_eq!((error.cause(), error.requested()), (Cause::Injected, size));
                refusals += 1;
                let after = heap.stats();
                assert_eq!((after.live_blocks, after.live_bytes), (before.live_blocks, before.live_bytes));
            }
        }
        heap.check().unwrap();
    }
    live.iter().for_each(Live::check);
    for Live { block, .. } in live {
        // SAFETY: nobody uses it.
        unsafe { heap.deallocate(block) }.unwrap();
    }
    heap.check().unwrap();
    let stats = heap.stats();
    assert_eq!((stats.live_blocks, stats.live_bytes), (0, 0));
    assert!(stats.free_runs <= 1 && stats.largest_free_run == stats.free_bytes, "{stats:?}");
    refusals
}

#[test]
fn every_single_growth_may_be_refused() {
    for kind in kinds() {
        let willing = heap(kind, Injection::nth(u64::MAX));
        assert_eq!(program(&willing), 0);
        let commits = willing.stats().region.commits;
        // The first ones all, then some: a run is a while.
        for nth in (1..8.min(commits)).chain((8..commits).step_by(1 + commits as usize / 8)) {
            let refusals = program(&heap(kind, Injection::nth(nth)));
            // (A slice of `Bump` that is free may do instead.)
            let is_right = refusals == 1 || refusals == 0 && matches!(kind, HeapPolicy::Bump(_));
            assert!(is_right, "{kind:?}, refused the {nth}th of {commits}: {refusals}");
        }
    }
}

#[test]
fn a_heap_that_never_grows_again_goes_on() {
    for kind in kinds() {
        for most in [1, 3, 8] {
            let heap = heap(kind, Injection::after(most));
            let refusals = program(&heap);
            assert!((1..=400).contains(&refusals), "{kind:?}: {refusals}");
            assert_eq!(heap.stats().region.commits, most, "{kind:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn growth_is_refused_now_and_then(kind in 0usize..5, rate in 1_000u32..900_000, seed: u64) {
        let heap = heap(kinds()[kind], Injection::rate(rate, seed));
        program(&heap);
    }
}

#[test]
fn the_cause_is_the_regions() {
    for kind in kinds() {
        let fill = |heap: &Heap| loop {
            if let Err(HeapError::OutOfMemory(error)) = heap.allocate(5000, 16) {
                return error;
            }
        };
        let limited = Heap::builder().reserve(1 << 30).limit(1_000_001).policy(kind).build();
        let error = fill(&limited);
        assert_eq!((error.cause(), error.limit()), (Cause::RegionLimit, Some(1_000_001)), "{kind:?}");
        assert!(error.used() > 900_000 && limited.stats().used <= 1_000_001, "{error}");
        let short = Heap::builder().reserve(1 << 20).policy(kind).build();
        assert_eq!(fill(&short).cause(), Cause::ReservationExhausted);
        limited.check().unwrap();
        short.check().unwrap();
    }
}

#[test]
fn the_first_blocks_may_be_refused_too() {
    for kind in kinds() {
        let heap =
            Heap::builder().head(0).inject(Injection::nth(1).cause(Cause::SystemMemory)).policy(kind).build();
        let error = heap.allocate(100, 16).unwrap_err();
        assert!(
            matches!(&error, HeapError::OutOfMemory(error) if error.cause() == Cause::SystemMemory),
            "{error}"
        );
        assert!(error.to_string().ends_with("(injected)") && std::error::Error::source(&error).is_some());
        assert_eq!(heap.stats().live_blocks, 0);
        heap.check().unwrap();
        let block = heap.allocate(100, 16).unwrap();
        // SAFETY: the block is as long, and nobody uses it.
        unsafe {
            block.write_bytes(1, 100);
            heap.deallocate(block).unwrap();
        }
    }
}

/// What the machine has may allow a block, and not its margin.
fn a_margin_is_not_insisted_on() {
    let heap = Heap::builder().head(0).policy(Blocks::new().margin(64 << 20)).build();
    oom::set_process_limit(Some(oom::committed_bytes() + (1 << 20)));
    heap.allocate(100_000, 16).unwrap();
    assert!(heap.stats().used < 200_000);
    let error = heap.allocate(2 << 20, 16).unwrap_err();
    assert!(matches!(error, HeapError::OutOfMemory(error) if error.cause() == Cause::ProcessLimit));
}

#[test]
fn a_margin_that_cannot_be_had_is_left_out() {
    support::child("margin").assert_success();
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("margin", a_margin_is_not_insisted_on)];

#[test]
fn what_is_committed_beyond_a_limit_or_a_guard_is_not_handed_out() {
    let kinds: [HeapPolicy; 4] =
        [General::new().into(), Blocks::new().into(), Stack::new().into(), Bump::new().into()];
    for kind in kinds {
        for growth in [Growth::Upfront, Growth::Fixed(8 << 20)] {
            let plain = || Heap::builder().reserve(64 << 20).growth(growth).policy(kind);
            let guard = GuardPolicy::default().at(4 << 20..(4 << 20) + (64 << 10));
            for heap in [plain().limit(4 << 20).build(), plain().guard(guard).build()] {
                let mut count = 0;
                while let Ok(block) = heap.allocate(50_000, 16) {
                    // SAFETY: a block that was just allocated.
                    unsafe { block.write_bytes(1, 50_000) };
                    count += 1;
                }
                let used = heap.stats().used;
                assert!(count >= 20 && used <= 4 << 20, "{kind:?} {growth:?}: {count} blocks, {used} bytes");
                heap.check().unwrap();
            }
        }
    }
}
