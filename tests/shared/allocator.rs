//! The Allocator trait over a shared arena and over threads' parts of one.
#![cfg(feature = "allocator-api2")]

use allocator_api2::alloc::Allocator;
use allocator_api2::vec::Vec as ArenaVec;
use hashbrown::HashMap;
use highwater::SharedArena;
use proptest::prelude::*;
use std::alloc::Layout;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::ptr::NonNull;

type Hasher = BuildHasherDefault<DefaultHasher>;

/// What is done to a vector, and to std's beside it.
#[derive(Clone, Debug)]
enum Call {
    Push(u32),
    Pop,
    Extend(Vec<u32>),
    Reserve(usize),
    ReserveExact(usize),
    Shrink,
    Truncate(usize),
    Insert(usize, u32),
    Remove(usize),
    Clone,
    Clear,
}

fn calls() -> impl Strategy<Value = Vec<(usize, Call)>> {
    let call = prop_oneof![
        6 => any::<u32>().prop_map(Call::Push),
        1 => Just(Call::Pop),
        3 => prop::collection::vec(any::<u32>(), 0..300).prop_map(Call::Extend),
        1 => (0usize..5000).prop_map(Call::Reserve),
        1 => (0usize..5000).prop_map(Call::ReserveExact),
        2 => Just(Call::Shrink),
        1 => (0usize..300).prop_map(Call::Truncate),
        1 => (any::<usize>(), any::<u32>()).prop_map(|(at, n)| Call::Insert(at, n)),
        1 => any::<usize>().prop_map(Call::Remove),
        1 => Just(Call::Clone),
        1 => Just(Call::Clear),
    ];
    prop::collection::vec((0usize..3, call), 0..60)
}

fn vectors<A: Allocator + Copy>(alloc: A, calls: &[(usize, Call)]) {
    let mut ours: [ArenaVec<u32, A>; 3] = std::array::from_fn(|_| ArenaVec::new_in(alloc));
    let mut std: [Vec<u32>; 3] = Default::default();
    for (which, call) in calls {
        let (ours, std) = (&mut ours[*which], &mut std[*which]);
        match call.clone() {
            Call::Push(n) => {
                ours.push(n);
                std.push(n);
            }
            Call::Pop => assert_eq!(ours.pop(), std.pop()),
            Call::Extend(more) => {
                ours.extend_from_slice(&more);
                std.extend(more);
            }
            Call::Reserve(more) => ours.reserve(more),
            Call::ReserveExact(more) => ours.reserve_exact(more),
            Call::Shrink => ours.shrink_to_fit(),
            Call::Truncate(len) => {
                ours.truncate(len);
                std.truncate(len);
            }
            Call::Insert(at, n) => {
                let at = at % (std.len() + 1);
                ours.insert(at, n);
                std.insert(at, n);
            }
            Call::Remove(at) if !std.is_empty() => {
                let at = at % std.len();
                assert_eq!(ours.remove(at), std.remove(at));
            }
            Call::Remove(_) => (),
            Call::Clone => *ours = ours.clone(),
            Call::Clear => {
                ours.clear();
                std.clear();
            }
        }
        assert_eq!(ours[..], std[..]);
    }
    assert!(ours.iter().zip(&std).all(|(ours, std)| ours[..] == std[..]));
}

fn maps<A: Allocator + Copy>(alloc: A, seed: u64) {
    let mut ours: HashMap<u64, ArenaVec<u64, A>, Hasher, A> =
        HashMap::with_hasher_in(Hasher::default(), alloc);
    let mut std: std::collections::HashMap<u64, Vec<u64>> = Default::default();
    let mut random = seed;
    for i in 0..3000 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let key = random >> 55;
        match (random >> 40) % 8 {
            0 => assert_eq!(ours.remove(&key).map(|list| list.to_vec()), std.remove(&key)),
            1 if i % 500 == 0 => {
                ours.shrink_to_fit();
                std.shrink_to_fit();
            }
            _ => {
                ours.entry(key).or_insert_with(|| ArenaVec::new_in(alloc)).push(i);
                std.entry(key).or_default().push(i);
            }
        }
    }
    assert_eq!(ours.len(), std.len());
    assert!(std.iter().all(|(key, list)| ours[key][..] == list[..]));
}

