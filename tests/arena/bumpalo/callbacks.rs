//! Closures and iterators that panic, allocate in the same arena, or lie about their length.

use super::library::{AllocOrInitError, Bump};
use super::panics;

/// An iterator that says it has `says` values and has `has`.
struct Liar {
    says: usize,
    has: usize,
}

impl Iterator for Liar {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.has = self.has.checked_sub(1)?;
        Some(self.has)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.says, Some(self.says))
    }
}

impl ExactSizeIterator for Liar {}

#[test]
fn a_panic_in_a_closure_leaves_the_arena_usable() {
    let bump = <Bump>::default();
    let kept = bump.alloc_slice_copy(&[1u64, 2, 3]);
    assert!(panics(|| bump.alloc_with(|| -> [u64; 8] { panic!("made to") })));
    assert!(panics(|| bump.alloc_try_with(|| -> Result<u64, ()> { panic!("made to") })));
    assert!(panics(|| bump.alloc_slice_fill_with(10, |i| if i == 5 { panic!("made to") } else { i })));
    assert!(panics(|| bump.try_alloc_with(|| -> u8 { panic!("made to") })));
    let after = bump.alloc_slice_copy(&[4u64, 5]);
    assert_eq!((&*kept, &*after), (&[1, 2, 3][..], &[4, 5][..]));
}

#[test]
fn a_panic_in_clone_leaves_the_arena_usable() {
    struct Fragile(u32);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 2, "made to");
            Fragile(self.0)
        }
    }
    let bump = <Bump>::default();
    assert!(panics(|| bump.alloc_slice_clone(&[Fragile(1), Fragile(2)])));
    assert_eq!(bump.alloc_slice_clone(&[Fragile(3)])[0].0, 3);
    assert!(panics(|| bump.alloc_slice_fill_clone(2, &Fragile(2))));
    assert_eq!(*bump.alloc(4), 4);
}

#[test]
fn closures_allocate_in_the_same_arena() {
    let bump = <Bump>::default();
    let outer = bump.alloc_with(|| (bump.alloc(1u64), bump.alloc_str("inside"), [7u8; 100]));
    let rows = bump.alloc_slice_fill_with(50, |i| bump.alloc_slice_fill_copy(i, i as u32));
    let all = bump.alloc_slice_fill_iter((0..20u32).map(|n| &*bump.alloc(n)));
    *outer.0 += 1;
    assert_eq!((*outer.0, &*outer.1, outer.2), (2, "inside", [7; 100]));
    assert!(rows.iter().enumerate().all(|(i, row)| row.len() == i && row.iter().all(|&n| n == i as u32)));
    assert!(all.iter().enumerate().all(|(i, n)| **n == i as u32));
}

#[test]
fn an_error_may_borrow_from_the_arena() {
    let bump = <Bump>::default();
    let failed: Result<&mut [u64; 4], &mut str> = bump.alloc_try_with(|| Err(bump.alloc_str("reason one")));
    let tried: Result<&mut [u64; 4], AllocOrInitError<&mut str>> =
        bump.try_alloc_try_with(|| Err(bump.alloc_str("reason two")));
    let filled = bump.alloc_slice_try_fill_with(3, |i| {
        if i < 2 { Ok(i as u64) } else { Err(bump.alloc_str("reason three")) }
    });
    // Whatever comes next must not lie on the errors.
    for _ in 0..10 {
        bump.alloc_slice_fill_copy(16, u64::MAX);
    }
    assert_eq!(failed.unwrap_err(), "reason one");
    assert!(matches!(tried, Err(AllocOrInitError::Init(text)) if text == "reason two"));
    assert_eq!(filled.unwrap_err(), "reason three");
}

#[test]
fn failing_closures_nest() {
    let bump = <Bump>::default();
    let kept = bump.alloc(1u64);
    let outer: Result<&mut u64, u64> = bump.alloc_try_with(|| {
        let inner: Result<&mut [u64; 2], ()> = bump.alloc_try_with(|| Err(()));
        assert!(inner.is_err());
        let good: Result<&mut u64, ()> = bump.alloc_try_with(|| Ok(5));
        Err(*good.unwrap())
    });
    bump.alloc([u64::MAX; 8]);
    assert_eq!((*kept, outer), (1, Err(5)));
}

#[test]
fn an_iterator_with_too_few_values_panics() {
    let bump = <Bump>::default();
    let kept = bump.alloc(1u64);
    assert!(panics(|| bump.alloc_slice_fill_iter(Liar { says: 10, has: 9 })));
    assert!(panics(|| bump.try_alloc_slice_fill_iter(Liar { says: 1, has: 0 })));
    assert_eq!((*kept, *bump.alloc(2)), (1, 2));
}

#[test]
fn an_iterator_with_too_many_values_is_cut() {
    let bump = <Bump>::default();
    let slice = bump.alloc_slice_fill_iter(Liar { says: 3, has: 10 });
    let none = bump.alloc_slice_fill_iter(Liar { says: 0, has: 10 });
    let after = bump.alloc(u64::MAX);
    assert_eq!((&*slice, none.len(), *after), (&[9, 8, 7][..], 0, u64::MAX));
}
