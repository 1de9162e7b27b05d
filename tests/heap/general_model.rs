//! The general heap: many pages of a class, large blocks, what grows and what is given back. (`heap_model` has the
//! property test.)

use crate::heap_model;
use heap_model::{Call, Model, Order, Policy, Setup, Step};
use highwater::heap::{General, Heap, HeapError};

/// Many pages of one class, so that pages fill, are set aside, come back, empty and are given back.
#[test]
fn one_class_up_and_down() {
    for options in [0, 1] {
        // The byte says whether everything is checked; the others: roomy, and nothing is refused.
        let mut model = Model::new(Setup::read(Policy::General, [options, 6, 7, 7, 0, 0]), true);
        for round in 0..3 {
            for call in [
                Call::Burst { count: 5000, size: 48 },
                Call::FreeMany { count: 4500, order: Order::Random(round) },
                Call::Check,
            ] {
                model.step(Step { by: 0, call });
                model.compare();
            }
        }
        model.end();
    }
}

#[test]
fn large_blocks_extend_in_place() {
    let heap = Heap::builder().reserve(1 << 30).policy(General::new()).build();
    let first = heap.allocate(1 << 20, 16).unwrap();
    // SAFETY: live blocks, used here alone.
    unsafe {
        first.write_bytes(7, 1 << 20);
        assert_eq!(heap.reallocate(first, 8 << 20, 16), Ok(first), "the heap ends behind it");
        let behind = heap.allocate(4 << 20, 16).unwrap();
        assert_eq!(heap.reallocate(first, 2 << 20, 16), Ok(first), "shrunk where it is");
        assert_eq!(heap.reallocate(first, 6 << 20, 16), Ok(first), "a free run follows");
        heap.check().unwrap();
        let moved = heap.reallocate(first, 16 << 20, 16).unwrap();
        assert_ne!(moved, first, "something is in the way");
        assert!((0..1 << 20).all(|at| moved.add(at).read() == 7));
        assert_eq!(heap.stats().live_blocks, 2);
        heap.deallocate(moved).unwrap();
        heap.deallocate(behind).unwrap();
    }
    let stats = heap.stats();
    assert_eq!(
        (stats.free_runs, stats.free_bytes),
        (1, stats.largest_free_run),
        "joined with both neighbours"
    );
    heap.check().unwrap();
}

/// What is freed at the heap's end is used before it grows.
#[test]
fn the_heap_grows_from_a_trailing_free_run() {
    let heap = Heap::builder().reserve(64 << 20).policy(General::new()).build();
    let small = heap.allocate(1 << 20, 16).unwrap();
    let used = heap.stats().used;
    // SAFETY: a live block.
    unsafe { heap.deallocate(small) }.unwrap();
    let large = heap.allocate(3 << 20, 16).unwrap();
    assert_eq!(large, small);
    assert_eq!(heap.stats().used, used + (2 << 20));
}

#[test]
fn what_is_given_back_is_not_resident_and_zero_again() {
    let heap = Heap::builder().reserve(1 << 30).policy(General::new()).build();
    let block = heap.allocate(32 << 20, 16).unwrap();
    // SAFETY: a live block, and then a live block again.
    unsafe {
        block.write_bytes(7, 32 << 20);
        heap.deallocate(block).unwrap();
        // (Portable memory is the global allocator's: nothing of it can be given back.)
        assert_eq!(heap.trim(0) >= 32 << 20, !cfg!(highwater_portable));
        assert_eq!(heap.trim(0), 0, "there is no more");
        let again = heap.allocate(32 << 20, 16).unwrap();
        assert_eq!(again, block);
        if !cfg!(highwater_portable) {
            assert_eq!(again.add(12345).read(), 0);
        }
        again.write_bytes(8, 32 << 20);
    }
}

#[test]
fn sizes_that_no_object_has_are_refused() {
    let heap = Heap::builder().reserve(1 << 30).policy(General::new()).build();
    assert_eq!(heap.allocate(0, 16), Err(HeapError::ZeroSize));
    assert_eq!(heap.allocate(usize::MAX, 16), Err(HeapError::TooLarge { size: usize::MAX }));
    assert_eq!(heap.allocate(1, 3), Err(HeapError::Alignment { align: 3 }));
    let most = isize::MAX as usize - 15;
    for (size, align) in [(most, 16), (1 << 40, 16), ((1 << 30) + 1, 16), (1, 1 << 62), (1 << 29, 1 << 31)] {
        assert!(matches!(heap.allocate(size, align), Err(HeapError::OutOfMemory(_))), "{size} at {align}");
    }
    heap.check().unwrap();
    assert!(heap.allocate(100, 16).is_ok());
}
