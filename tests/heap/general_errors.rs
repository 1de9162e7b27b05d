//! What the general heap says to pointers that are no live blocks of its.

use highwater::heap::{General, Heap, HeapError};
use std::ptr::NonNull;

fn heap(checked: bool) -> Heap {
    Heap::builder().name("errors").reserve(1 << 28).policy(General::new().checked(checked)).build()
}

fn free(heap: &Heap, block: NonNull<u8>) -> Result<(), HeapError> {
    // SAFETY: nothing in these tests uses a block that it frees.
    unsafe { heap.deallocate(block) }
}

fn inside(block: NonNull<u8>, bytes: usize) -> NonNull<u8> {
    // SAFETY: within the block.
    unsafe { block.add(bytes) }
}

const SIZES: [usize; 8] = [1, 16, 48, 1000, 5000, 20_000, 65_536, 1 << 20];

#[test]
fn double_frees_are_named_whenever_they_come() {
    for size in SIZES {
        let heap = heap(true);
        let [first, second] = [0; 2].map(|_| heap.allocate(size, 16).unwrap());
        free(&heap, first).unwrap();
        let twice = HeapError::DoubleFree { address: first.addr().get() };
        assert_eq!(free(&heap, first), Err(twice.clone()), "at once, {size}");
        free(&heap, second).unwrap();
        assert_eq!(free(&heap, first), Err(twice.clone()), "after another, {size}");
        // SAFETY: no live block, which is an error.
        unsafe {
            assert_eq!(heap.reallocate(first, 10, 16), Err(twice.clone()), "{size}");
            assert_eq!(heap.usable_size(first), Err(twice), "{size}");
        }
        heap.check().unwrap();
        let again = heap.allocate(size, 16).unwrap();
        free(&heap, again).unwrap();
    }
}

#[test]
fn pointers_into_blocks_are_named() {
    for size in SIZES.into_iter().filter(|&size| size > 16) {
        let heap = heap(true);
        let [_, block] = [0; 2].map(|_| heap.allocate(size, 16).unwrap());
        for bytes in [1, 8, 16, size / 2, size - 1] {
            let wrong =
                HeapError::InsideBlock { address: block.addr().get() + bytes, block: block.addr().get() };
            assert_eq!(free(&heap, inside(block, bytes)), Err(wrong), "{bytes} of {size}");
        }
        heap.check().unwrap();
        free(&heap, block).unwrap();
    }
}

#[test]
fn foreign_pointers_are_found_without_checks() {
    for checked in [false, true] {
        let heap = heap(checked);
        let block = heap.allocate(100, 16).unwrap();
        let mut local = 0u64;
        let foreign = [NonNull::from(&mut local).cast::<u8>(), NonNull::from(Box::leak(Box::new(7u8)))];
        for pointer in foreign {
            let error = free(&heap, pointer).unwrap_err();
            assert!(matches!(error, HeapError::BelowHeap { .. } | HeapError::AboveHeap { .. }), "{error}");
        }
        // In the region, behind all blocks.
        let behind = block.as_ptr().wrapping_add(1 << 27);
        assert!(heap.contains(behind));
        let error = free(&heap, NonNull::new(behind).unwrap()).unwrap_err();
        assert!(matches!(error, HeapError::AboveHeap { .. }), "{error}");
        free(&heap, block).unwrap();
    }
}

/// Without checks as well: what is no page of blocks takes the slow path anyhow.
#[test]
fn large_blocks_are_always_checked() {
    let heap = heap(false);
    let block = heap.allocate(1 << 20, 16).unwrap();
    let after = heap.allocate(1 << 20, 16).unwrap();
    let wrong = |bytes: usize| HeapError::InsideBlock {
        address: block.addr().get() + bytes,
        block: block.addr().get(),
    };
    assert_eq!(free(&heap, inside(block, 16)), Err(wrong(16)));
    assert_eq!(free(&heap, inside(block, 128 << 10)), Err(wrong(128 << 10)));
    free(&heap, block).unwrap();
    assert_eq!(free(&heap, block), Err(HeapError::DoubleFree { address: block.addr().get() }));
    free(&heap, after).unwrap();
    heap.check().unwrap();
}

#[test]
fn a_place_where_no_block_was_yet() {
    let heap = heap(false);
    let block = heap.allocate(5000, 16).unwrap();
    // The page has room for twelve blocks of 5120 bytes, of which four are carved at a time.
    let later = block.as_ptr().wrapping_add(5120 * 11);
    let heap = &heap;
    // Without checks what is no page of this thread's is looked at all the same.
    let error = std::thread::scope(|threads| {
        let at = std::sync::atomic::AtomicPtr::new(later);
        let other = threads.spawn(move || free(heap, NonNull::new(at.into_inner()).unwrap()).unwrap_err());
        other.join().unwrap()
    });
    assert_eq!(error, HeapError::NotABlock { address: later.addr() });
}

/// A write to a block that was freed damages what is in it, and `check` says so.
#[test]
fn damage_is_found() {
    let heap = heap(false);
    let blocks: Vec<_> = (0..100).map(|_| heap.allocate(64, 16).unwrap()).collect();
    blocks.iter().for_each(|&block| free(&heap, block).unwrap());
    heap.check().unwrap();
    // SAFETY: the memory is committed; that it is the heap's by now is what this is about.
    unsafe { blocks[50].cast::<usize>().write(0x1234_5678) };
    assert!(matches!(heap.check(), Err(HeapError::Corrupt { .. })));
}
