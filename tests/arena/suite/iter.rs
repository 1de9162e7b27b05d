//! `alloc_iter`: slices of unknown length, built in place.

use super::kind::{self, builder, new};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Yields `has` numbers and claims `(says, None)`.
struct Liar {
    says: usize,
    has: u64,
}

impl Iterator for Liar {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.has = self.has.checked_sub(1)?;
        Some(self.has)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.says, None)
    }
}

#[test]
fn nothing_is_copied_when_nothing_else_allocates() {
    let arena = new();
    let mark = std::ptr::from_mut(arena.alloc(0u64)).addr();
    let slice = arena.alloc_iter((0..100_000u64).filter(|n| n % 3 == 0));
    plain_eq!(slice.as_ptr().addr(), mark + 8, "the slice begins right after the last block");
    assert!(slice.iter().enumerate().all(|(i, &n)| n == 3 * i as u64));
    assert_eq!(arena.allocated_bytes(), 8 + size_of_val(slice), "and nothing is left unused behind it");
    let next = std::ptr::from_mut(arena.alloc(0u64)).addr();
    plain_eq!(next, slice.as_ptr_range().end.addr(), "the next block begins where it ends");
}

#[test]
fn the_slice_moves_when_the_iterator_allocates() {
    let arena = new();
    let mark = std::ptr::from_mut(arena.alloc(0u64)).addr();
    let refs = arena.alloc_iter((0..1000u64).map(|n| &*arena.alloc(n)).filter(|n| **n % 2 == 0));
    assert_ne!(refs.as_ptr().addr(), mark + 8);
    let after = arena.alloc(u64::MAX);
    assert!(refs.iter().enumerate().all(|(i, n)| **n == 2 * i as u64));
    assert_eq!((refs.len(), *after), (500, u64::MAX));
}

#[test]
fn a_slice_with_room_left_stays_though_the_iterator_allocates() {
    let arena = new();
    let mark = std::ptr::from_mut(arena.alloc(0u64)).addr();
    // Four places are taken with the first value, so there is no growth after the iterator's allocation.
    let slice = arena.alloc_iter((0..4u64).filter(|_| true).inspect(|&n| {
        if n == 2 {
            arena.alloc(7u64);
        }
    }));
    plain_eq!(slice.as_ptr().addr(), mark + 8, "it begins right after the last block");
    assert_eq!((&*slice, arena.allocated_bytes()), (&[0, 1, 2, 3][..], 8 + 32 + 8));
}

#[test]
fn a_size_hint_may_lie_both_ways() {
    for says in [0, 1, 3, 4, 1000, 1 << 20, isize::MAX as usize, usize::MAX] {
        for has in [0, 1, 3, 1000, 20_000] {
            let arena = new();
            let slice = arena.alloc_iter(Liar { says, has });
            assert!(slice.iter().rev().copied().eq(0..has), "{says} {has}");
            let bytes = size_of_val(slice);
            assert_eq!(arena.allocated_bytes(), bytes, "{says} {has}");
        }
    }
}

#[test]
fn an_absurd_hint_is_not_held_against_the_limit() {
    let arena = builder().limit(100).build();
    let few = arena.alloc_iter(Liar { says: usize::MAX, has: 3 });
    let more = arena.try_alloc_iter(Liar { says: 1 << 15, has: 9 }).unwrap();
    assert_eq!((few.len(), more.len(), arena.remaining()), (3, 9, 4));
    assert!(arena.alloc_iter(Liar { says: usize::MAX, has: 0 }).is_empty());
}

#[test]
fn exactly_what_fits_fits() {
    let arena = builder().limit(13 * 8).build();
    assert_eq!(arena.alloc_iter(Liar { says: 0, has: 13 }).len(), 13);
    assert_eq!(arena.remaining(), 0);

    // Also when the slice has to move, and twice its length would not fit any more.
    let arena = builder().limit(4 * 8 + 8 + 5 * 8).build();
    let moved = arena.alloc_iter((0..5u64).filter(|_| true).inspect(|&n| {
        if n == 4 {
            arena.alloc(7u64);
        }
    }));
    assert_eq!((&*moved, arena.remaining()), (&[0, 1, 2, 3, 4][..], 0));
}

#[test]
fn an_iterator_that_does_not_fit_leaves_nothing_behind() {
    let arena = builder().limit(1 << 16).build();
    let kept = arena.alloc(1u8);
    let used = arena.allocated_bytes();
    let panicked = catch_unwind(AssertUnwindSafe(|| arena.alloc_iter(Liar { says: 0, has: 1 << 20 }).len()));
    assert!(panicked.unwrap_err().downcast::<String>().unwrap().contains("out of memory"));
    assert_eq!(arena.allocated_bytes(), used);
    for says in [0, 100, usize::MAX] {
        assert!(arena.try_alloc_iter(Liar { says, has: u64::MAX }).is_err());
        assert_eq!(arena.allocated_bytes(), used);
        assert!(arena.try_alloc_iter(std::iter::repeat_with(|| [0u128; 3])).is_err());
        assert_eq!(arena.allocated_bytes(), used, "padding included");
    }
    assert_eq!((*kept, arena.alloc_iter(0..3u8).len()), (1, 3));
}

#[test]
fn what_the_iterator_allocated_survives_its_failure() {
    let arena = builder().limit(4096).build();
    let mut last = None;
    let endless = std::iter::repeat_with(|| last.insert(arena.alloc_slice_copy(&[7u64; 20])).len());
    let failed = catch_unwind(AssertUnwindSafe(|| arena.try_alloc_iter(endless).is_err()));
    assert!(failed.is_err(), "the closure's own allocation is the one that panics");
    assert_eq!(last.unwrap(), &[7; 20]);
}

#[test]
fn a_panicking_iterator_leaves_nothing_behind() {
    let arena = new();
    let kept = arena.alloc_str("kept");
    let used = arena.allocated_bytes();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        arena.alloc_iter((0..100u64).inspect(|&n| assert!(n < 50, "made to"))).len()
    }));
    assert!(panicked.is_err());
    assert_eq!((&*kept, arena.allocated_bytes()), ("kept", used));
}

#[test]
fn values_without_a_size_and_values_of_some_size() {
    let arena = new();
    assert_eq!(arena.alloc_iter(std::iter::repeat_n((), 100_000)).len(), 100_000);
    assert_eq!(arena.allocated_bytes(), 0);
    let pages = arena.alloc_iter((0..100u8).map(|n| [n; 5000]));
    assert!(pages.iter().enumerate().all(|(i, page)| page.iter().all(|&n| usize::from(n) == i)));
    let wide = arena.alloc_iter((0..9u32).map(|n| Wide([n; 16])));
    assert!(wide.as_ptr().addr().is_multiple_of(64));
    assert!(wide.iter().enumerate().all(|(i, wide)| wide.0 == [i as u32; 16]));
    let strings = arena.alloc_iter(["a", "b"].map(String::from));
    assert_eq!(strings.iter_mut().map(std::mem::take).collect::<String>(), "ab");
}

#[repr(align(64))]
struct Wide([u32; 16]);
