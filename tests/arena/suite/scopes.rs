//! Scopes, frames and checkpoints.

use super::kind::{self, Arena, Scope, builder, new};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>().addr()
}

#[test]
fn a_child_starts_where_its_parent_stands_and_gives_everything_back() {
    let mut arena = new();
    let mut root = arena.scope();
    let kept = root.alloc(1u64);
    let mut addresses = Vec::new();
    for round in 0..3u64 {
        let mut child = root.scope();
        let value = child.alloc(round);
        addresses.push(address(value));
        let grand = child.scope();
        let numbers = grand.alloc_slice_fill_copy(1000, round);
        plain_eq!(address(numbers), address(value) + 8);
        assert!(numbers.iter().all(|n| n == value) && *kept == 1);
        assert_eq!(grand.allocated_bytes(), 16 + 8000);
    }
    plain_eq!(addresses, [address(kept) + 8; 3], "the same bytes again");
    assert_eq!(root.allocated_bytes(), 8);
    assert_eq!(arena.allocated_bytes(), 0);
}

#[test]
fn a_scope_goes_on_after_what_the_arena_holds() {
    let mut arena = new();
    let first = address(arena.alloc(5u64));
    {
        let scope = arena.scope();
        let second = address(scope.alloc(6u64));
        assert_eq!(scope.allocated_bytes(), 16);
        plain_eq!(second, first + 8);
    }
    assert_eq!(arena.allocated_bytes(), 8);
    let second = address(arena.alloc(7u64));
    plain_eq!(second, first + 8);
}

#[test]
fn forgetting_or_leaking_a_scope_gives_everything_back_too() {
    let mut arena = new();
    let scope = std::mem::ManuallyDrop::new(arena.scope());
    scope.alloc([0u64; 10]);
    let scope = Box::new(arena.scope());
    scope.alloc([1u64; 10]);
    let _: *mut Scope<'_> = Box::into_raw(scope);
    assert_eq!(arena.allocated_bytes(), 0);
}

#[test]
fn a_panic_in_a_scope_unwinds_it() {
    let mut arena = new();
    let mut root = arena.scope();
    let kept = root.alloc_str("kept");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        root.scoped(|child| {
            child.alloc([0u64; 100]);
            panic!("made to")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((&*kept, root.allocated_bytes()), ("kept", 8));
}

#[test]
fn scoped_returns_what_does_not_borrow() {
    let mut arena = new();
    let sum = arena.scoped(|mut scope| {
        let numbers = scope.alloc_slice_fill_with(10, |i| i);
        let doubled =
            scope.scoped(|inner| inner.alloc_iter(numbers.iter().map(|n| n * 2)).iter().sum::<usize>());
        doubled + numbers.len()
    });
    assert_eq!((sum, arena.allocated_bytes()), (100, 0));
}

#[test]
fn a_function_returns_what_it_allocated_from_its_callers_scope() {
    fn pair<'a>(out: &mut Scope<'a>, n: u64) -> &'a mut [u64] {
        let result = out.alloc_slice_fill_copy(2, 0);
        let scratch = out.scope();
        let temporary = scratch.alloc_slice_fill_copy(100, n);
        result[0] = temporary.iter().sum();
        result[1] = n;
        result
    }
    let mut arena = new();
    let mut root = arena.scope();
    let (a, b) = (pair(&mut root, 1), pair(&mut root, 2));
    assert_eq!((&*a, &*b, root.allocated_bytes()), (&[100, 1][..], &[200, 2][..], 32));
}

#[test]
fn scopes_of_many_depths() {
    fn descend(parent: &mut Scope<'_>, depth: u64) -> u64 {
        if depth == 0 {
            return 0;
        }
        let mut scope = parent.scope();
        let mine = scope.alloc_slice_fill_copy((depth % 13) as usize + 1, depth);
        let below = descend(&mut scope, depth - 1) + descend(&mut scope, depth / 3);
        assert!(mine.iter().all(|&n| n == depth));
        below + 1
    }
    let mut arena = new();
    let mut root = arena.scope();
    assert!(descend(&mut root, 40) > 100);
    assert_eq!(root.allocated_bytes(), 0);
}

#[test]
fn a_scope_moves_to_another_thread_and_back() {
    let mut arena = new();
    let mut root = arena.scope();
    let kept = root.alloc(1u64);
    let child = root.scope();
    let (child, sent) = std::thread::scope(|threads| {
        threads
            .spawn(move || {
                let value = child.alloc_slice_fill_copy(100_000, 7u64);
                (child, value)
            })
            .join()
            .unwrap()
    });
    let after = child.alloc(8u64);
    assert_eq!((*kept, sent[99_999], *after), (1, 7, 8));
}

#[test]
fn frames_take_their_bytes_once_and_hand_them_out() {
    let mut arena = new();
    let scope = arena.scope();
    let frame = scope.frame::<24>();
    assert_eq!((scope.allocated_bytes(), frame.remaining()), (24, 24));
    let (a, b, c) = (frame.alloc(1u64), frame.alloc(2u32), frame.alloc_with(|| 3u64));
    assert_eq!((*a, *b, *c, frame.remaining()), (1, 2, 3, 0));
    assert_eq!(address(c), address(a) + 16);
    assert_eq!(frame.try_alloc(4u8), Err(4));
    assert_eq!(scope.allocated_bytes(), 24);
}

