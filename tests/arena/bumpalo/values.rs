//! Single values and strings.

use super::library::{AllocErr, AllocOrInitError, Bump, SAME_MEMORY};
use std::cell::{Cell, RefCell};

#[derive(Debug, PartialEq)]
struct Node<'b> {
    value: u32,
    next: Option<&'b Node<'b>>,
    marks: RefCell<Vec<u32>>,
}

#[test]
fn values_of_many_types_keep_what_was_written() {
    let bump = <Bump>::default();
    let byte = bump.alloc(1u8);
    let word = bump.alloc(2u64);
    let tuple = bump.alloc((3u16, "text", [4.5f64; 3]));
    let big = bump.alloc([6u32; 1000]);
    *byte += 1;
    *word += 1;
    big[999] = 7;
    assert_eq!((*byte, *word, tuple.0, tuple.1, tuple.2[2]), (2, 3, 3, "text", 4.5));
    assert_eq!((big[0], big[999]), (6, 7));
}

#[test]
fn values_refer_to_each_other() {
    let bump = <Bump>::default();
    let mut list: Option<&Node<'_>> = None;
    for value in 0..1000 {
        list = Some(bump.alloc(Node { value, next: list, marks: RefCell::new(Vec::new()) }));
    }
    let mut seen = 0;
    while let Some(node) = list {
        assert_eq!(node.value, 999 - seen);
        node.marks.borrow_mut().push(seen);
        seen += 1;
        list = node.next;
        std::mem::take(&mut *node.marks.borrow_mut());
    }
    assert_eq!(seen, 1000);
}

#[test]
fn alloc_with_makes_the_value_in_place() {
    let bump = <Bump>::default();
    assert_eq!(bump.alloc_with(|| [9u8; 4096])[4095], 9);
    let made: Result<&mut u32, AllocErr> = bump.try_alloc_with(|| 5);
    assert_eq!(*made.unwrap(), 5);
    let plain: Result<&mut u32, AllocErr> = bump.try_alloc(6);
    assert_eq!(*plain.unwrap(), 6);
}

#[test]
fn a_failed_initialiser_gives_its_space_back() {
    let bump = <Bump>::default();
    let first = std::ptr::from_mut(bump.alloc(1u64)).addr();
    let used = bump.allocated_bytes();
    for _ in 0..10 {
        let failed: Result<&mut [u64; 4], &str> = bump.alloc_try_with(|| Err("no"));
        assert_eq!(failed, Err("no"));
        let failed: Result<&mut [u64; 4], AllocOrInitError<&str>> = bump.try_alloc_try_with(|| Err("no"));
        assert!(matches!(failed, Err(AllocOrInitError::Init("no"))));
    }
    assert_eq!(bump.allocated_bytes(), used);
    let second = std::ptr::from_mut(bump.alloc(2u64)).addr();
    assert!(!SAME_MEMORY || first.abs_diff(second) == 8);
}

#[test]
fn a_good_initialiser_keeps_its_value() {
    let bump = <Bump>::default();
    let kept: Result<&mut u64, String> = bump.alloc_try_with(|| Ok(11));
    let also: Result<&mut u64, AllocOrInitError<String>> = bump.try_alloc_try_with(|| Ok(12));
    bump.alloc([0u64; 100]);
    assert_eq!((kept.map(|n| *n), *also.unwrap()), (Ok(11), 12));
}

#[test]
fn strings_are_copied() {
    let bump = <Bump>::default();
    let mut source = String::from("grüße");
    let copy = bump.alloc_str(&source);
    let tried = bump.try_alloc_str("").unwrap();
    source.clear();
    copy.make_ascii_uppercase();
    assert_eq!((&*copy, &*tried), ("GRüßE", ""));
}

#[test]
fn nothing_is_dropped() {
    struct Counts<'c>(&'c Cell<u32>);
    impl Drop for Counts<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Cell::new(0);
    let mut bump = <Bump>::default();
    bump.alloc(Counts(&dropped));
    bump.alloc_slice_fill_with(3, |_| Counts(&dropped));
    bump.reset();
    bump.alloc_with(|| Counts(&dropped));
    drop(bump);
    assert_eq!(dropped.get(), 0);
}

#[test]
fn reset_starts_over() {
    let mut bump = <Bump>::default();
    let first = std::ptr::from_mut(bump.alloc(1u64)).addr();
    let used = bump.allocated_bytes();
    for round in 0..100u64 {
        bump.reset();
        let value = bump.alloc(round);
        assert_eq!((*value, bump.allocated_bytes()), (round, used));
        assert!(!SAME_MEMORY || std::ptr::from_mut(value).addr() == first, "the same memory again");
    }
}

#[test]
fn an_arena_moves_to_another_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let bump = is_send(<Bump>::default());
    bump.alloc(1);
    let bump = std::thread::spawn(move || {
        assert_eq!(*bump.alloc(2), 2);
        bump
    })
    .join()
    .unwrap();
    assert_eq!(*bump.alloc(3), 3);
}

#[test]
fn errors_are_errors_and_everything_can_be_printed() {
    fn is_error<E: std::fmt::Display + std::fmt::Debug>() {}
    is_error::<AllocErr>();
    let bump = <Bump>::default();
    assert!(!format!("{bump:?}").is_empty());
    bump.set_allocation_limit(Some(0));
    let failed: Result<_, AllocOrInitError<AllocErr>> = bump.try_alloc_try_with(|| Ok([0u64; 100]));
    let error = failed.unwrap_err();
    assert!(matches!(error, AllocOrInitError::Alloc(_)));
    assert!(!error.to_string().is_empty() && !format!("{error:?}").is_empty());
    let from: AllocOrInitError<()> = bump.try_alloc([0u64; 100]).unwrap_err().into();
    assert!(matches!(from, AllocOrInitError::Alloc(_)));
}
