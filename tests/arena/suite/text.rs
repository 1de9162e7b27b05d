//! Text: formatted in place, C strings.

use super::kind::{Arena, builder, new};
use highwater::Cause;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Allocates in the arena that it is formatted into, between its pieces.
struct Allocates<'a>(&'a Arena);

impl fmt::Display for Allocates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for n in 0..5 {
            let inner = self.0.alloc_fmt(format_args!("<{n}{}>", "-".repeat(n)));
            f.write_str(inner)?;
            inner.make_ascii_uppercase();
            self.0.alloc(u64::MAX);
        }
        Ok(())
    }
}

struct Fails;

impl fmt::Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("begun")?;
        Err(fmt::Error)
    }
}

/// Goes on after the writer failed, and hides it.
struct Deaf;

impl fmt::Display for Deaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in ["a", &"long".repeat(100), "b"] {
            let _ = f.write_str(piece);
        }
        Ok(())
    }
}

#[test]
fn the_text_is_what_format_makes() {
    let arena = new();
    let long = "word ".repeat(10_000);
    let texts = [
        (arena.alloc_fmt(format_args!("plain")), "plain".to_string()),
        (arena.alloc_fmt(format_args!("")), String::new()),
        (
            arena.alloc_fmt(format_args!("{:>8}|{:#x}|{:?}", 1, 255, "q")),
            format!("{:>8}|{:#x}|{:?}", 1, 255, "q"),
        ),
        (arena.alloc_fmt(format_args!("{long}{long}")), format!("{long}{long}")),
        (arena.try_alloc_fmt(format_args!("{}é{}", 1, 2)).unwrap(), "1é2".to_string()),
    ];
    for (text, expected) in texts {
        assert_eq!(text, expected.as_str());
    }
}

#[test]
fn text_takes_its_own_bytes_only() {
    let arena = Arena::<1>::with_min_align();
    let text = arena.alloc_fmt(format_args!("{}-{}", "a".repeat(100), 7));
    assert_eq!((text.len(), arena.allocated_bytes()), (102, 102));
}

#[test]
fn display_allocates_in_the_same_arena() {
    let arena = new();
    let text = arena.alloc_fmt(format_args!("[{}]{}", Allocates(&arena), "end"));
    let after = arena.alloc_str("after");
    assert_eq!(text, "[<0><1-><2--><3---><4---->]end");
    assert_eq!(after, "after");
}

#[test]
fn display_that_fails_panics_and_leaves_nothing_behind() {
    let arena = new();
    let kept = arena.alloc_str("kept");
    let used = arena.allocated_bytes();
    for plain in [true, false] {
        let panicked = catch_unwind(AssertUnwindSafe(|| match plain {
            true => arena.alloc_fmt(format_args!("{}{Fails}", 1)).len(),
            false => arena.try_alloc_fmt(format_args!("{}{Fails}", 1)).map_or(0, |text| text.len()),
        }));
        let message = *panicked.unwrap_err().downcast::<&str>().unwrap();
        assert!(message.contains("formatting trait implementation returned an error"), "{message}");
        assert_eq!(arena.allocated_bytes(), used);
    }
    assert_eq!((&*kept, &*arena.alloc_str("usable")), ("kept", "usable"));
}

#[test]
fn text_that_does_not_fit_is_an_error_and_leaves_nothing_behind() {
    let arena = builder().limit(64).build();
    arena.alloc(1u64);
    for _ in 0..3 {
        let error = arena.try_alloc_fmt(format_args!("{}{}", "x".repeat(40), "y".repeat(40))).unwrap_err();
        assert_eq!(error.cause(), Cause::RegionLimit);
        assert_eq!(arena.allocated_bytes(), 8);
    }
    assert_eq!(arena.try_alloc_fmt(format_args!("{}{}", "x".repeat(30), "y".repeat(26))).unwrap().len(), 56);
    assert_eq!(arena.remaining(), 0);
}

#[test]
fn text_with_a_hole_is_an_error_even_if_display_hides_it() {
    let arena = builder().limit(64).build();
    assert!(arena.try_alloc_fmt(format_args!("{Deaf}")).is_err());
    assert_eq!(arena.allocated_bytes(), 0);
    assert!(catch_unwind(AssertUnwindSafe(|| arena.alloc_fmt(format_args!("{Deaf}")).len())).is_err());
    assert_eq!(arena.allocated_bytes(), 0);
}

#[test]
fn text_that_grows_in_a_scope_stays_above_its_parent() {
    let mut arena = Arena::<1>::with_min_align();
    let mut root = arena.scope();
    let parents = root.alloc_str("parent");
    {
        let child = root.scope();
        let mut text = String::new();
        write!(text, "{:0>300}", 7).unwrap();
        assert_eq!(child.alloc_fmt(format_args!("{:0>300}", 7)), text.as_str());
        assert_eq!(child.alloc_fmt(format_args!("{}", 1)), "1");
    }
    assert_eq!(parents, "parent");
    assert_eq!(root.allocated_bytes(), 6);
}

#[test]
fn c_strings_keep_their_zero() {
    let arena = Arena::<1>::with_min_align();
    let copy = arena.alloc_cstr(c"name");
    let empty = arena.try_alloc_cstr(c"").unwrap();
    assert_eq!((copy, empty), (c"name", c""));
    assert_eq!(arena.allocated_bytes(), 6);
    // SAFETY: the terminating zero was copied too.
    assert_eq!(unsafe { copy.as_ptr().add(4).read() }, 0);
    let full = builder().limit(4).build();
    assert!(full.try_alloc_cstr(c"name").is_err());
    assert_eq!(full.allocated_bytes(), 0);
}
