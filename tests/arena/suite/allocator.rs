//! The `Allocator` trait over arenas and scopes, and collections that use it.

use super::kind::{self, Arena, Scope, builder, new};
use allocator_api2::alloc::{Allocator, Layout};
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use hashbrown::{DefaultHashBuilder, HashMap};
use std::ptr::NonNull;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Fills a block with a byte.
fn fill(block: NonNull<[u8]>, byte: u8) {
    // SAFETY: the tests fill blocks that the allocator just handed out.
    unsafe { block.cast::<u8>().write_bytes(byte, block.len()) };
}

/// Whether the first `len` bytes of a block are this byte.
fn holds(block: NonNull<[u8]>, len: usize, byte: u8) -> bool {
    // SAFETY: the block is live and its first `len` bytes were written.
    let bytes = unsafe { std::slice::from_raw_parts(block.cast::<u8>().as_ptr(), len) };
    bytes.iter().all(|&b| b == byte)
}

/// Runs a test of the trait over an arena and over a scope of a scope.
fn everywhere(test: impl Fn(&dyn Allocator, &dyn Fn() -> usize)) {
    let arena = new();
    test(&&arena, &|| arena.allocated_bytes());
    let mut arena = new();
    let mut root = arena.scope();
    let scope = root.scope();
    test(&&scope, &|| scope.allocated_bytes());
}

#[test]
fn the_last_block_grows_shrinks_and_goes_in_place() {
    everywhere(|alloc, used| {
        let block = alloc.allocate(layout(10, 1)).unwrap();
        fill(block, 1);
        assert_eq!((block.len(), used()), (10, 16));
        // SAFETY: one block, with the layout it has at each moment.
        unsafe {
            let grown = alloc.grow(block.cast(), layout(10, 1), layout(1000, 8)).unwrap();
            assert_eq!((grown.len(), used()), (1000, 1000));
            plain_eq!(grown.cast(), block.cast::<u8>(), "in place");
            assert!(holds(grown, 10, 1));
            let shrunk = alloc.shrink(grown.cast(), layout(1000, 8), layout(3, 1)).unwrap();
            assert_eq!((shrunk.len(), used()), (3, 8));
            plain_eq!(shrunk.cast(), block.cast::<u8>(), "in place");
            assert!(holds(shrunk, 3, 1));
            alloc.deallocate(shrunk.cast(), layout(3, 1));
        }
        assert_eq!(used(), 0);
    });
}

#[test]
fn other_blocks_are_copied_and_stay_until_the_end() {
    everywhere(|alloc, used| {
        let first = alloc.allocate(layout(16, 8)).unwrap();
        let second = alloc.allocate(layout(16, 8)).unwrap();
        fill(first, 1);
        fill(second, 2);
        // SAFETY: two blocks, with the layouts they have at each moment.
        unsafe {
            let grown = alloc.grow(first.cast(), layout(16, 8), layout(24, 8)).unwrap();
            assert_eq!(used(), 56);
            plain_eq!(grown.addr().get(), second.addr().get() + 16);
            assert!(holds(grown, 16, 1) && holds(second, 16, 2));
            let shrunk = alloc.shrink(second.cast(), layout(16, 8), layout(8, 8)).unwrap();
            assert_eq!((shrunk.len(), used()), (8, 56));
            plain_eq!(shrunk.addr(), second.addr(), "in place");
            assert!(holds(shrunk, 8, 2));
            alloc.deallocate(shrunk.cast(), layout(8, 8));
            assert_eq!(used(), 56, "not the last one: nothing happens");
            alloc.deallocate(grown.cast(), layout(24, 8));
            assert_eq!(used(), 32);
        }
    });
}

