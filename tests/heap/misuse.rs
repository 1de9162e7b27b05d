//! Every mistake has its name, and changes nothing.

use highwater::heap::{Blocks, Bump, Fit, Heap, HeapError, HeapPolicy, Stack};
use highwater::{BuildError, Cause};
use std::ptr::NonNull;

fn kinds() -> [HeapPolicy; 4] {
    [
        Blocks::new().into(),
        Blocks::new().fit(Fit::First).margin(0).into(),
        Stack::new().into(),
        Bump::new().slice(64 << 10).into(),
    ]
}

fn heap(kind: HeapPolicy) -> Heap {
    Heap::builder().reserve(64 << 20).policy(kind).build()
}

fn address(block: NonNull<u8>) -> usize {
    block.as_ptr().addr()
}

/// An address some bytes from a block.
fn near(block: NonNull<u8>, bytes: isize) -> NonNull<u8> {
    NonNull::new(block.as_ptr().wrapping_offset(bytes)).unwrap()
}

fn free(heap: &Heap, block: NonNull<u8>) -> Result<(), HeapError> {
    // SAFETY: the tests use no block that they have freed.
    unsafe { heap.deallocate(block) }
}

/// Does what is wrong, by every call that can, and expects this error and no change.
#[track_caller]
fn refused(heap: &Heap, block: NonNull<u8>, is_expected: impl Fn(&HeapError) -> bool) {
    let before = heap.stats();
    // SAFETY: as above.
    let errors = unsafe {
        [
            heap.deallocate(block).unwrap_err(),
            heap.reallocate(block, 10, 1).unwrap_err(),
            heap.reallocate(block, 100_000, 64).unwrap_err(),
            heap.usable_size(block).unwrap_err(),
        ]
    };
    for error in errors {
        assert!(is_expected(&error), "{heap:?}: {error:?}");
        assert!(!error.to_string().contains('\n'));
    }
    assert_eq!(heap.stats(), before);
    heap.check().unwrap();
}

#[test]
fn arguments_that_no_block_can_have() {
    for kind in kinds() {
        let heap = heap(kind);
        let block = heap.allocate(100, 16).unwrap();
        let most = isize::MAX as usize;
        for (size, align, expected) in [
            (0, 16, HeapError::ZeroSize),
            (0, 3, HeapError::ZeroSize),
            (1, 0, HeapError::Alignment { align: 0 }),
            (1, 24, HeapError::Alignment { align: 24 }),
            (most + 1, 1, HeapError::TooLarge { size: most + 1 }),
            (usize::MAX, 1, HeapError::TooLarge { size: usize::MAX }),
            (most - 14, 16, HeapError::TooLarge { size: most - 14 }),
            (1, 1 << 63, HeapError::TooLarge { size: 1 }),
        ] {
            assert_eq!(heap.allocate(size, align), Err(expected.clone()));
            // SAFETY: nobody uses the block meanwhile.
            assert_eq!(unsafe { heap.reallocate(block, size, align) }, Err(expected));
        }
        for (size, align) in [(most, 1), (most - 15, 16), (1, 1 << 62), (64 << 20, 1)] {
            let error = heap.allocate(size, align).unwrap_err();
            let HeapError::OutOfMemory(error) = error else { panic!("{kind:?}: {error:?}") };
            assert_eq!((error.cause(), error.requested()), (Cause::ReservationExhausted, size));
        }
        heap.check().unwrap();
        free(&heap, block).unwrap();
    }
}