/// The same on several threads at once.
fn on_threads(job: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let job = &job;
            scope.spawn(move || job(thread));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn vectors_are_stds(calls in calls()) {
        let arena = SharedArena::builder().reserve(256 << 20).build();
        vectors(&arena, &calls);
        vectors(&arena.local(), &calls);
        let packed = SharedArena::<1>::from(highwater::Region::builder().reserve(256 << 20).build());
        vectors(&packed, &calls);
        vectors(&packed.local(), &calls);
    }

    #[test]
    fn vectors_of_threads_are_stds(calls in calls()) {
        let arena = SharedArena::builder().reserve(1 << 30).build();
        on_threads(|thread| {
            if thread % 2 == 0 {
                vectors(&arena, &calls);
            } else {
                vectors(&arena.local(), &calls);
            }
        });
    }
}

#[test]
fn maps_are_stds() {
    let arena = SharedArena::new();
    maps(&arena, 1);
    maps(&arena.local(), 2);
    on_threads(|thread| if thread % 2 == 0 { maps(&arena, thread) } else { maps(&arena.local(), thread) });
}

/// A vector that goes to another thread, grows there, and is freed there.
#[test]
fn vectors_cross_threads() {
    let arena = SharedArena::new();
    let mut vectors: Vec<ArenaVec<usize, &SharedArena>> = (0..8).map(|_| ArenaVec::new_in(&arena)).collect();
    for round in 0..20 {
        std::thread::scope(|scope| {
            for vector in &mut vectors {
                scope.spawn(move || vector.extend(round * 100..(round + 1) * 100));
            }
        });
        vectors.rotate_left(1);
    }
    assert!(vectors.iter().all(|vector| vector.iter().copied().eq(0..2000)));
    std::thread::scope(|scope| vectors.into_iter().for_each(|vector| _ = scope.spawn(move || drop(vector))));
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn fill(block: NonNull<[u8]>, byte: u8) {
    // SAFETY: the block is ours and committed.
    unsafe { block.cast::<u8>().write_bytes(byte, block.len()) };
}

fn holds(block: NonNull<[u8]>, len: usize, byte: u8) -> bool {
    // SAFETY: as above, and these bytes were filled.
    unsafe { std::slice::from_raw_parts(block.cast::<u8>().as_ptr(), len) }.iter().all(|&b| b == byte)
}

/// What one allocator promises of its last block, and of one that is not the last.
fn last_block(alloc: impl Allocator + Copy, used: impl Fn() -> usize) {
    let first = alloc.allocate(layout(100, 8)).unwrap();
    fill(first, 1);
    let start = used();
    let block = alloc.allocate(layout(100, 8)).unwrap();
    fill(block, 2);
    // SAFETY: the blocks are this allocator's, with the layouts that they have at that time.
    unsafe {
        let grown = alloc.grow(block.cast(), layout(100, 8), layout(3000, 8)).unwrap();
        assert_eq!((grown.cast::<u8>(), used()), (block.cast(), start + 3000));
        assert!(holds(grown, 100, 2));
        fill(grown, 3);
        let shrunk = alloc.shrink(grown.cast(), layout(3000, 8), layout(10, 8)).unwrap();
        assert_eq!((shrunk.cast::<u8>(), used()), (block.cast(), start + 16));
        let zeroed = alloc.grow_zeroed(shrunk.cast(), layout(10, 8), layout(2000, 8)).unwrap();
        assert_eq!(zeroed.cast::<u8>(), block.cast());
        assert!(holds(zeroed, 10, 3));
        let added = NonNull::slice_from_raw_parts(zeroed.cast::<u8>().add(10), 1990);
        assert!(holds(added, 1990, 0), "the bytes that held 3 are zero");
        // Another alignment, which the address may not have: then it moves.
        let aligned = alloc.grow(zeroed.cast(), layout(2000, 8), layout(2100, 4096)).unwrap();
        assert!(aligned.cast::<u8>().addr().get().is_multiple_of(4096) && holds(aligned, 10, 3));
        // Not the last: it moves, and the last one stays.
        let last = alloc.allocate(layout(50, 1)).unwrap();
        fill(last, 4);
        let moved = alloc.grow(first.cast(), layout(100, 8), layout(200, 8)).unwrap();
        assert!(moved.cast::<u8>() != first.cast::<u8>() && holds(moved, 100, 1) && holds(last, 50, 4));
        let before = used();
        let stays = alloc.shrink(last.cast(), layout(50, 1), layout(5, 1)).unwrap();
        assert_eq!((stays.cast::<u8>(), used()), (last.cast(), before));
        alloc.deallocate(stays.cast(), layout(5, 1));
        assert_eq!(used(), before, "not the last");
        alloc.deallocate(moved.cast(), layout(200, 8));
        assert_eq!(used(), before - 200);
    }
    // Of no size: nothing moves.
    let before = used();
    let nothing = alloc.allocate(layout(0, 64)).unwrap();
    assert_eq!((nothing.len(), used()), (0, before));
    // SAFETY: as above.
    unsafe {
        let something = alloc.grow(nothing.cast(), layout(0, 64), layout(8, 64)).unwrap();
        fill(something, 5);
        let nothing = alloc.shrink(something.cast(), layout(8, 64), layout(0, 1)).unwrap();
        alloc.deallocate(nothing.cast(), layout(0, 1));
    }
}

#[test]
fn the_last_block_is_resized_in_place() {
    let arena = SharedArena::new();
    last_block(&arena, || arena.allocated_bytes());
    let local = arena.local();
    // Counted from the part's start, so that it falls as the rest grows.
    local.alloc(1u64);
    last_block(&local, || (1 << 30) - local.remaining_in_part());
}

/// A vector alone never moves, also where it needs more than a part.
#[test]
fn a_vector_alone_never_moves() {
    let arena = SharedArena::new();
    let mut numbers = ArenaVec::with_capacity_in(1, &arena);
    let start = numbers.as_ptr();
    numbers.extend(0..100_000u64);
    assert_eq!((numbers.as_ptr(), numbers.iter().sum::<u64>()), (start, 4_999_950_000));
    drop(numbers);
    assert_eq!(arena.allocated_bytes(), 0);
}

/// What was freed last is used again, and what was freed by others is not.
#[test]
fn memory_of_vectors_over_parts_is_used_again() {
    let arena = SharedArena::new();
    let local = arena.local();
    let kept = local.alloc([7u8; 100]);
    let start = local.remaining_in_part();
    for round in 0..10_000u32 {
        let mut numbers = ArenaVec::new_in(&local);
        numbers.extend([round; 50]);
        assert!(numbers.iter().all(|&n| n == round));
    }
    assert_eq!((local.remaining_in_part(), *kept), (start, [7; 100]));
}

#[test]
fn no_memory_is_an_error_and_changes_nothing() {
    let arena = SharedArena::builder().reserve(1 << 20).limit(1000).build();
    let block = (&arena).allocate(layout(500, 8)).unwrap();
    fill(block, 9);
    // SAFETY: the block is this allocator's, with this layout.
    unsafe {
        assert!((&arena).grow(block.cast(), layout(500, 8), layout(1001, 8)).is_err());
        assert!((&arena).allocate(layout(501, 8)).is_err());
        assert_eq!(arena.allocated_bytes(), 504);
        let grown = (&arena).grow(block.cast(), layout(500, 8), layout(1000, 8)).unwrap();
        assert!(grown.cast::<u8>() == block.cast() && holds(grown, 500, 9));
    }
}