#[test]
fn a_new_alignment_moves_the_block_when_its_address_is_not_good_enough() {
    everywhere(|alloc, _| {
        alloc.allocate(layout(8, 8)).unwrap();
        let block = alloc.allocate(layout(64, 8)).unwrap();
        fill(block, 5);
        // SAFETY: one block, with the layout it has at each moment.
        unsafe {
            let grown = alloc.grow(block.cast(), layout(64, 8), layout(100, 4096)).unwrap();
            assert!(grown.addr().get().is_multiple_of(4096) && grown.len() == 100 && holds(grown, 64, 5));
            let next = alloc.allocate(layout(64, 64)).unwrap();
            fill(next, 6);
            let shrunk = alloc.shrink(next.cast(), layout(64, 64), layout(60, 65536)).unwrap();
            assert!(shrunk.addr().get().is_multiple_of(65536) && shrunk.len() == 60 && holds(shrunk, 60, 6));
            let good = alloc.shrink(shrunk.cast(), layout(60, 65536), layout(50, 4096)).unwrap();
            plain_eq!(good.addr(), shrunk.addr(), "in place");
            assert!(good.addr().get().is_multiple_of(4096) && good.len() == 50 && holds(good, 50, 6));
            assert!(holds(grown, 64, 5));
        }
    });
}

#[test]
fn blocks_of_no_size() {
    everywhere(|alloc, used| {
        let empty = alloc.allocate(layout(0, 128)).unwrap();
        assert!(empty.is_empty() && empty.addr().get().is_multiple_of(128) && used() == 0);
        // SAFETY: one block, with the layout it has at each moment.
        unsafe {
            alloc.deallocate(empty.cast(), layout(0, 128));
            let still = alloc.grow(empty.cast(), layout(0, 128), layout(0, 128)).unwrap();
            let grown = alloc.grow(still.cast(), layout(0, 128), layout(24, 128)).unwrap();
            assert!(grown.len() == 24 && grown.addr().get().is_multiple_of(128));
            let before = used();
            fill(grown, 1);
            let none = alloc.shrink(grown.cast(), layout(24, 128), layout(0, 1)).unwrap();
            assert!(none.is_empty() && used() == before - 24);
            // The next block begins where the empty one is; neither may disturb the other.
            let next = alloc.allocate(layout(8, 8)).unwrap();
            fill(next, 2);
            alloc.deallocate(none.cast(), layout(0, 1));
            let again = alloc.grow(none.cast(), layout(0, 1), layout(8, 8)).unwrap();
            fill(again, 3);
            assert!(holds(next, 8, 2));
        }
    });
}

#[test]
fn zeroed_blocks_are_zero_in_memory_that_was_used() {
    let mut arena = new();
    arena.alloc_slice_fill_copy(10_000, u8::MAX);
    arena.reset();
    let alloc = &arena;
    let zeroed = alloc.allocate_zeroed(layout(100, 1)).unwrap();
    assert!(holds(zeroed, 100, 0));
    fill(zeroed, 1);
    // SAFETY: one block, with the layout it has at each moment.
    unsafe {
        let grown = alloc.grow_zeroed(zeroed.cast(), layout(100, 1), layout(500, 1)).unwrap();
        let bytes = std::slice::from_raw_parts(grown.cast::<u8>().as_ptr(), 500);
        assert!(bytes[..100].iter().all(|&b| b == 1) && bytes[100..].iter().all(|&b| b == 0));
        alloc.allocate(layout(1, 1)).unwrap();
        let moved = alloc.grow_zeroed(grown.cast(), layout(500, 1), layout(501, 64)).unwrap();
        let bytes = std::slice::from_raw_parts(moved.cast::<u8>().as_ptr(), 501);
        assert!(bytes[..100].iter().all(|&b| b == 1) && bytes[100..].iter().all(|&b| b == 0));
    }
}

#[test]
fn memory_is_committed_before_it_is_handed_out() {
    let arena = new();
    let alloc = &arena;
    let block = alloc.allocate(layout(1 << 20, 1)).unwrap();
    plain!(arena.committed_bytes() >= 1 << 20);
    fill(block, 1);
    // SAFETY: one block, with the layout it has at each moment.
    let grown = unsafe { alloc.grow(block.cast(), layout(1 << 20, 1), layout(5 << 20, 1)).unwrap() };
    plain!(arena.committed_bytes() >= 5 << 20);
    fill(grown, 1);
    assert_eq!(arena.stats().faults, 0);
}