#[test]
fn a_block_is_freed_once() {
    for mut kind in kinds() {
        // (Of memory that was given back nothing is known.)
        if kind == Blocks::new().fit(Fit::First).margin(0).into() {
            kind = Blocks::new().fit(Fit::First).into();
        }
        let heap = heap(kind);
        let is_double =
            |block| move |error: &HeapError| *error == HeapError::DoubleFree { address: address(block) };
        // The only one, one between others, the last one, and all of them.
        let only = heap.allocate(100, 16).unwrap();
        free(&heap, only).unwrap();
        refused(&heap, only, is_double(only));
        let blocks: Vec<_> = (1..=40).map(|i| heap.allocate(i * 37, 16).unwrap()).collect();
        for i in [20, 39, 0, 21, 19] {
            free(&heap, blocks[i]).unwrap();
            refused(&heap, blocks[i], is_double(blocks[i]));
        }
        for (i, block) in blocks.iter().enumerate().filter(|(i, _)| ![20, 39, 0, 21, 19].contains(i)) {
            free(&heap, *block).unwrap_or_else(|error| panic!("{kind:?} {i}: {error}"));
        }
        blocks.iter().for_each(|&block| refused(&heap, block, is_double(block)));
        // A large one too.
        let large = heap.allocate(3 << 20, 16).unwrap();
        let behind = heap.allocate(16, 16).unwrap();
        free(&heap, large).unwrap();
        refused(&heap, large, is_double(large));
        free(&heap, behind).unwrap();
    }
}

#[test]
fn a_block_that_moved_is_gone() {
    for kind in kinds() {
        let heap = heap(kind);
        let [block, _above] = [100, 100].map(|size| heap.allocate(size, 16).unwrap());
        // SAFETY: nobody uses the block.
        let moved = unsafe { heap.reallocate(block, 20_000, 16) }.unwrap();
        assert_ne!(moved, block);
        refused(&heap, block, |error| *error == HeapError::DoubleFree { address: address(block) });
        free(&heap, moved).unwrap();
    }
}

#[test]
fn addresses_off_either_end() {
    for kind in kinds() {
        let heap = heap(kind);
        let elsewhere = Box::new([0u8; 64]);
        let on_the_heap_of_rust = NonNull::from(&*elsewhere).cast();
        let is_off =
            |error: &HeapError| matches!(error, HeapError::BelowHeap { .. } | HeapError::AboveHeap { .. });
        refused(&heap, NonNull::dangling(), |error| matches!(error, HeapError::BelowHeap { address: 1, .. }));
        refused(&heap, on_the_heap_of_rust, is_off);
        let block = heap.allocate(100, 16).unwrap();
        refused(&heap, on_the_heap_of_rust, is_off);
        refused(&heap, NonNull::dangling(), |error| matches!(error, HeapError::BelowHeap { .. }));
        for far in [-(8 << 20), -(1 << 30)] {
            refused(&heap, near(block, far), |error| matches!(error, HeapError::BelowHeap { .. }));
        }
        for far in [32 << 20, 1 << 30] {
            refused(&heap, near(block, far), |error| matches!(error, HeapError::AboveHeap { .. }));
        }
        let top = NonNull::new(std::ptr::without_provenance_mut(usize::MAX)).unwrap();
        refused(&heap, top, |error| matches!(error, HeapError::AboveHeap { .. }));
        free(&heap, block).unwrap();
    }
}

#[test]
fn addresses_inside_a_block() {
    for kind in kinds() {
        let heap = heap(kind);
        let sizes = [100, 5000, 40_000, 2 << 20];
        let blocks = sizes.map(|size| heap.allocate(size, 16).unwrap());
        for (block, size) in blocks.into_iter().zip(sizes) {
            for content in [0u8, 0xff, 0x55] {
                // SAFETY: the block has so many bytes.
                unsafe { block.write_bytes(content, size) };
                for inside in [1, 8, 15, 16, 32, 64, size - 1, size / 2] {
                    let expected =
                        HeapError::InsideBlock { address: address(block) + inside, block: address(block) };
                    refused(&heap, near(block, inside as isize), |error| *error == expected);
                }
            }
        }
        blocks.into_iter().for_each(|block| free(&heap, block).unwrap());
    }
}

#[test]
fn what_is_no_block_and_never_was() {
    for kind in kinds() {
        let heap = heap(kind);
        let blocks = [1000, 1000, 1000].map(|size| heap.allocate(size, 16).unwrap());
        free(&heap, blocks[1]).unwrap();
        for inside in [8, 40, 160, 999] {
            let no_block = near(blocks[1], inside);
            let is_named = |error: &HeapError| match (kind, error) {
                // What was freed on the stack keeps its place until the top comes down.
                (HeapPolicy::Stack(_), HeapError::InsideBlock { block, .. }) => *block == address(blocks[1]),
                (HeapPolicy::Stack(_), _) => false,
                (_, error) => *error == HeapError::NotABlock { address: address(no_block) },
            };
            refused(&heap, no_block, is_named);
        }
        free(&heap, blocks[0]).unwrap();
        free(&heap, blocks[2]).unwrap();
    }
}

