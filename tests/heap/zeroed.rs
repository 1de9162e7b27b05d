//! Blocks that are asked for with zeros in them.

use crate::support;
use highwater::heap::{Blocks, Bump, General, Heap, HeapError, HeapPolicy, Stack};
use std::ptr::NonNull;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("large and zeroed", large_and_zeroed)];

fn kinds() -> [HeapPolicy; 5] {
    [
        General::new().into(),
        General::new().checked(true).into(),
        Blocks::new().into(),
        Stack::new().into(),
        Bump::new().into(),
    ]
}

fn heap(kind: HeapPolicy) -> Heap {
    Heap::builder().reserve(1 << 30).policy(kind).build()
}

/// Whether a block is zero, after which it is not.
fn was_zero(block: NonNull<u8>, size: usize) -> bool {
    // SAFETY: the test's own block, of which all bytes are initialised.
    let bytes = unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), size) };
    let zero = bytes.iter().all(|byte| *byte == 0);
    bytes.fill(0xA5);
    zero
}

const SIZES: [usize; 12] =
    [1, 16, 100, 1024, 1025, 8 << 10, 65_536, 65_537, 100_000, 1 << 20, (1 << 20) + 4097, 9_000_001];

#[test]
fn memory_that_was_used_is_zero_again() {
    for kind in kinds() {
        let heap = heap(kind);
        for align in [1, 64, 4096, 1 << 17] {
            for round in 0..3 {
                for size in SIZES {
                    let block = heap.allocate_zeroed(size, align).unwrap();
                    assert!(was_zero(block, size), "{kind:?}: {size} at {align}, round {round}");
                    // SAFETY: a live block, freed once.
                    unsafe { heap.deallocate(block) }.unwrap();
                }
            }
        }
        heap.check().unwrap();
    }
}

#[test]
fn what_follows_a_used_run_at_the_end_of_the_heap_is_zero() {
    let heap = heap(General::new().into());
    for size in [100_000, 300_000, 2 << 20, 5 << 20, 5 << 20, 64 << 20] {
        let block = heap.allocate_zeroed(size, 16).unwrap();
        assert!(was_zero(block, size), "{size}");
        // SAFETY: a live block, freed once.
        unsafe { heap.deallocate(block) }.unwrap();
    }
}

#[test]
fn a_heap_in_a_file_is_zero_as_well() {
    use highwater::Backing;
    let dir = tempfile::tempdir().unwrap();
    let made = Heap::builder()
        .reserve(64 << 20)
        .backing(Backing::Temp(dir.path().into()))
        .policy(General::new())
        .try_build();
    // Where there are no files to map, there is nothing to test.
    let Ok(heap) = made else { return };
    for _ in 0..3 {
        let block = heap.allocate_zeroed(4 << 20, 16).unwrap();
        assert!(was_zero(block, 4 << 20));
        // SAFETY: a live block, freed once.
        unsafe { heap.deallocate(block) }.unwrap();
    }
}

#[test]
fn large_ones_take_no_memory() {
    if support::reserves() {
        support::child("large and zeroed").assert_success();
    }
}

/// Alone in a child: what is resident is a figure of the process.
fn large_and_zeroed() {
    let heap = heap(General::new().into());
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
    };
    let before = resident();
    let block = heap.allocate_zeroed(512 << 20, 16).unwrap();
    assert!(resident() < before + (64 << 20));
    // SAFETY: a live block, freed once.
    unsafe { heap.deallocate(block) }.unwrap();
}

#[test]
fn bad_requests_are_refused_as_without_zeros() {
    for kind in kinds() {
        let heap = heap(kind);
        assert_eq!(heap.allocate_zeroed(0, 16).unwrap_err(), HeapError::ZeroSize);
        assert_eq!(heap.allocate_zeroed(8, 3).unwrap_err(), HeapError::Alignment { align: 3 });
        assert_eq!(
            heap.allocate_zeroed(usize::MAX, 16).unwrap_err(),
            HeapError::TooLarge { size: usize::MAX }
        );
        assert!(matches!(heap.allocate_zeroed(2 << 30, 16), Err(HeapError::OutOfMemory(_))));
        assert_eq!(heap.stats().live_blocks, 0);
    }
}