#[test]
fn no_memory_is_an_error_and_changes_nothing() {
    let arena = builder().limit(108).build();
    let alloc = &arena;
    alloc.allocate(layout(8, 8)).unwrap(); // so that the next one has no more alignment than it asked for
    let block = alloc.allocate(layout(64, 8)).unwrap();
    fill(block, 4);
    assert!(alloc.allocate(layout(64, 8)).is_err());
    assert!(alloc.allocate(layout(isize::MAX as usize, 1)).is_err());
    assert!(alloc.allocate_zeroed(layout(40, 1)).is_err());
    // SAFETY: one block, with the layout it has at each moment.
    unsafe {
        for new in [layout(101, 8), layout(65, 4096), layout(isize::MAX as usize - 7, 8)] {
            assert!(alloc.grow(block.cast(), layout(64, 8), new).is_err());
            assert!(alloc.grow_zeroed(block.cast(), layout(64, 8), new).is_err());
        }
        assert!(alloc.shrink(block.cast(), layout(64, 8), layout(8, 1 << 30)).is_err());
        assert_eq!(arena.allocated_bytes(), 72);
        arena.set_allocation_limit(Some(1));
        let shrunk = alloc.shrink(block.cast(), layout(64, 8), layout(32, 8)).unwrap();
        assert!(holds(shrunk, 32, 4), "to shrink needs no room, whatever the limit is by now");
        alloc.deallocate(shrunk.cast(), layout(32, 8));
    }
    assert_eq!(arena.allocated_bytes(), 8);
}

/// The contract of the trait forbids it, and it must do no harm all the same: a child that is handed its
/// parent's last block neither moves into the parent's memory nor lets the parent's block run into its own.
#[test]
fn a_child_never_resizes_an_ancestors_block_in_place() {
    let mut arena = new();
    let mut root = arena.scope();
    let parents = (&root).allocate(layout(32, 8)).unwrap();
    fill(parents, 7);
    for nested in [false, true] {
        let mut child = root.scope();
        let grandchild;
        let scope: &Scope<'_> = if nested {
            grandchild = child.scope();
            &grandchild
        } else {
            &child
        };
        let begin = scope.allocated_bytes();
        // SAFETY: the parent's block is live; the child only ever copies from it or leaves it alone.
        unsafe {
            scope.deallocate(parents.cast(), layout(32, 8));
            assert_eq!(scope.allocated_bytes(), begin, "not freed");
            let same = scope.shrink(parents.cast(), layout(32, 8), layout(8, 8)).unwrap();
            assert_eq!((same.len(), scope.allocated_bytes()), (8, begin), "not cut");
            plain_eq!(same.addr(), parents.addr(), "left where it is");
            assert!(holds(same, 8, 7));
            let copy = scope.grow(parents.cast(), layout(32, 8), layout(64, 8)).unwrap();
            assert_eq!(scope.allocated_bytes(), begin + 64, "copied to the child's own memory");
            assert_ne!(copy.addr(), parents.addr());
            plain_eq!(copy.addr().get(), parents.addr().get() + 32);
            fill(copy, 9);
            assert!(holds(parents, 32, 7));
            let mine = scope.grow(copy.cast(), layout(64, 8), layout(128, 8)).unwrap();
            assert_eq!(scope.allocated_bytes(), begin + 128, "its own last block it may grow");
            plain_eq!(mine.addr(), copy.addr(), "in place");
            fill(mine, 9);
        }
        assert!(holds(parents, 32, 7));
    }
}