#[test]
fn blocks_of_before_a_reset() {
    for kind in kinds() {
        let mut heap = heap(kind);
        let old: Vec<_> = (0..100).map(|i| heap.allocate(16 + i * 16, 16).unwrap()).collect();
        assert!(heap.reset());
        assert_eq!((heap.stats().live_blocks, heap.stats().live_bytes), (0, 0));
        heap.check().unwrap();
        // What stands in memory from before is nothing: neither in front of a block nor inside one.
        let first = heap.allocate(100_000, 16).unwrap();
        for &block in old.iter().filter(|&&block| block != first) {
            assert!(free(&heap, block).is_err(), "{kind:?}");
        }
        heap.check().unwrap();
        free(&heap, first).unwrap();
        assert_eq!(heap.stats().live_blocks, 0);
    }
}

#[test]
fn what_is_written_beside_a_block_is_found() {
    // Bumped blocks have nothing beside them.
    for kind in kinds().into_iter().filter(|kind| !matches!(kind, HeapPolicy::Bump(_))) {
        for (before, bytes) in [(false, 1), (false, 16), (true, 1), (true, 8), (true, 16)] {
            let heap = heap(kind);
            let blocks = [48, 48, 48].map(|size| heap.allocate(size, 16).unwrap());
            heap.check().unwrap();
            // SAFETY: the bytes are those of the heap's region; it shall see that they were changed.
            let usable = unsafe { heap.usable_size(blocks[1]) }.unwrap() as isize;
            let from = if before { near(blocks[1], -bytes) } else { near(blocks[1], usable) };
            for i in 0..bytes {
                // SAFETY: as above.
                unsafe { *near(from, i).as_ptr() ^= 0x41 };
            }
            let wrong = if before { blocks[1] } else { blocks[2] };
            let expected = address(wrong) - 16;
            let is_named = |error: &HeapError| matches!(error, HeapError::Corrupt { address, .. } if *address == expected);
            assert!(is_named(&heap.check().unwrap_err()), "{kind:?}");
            let error = free(&heap, wrong).unwrap_err();
            assert!(is_named(&error), "{kind:?}: {error:?}");
            assert!(error.to_string().starts_with("heap corrupted: a block's header at 0x"), "{error}");
        }
    }
}

#[test]
fn what_is_written_to_a_free_block_is_found() {
    for kind in [HeapPolicy::from(Blocks::new()), Blocks::new().fit(Fit::First).into()] {
        let heap = heap(kind);
        let blocks = [48; 9].map(|size| heap.allocate(size, 16).unwrap());
        for i in [1, 3, 5, 7] {
            free(&heap, blocks[i]).unwrap();
        }
        heap.check().unwrap();
        // SAFETY: the bytes are those of the heap's region; it shall see that they were changed.
        unsafe { blocks[3].write_bytes(0x41, 48) };
        assert!(matches!(heap.check(), Err(HeapError::Corrupt { .. })));
    }
}

#[test]
fn options_that_cannot_be_had() {
    let refused: [(HeapPolicy, usize); 6] = [
        (Stack::new().align(0).into(), 0),
        (Stack::new().align(24).into(), 24),
        (Stack::new().align(1 << 20).into(), 1 << 20),
        (Bump::new().grain(4).into(), 4),
        (Bump::new().slice(100_000).into(), 100_000),
        (Bump::new().slice(4096).into(), 4096),
    ];
    for (kind, named) in refused {
        let error = Heap::builder().policy(kind).try_build().unwrap_err();
        assert!(error.to_string().starts_with(&format!("{named} is no ")), "{error}");
        assert!(matches!(error, BuildError::Over(_)));
        let region = highwater::Region::builder().build();
        assert!(matches!(Heap::over(region, kind), Err(HeapError::Option { value, .. }) if value == named));
    }
}