#[test]
fn odd_sizes_in_odd_places_are_aligned() {
    let mut arena = new();
    let scope = arena.scope();
    for _ in 0..5 {
        scope.alloc(1u8);
        let frame = scope.frame::<61>();
        assert_eq!(frame.remaining(), 64, "rounded up to the minimum alignment");
        let byte = frame.alloc(1u8);
        let short = frame.alloc(2u16);
        let odd = frame.alloc([3u8; 3]);
        let word = frame.alloc(4u32);
        let text = frame.alloc([5u8; 5]);
        let double = frame.alloc(6f64);
        let list = frame.alloc([7u16; 7]);
        assert!(address(short).is_multiple_of(2) && address(word).is_multiple_of(4));
        assert!(address(double).is_multiple_of(8) && address(list).is_multiple_of(2));
        let sum = u32::from(*byte) + u32::from(*short) + u32::from(odd[2]) + *word + u32::from(text[4]);
        assert_eq!((sum, *double, *list), (15, 6.0, [7; 7]));
    }
}

#[test]
fn a_frame_of_no_bytes_holds_values_of_no_size() {
    let mut arena = Arena::<1>::with_min_align();
    let scope = arena.scope();
    scope.alloc(1u8);
    let frame = scope.frame::<0>();
    assert_eq!((frame.remaining(), scope.allocated_bytes()), (0, 1));
    frame.alloc(());
    assert_eq!(frame.try_alloc(1u8), Err(1));
    let one = scope.frame::<1>();
    assert_eq!((one.alloc(9u8), one.remaining()), (&mut 9, 0));
    one.alloc(());
}

#[test]
fn a_frame_that_is_too_full_panics_and_stays_usable() {
    let mut arena = Arena::<4>::with_min_align();
    let scope = arena.scope();
    let frame = scope.frame::<10>();
    let first = frame.alloc(1u32);
    let panicked = catch_unwind(AssertUnwindSafe(|| *frame.alloc([0u32; 3])));
    let message = *panicked.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("frame out of memory"), "{message}");
    assert_eq!((*first, *frame.alloc(2u32), frame.remaining()), (1, 2, 4));
}

#[test]
fn a_frames_closure_uses_the_same_frame() {
    let mut arena = new();
    let scope = arena.scope();
    let frame = scope.frame::<64>();
    let outer = frame.alloc_with(|| (frame.alloc(1u64), frame.alloc(2u64)));
    let panicked = catch_unwind(AssertUnwindSafe(|| frame.alloc_with(|| -> u64 { panic!("made to") })));
    assert!(panicked.is_err());
    *outer.0 = 5;
    assert_eq!((*outer.0, *outer.1, *frame.alloc(3u64)), (5, 2, 3));
}

#[test]
fn frames_beyond_the_limit() {
    let mut arena = builder().limit(100).build();
    let scope = arena.scope();
    assert!(scope.try_frame::<101>().is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| scope.frame::<104>().remaining())).is_err());
    assert!(scope.try_frame::<{ isize::MAX as usize - 7 }>().is_err());
    assert!(
        catch_unwind(AssertUnwindSafe(|| scope.frame::<{ isize::MAX as usize - 7 }>().remaining())).is_err()
    );
    assert_eq!(scope.allocated_bytes(), 0);
    assert_eq!(*scope.try_frame::<96>().unwrap().alloc([7u64; 12]), [7; 12]);
}

#[test]
fn frames_of_a_child_return_with_it() {
    let mut arena = new();
    let mut root = arena.scope();
    let mut seen = Vec::new();
    for n in 0..3u64 {
        let child = root.scope();
        let frame = child.frame::<16>();
        let value = frame.alloc(n);
        assert_eq!((*value, child.allocated_bytes()), (n, 16));
        seen.push(address(value));
    }
    plain_eq!(seen, [seen[0]; 3], "the same bytes again");
    assert_eq!(root.allocated_bytes(), 0);
}

#[test]
fn a_checkpoint_is_a_place_to_go_back_to() {
    let arena = new();
    let kept = arena.alloc(1u64);
    let outer = arena.checkpoint();
    let first = address(arena.alloc(2u64));
    let inner = arena.checkpoint();
    arena.alloc([3u64; 1000]);
    // SAFETY: neither the array nor what came after the first checkpoint is used any more.
    unsafe {
        arena.reset_to(inner);
        assert_eq!(arena.allocated_bytes(), 16);
        arena.reset_to(outer);
    }
    let again = address(arena.alloc(4u64));
    assert_eq!((*kept, arena.allocated_bytes()), (1, 16));
    plain_eq!(again, first, "the same bytes again");

    let mut arena = new();
    let scope = arena.scope();
    let start = scope.checkpoint();
    scope.alloc_str("gone");
    // SAFETY: the text is not used any more.
    unsafe { scope.reset_to(start) };
    assert_eq!(scope.allocated_bytes(), 0);
}