#[test]
fn a_vector_alone_never_moves() {
    let arena = new();
    let mut numbers = Vec::new_in(&arena);
    numbers.push(0u64);
    let start = numbers.as_ptr();
    for n in 1..100_000u64 {
        numbers.push(n);
    }
    assert_eq!(arena.allocated_bytes(), numbers.capacity() * 8);
    plain_eq!(numbers.as_ptr(), start);
    assert!(numbers.iter().copied().eq(0..100_000));
    numbers.truncate(10);
    numbers.shrink_to_fit();
    assert_eq!(arena.allocated_bytes(), 80);
    plain_eq!(numbers.as_ptr(), start);
    assert!(numbers.iter().copied().eq(0..10));
    drop(numbers);
    assert_eq!(arena.allocated_bytes(), 0);
}

#[test]
fn vectors_beside_each_other_and_ordinary_allocations() {
    let mut arena = new();
    let mut root = arena.scope();
    let kept = root.alloc_str("kept");
    let scope = root.scope();
    let mut vectors: std::vec::Vec<Vec<u32, &Scope<'_>>> = (0..10).map(|_| Vec::new_in(&scope)).collect();
    for n in 0..20_000u32 {
        vectors[(n % 10) as usize].push(n);
        if n % 100 == 0 {
            scope.alloc(u64::MAX);
        }
    }
    for (i, vector) in vectors.iter().enumerate() {
        assert!(vector.iter().enumerate().all(|(k, &n)| n as usize == k * 10 + i));
    }
    let nested = Box::new_in(vectors.swap_remove(3), &scope);
    drop(vectors);
    assert_eq!((nested[5], &*kept), (53, "kept"));
}

#[test]
fn a_failing_initialiser_does_not_take_a_vectors_memory_back() {
    let arena = new();
    let mut numbers = Vec::new_in(&arena);
    for n in 0..1000u64 {
        let failed: Result<&mut [u64; 3], ()> = arena.alloc_try_with(|| {
            numbers.push(n);
            if n % 7 == 0 {
                numbers.shrink_to_fit();
            }
            Err(())
        });
        assert!(failed.is_err());
        arena.alloc(u64::MAX);
    }
    assert!(numbers.iter().copied().eq(0..1000));
}

#[test]
fn a_vector_that_is_freed_within_an_initialiser_or_an_iterator() {
    let arena = new();
    let kept = arena.alloc(1u64);
    let mut spare = Some(Vec::from_iter_in(0..10u64, &arena));
    let failed: Result<&mut u64, &mut str> = arena.alloc_try_with(|| {
        drop(spare.take());
        Err(arena.alloc_str("borrowed"))
    });
    let slice = arena.alloc_iter((0..100u64).map(|n| {
        let mut temporary = Vec::new_in(&arena);
        temporary.resize(n as usize, n);
        temporary.iter().sum::<u64>() + u64::from(temporary.is_empty())
    }));
    arena.alloc_slice_fill_copy(100, u64::MAX);
    assert_eq!((*kept, failed.unwrap_err()), (1, &mut *String::from("borrowed")));
    assert!(slice.iter().enumerate().all(|(i, &n)| n as usize == (i * i).max(1)));
}

trait FromIterIn<'a>: Sized {
    fn from_iter_in(iter: impl Iterator<Item = u64>, arena: &'a Arena) -> Self;
}

impl<'a> FromIterIn<'a> for Vec<u64, &'a Arena> {
    fn from_iter_in(iter: impl Iterator<Item = u64>, arena: &'a Arena) -> Self {
        let mut vector = Vec::new_in(arena);
        vector.extend(iter);
        vector
    }
}

#[test]
fn hash_maps() {
    fn exercise<A: Allocator + Clone>(alloc: A) {
        let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), alloc);
        for n in 0..10_000u64 {
            map.insert(n, [n; 3]);
        }
        map.retain(|n, _| n % 2 == 0);
        map.shrink_to_fit();
        assert_eq!(map.len(), 5000);
        assert!((0..10_000u64).all(|n| map.get(&n) == (n % 2 == 0).then_some(&[n; 3])));
    }
    let mut arena = new();
    exercise(&arena);
    let mut root = arena.scope();
    let kept = root.alloc_str("kept");
    exercise(&root.scope());
    assert_eq!(kept, "kept");
}
