//! A closure that panics costs nothing: the space for what it was making is taken back, if nothing came after it. And going
//! back to a checkpoint never moves the position up.

#[cfg(feature = "allocator-api2")]
use super::kind;
use super::kind::{Arena, builder, new};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a call whose closure panics, without a message.
#[track_caller]
pub fn unwound<R>(call: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(|| drop(call()))).is_err(), "it panics");
}

pub fn panic() -> ! {
    resume_unwind(Box::new("made to"))
}

/// Clones and defaults of it panic.
#[derive(Debug)]
struct Fragile(#[expect(dead_code, reason = "it has a size")] [u64; 3]);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        panic()
    }
}

impl Default for Fragile {
    fn default() -> Self {
        panic()
    }
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Aligned(#[expect(dead_code, reason = "it has a size")] [u64; 9]);

/// Says that it has ten, has five, and panics instead of the sixth if it is to.
struct Short(usize, bool);

impl Iterator for Short {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 += 1;
        match self.0 {
            1..=5 => Some(self.0 as u64),
            _ if self.1 => panic(),
            _ => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (10, Some(10))
    }
}

impl ExactSizeIterator for Short {}

type Failing = Result<u64, ()>;

/// Every call that makes values, with something that panics.
macro_rules! unwind_all {
    ($on:expr, $after:expr) => {{
        let (on, after) = ($on, $after);
        let fragile = [Fragile([0; 3]), Fragile([1; 3])];
        let half = |i: usize| if i == 5 { panic() } else { i as u64 };
        let half_ok = |i: usize| -> Failing { Ok(half(i)) };
        let calls: &[(&str, &dyn Fn())] = &[
            ("with", &|| _ = on.alloc_with(|| -> [u64; 8] { panic() })),
            ("with, aligned", &|| _ = on.alloc_with(|| -> Aligned { panic() })),
            ("try with", &|| _ = on.try_alloc_with(|| -> u8 { panic() })),
            ("with, which may fail", &|| _ = on.alloc_try_with(|| -> Failing { panic() })),
            ("try with, which may fail", &|| _ = on.try_alloc_try_with(|| -> Failing { panic() })),
            ("fill", &|| _ = on.alloc_slice_fill_with(10, half)),
            ("try fill", &|| _ = on.try_alloc_slice_fill_with(10, half)),
            ("fill, which may fail", &|| _ = on.alloc_slice_try_fill_with(10, half_ok)),
            ("try fill, which may fail", &|| _ = on.try_alloc_slice_try_fill_with(10, half_ok)),
            ("clone", &|| _ = on.alloc_slice_clone(&fragile)),
            ("try clone", &|| _ = on.try_alloc_slice_clone(&fragile)),
            ("fill clone", &|| _ = on.alloc_slice_fill_clone(3, &fragile[0])),
            ("try fill clone", &|| _ = on.try_alloc_slice_fill_clone(3, &fragile[0])),
            ("default", &|| _ = on.alloc_slice_fill_default::<Fragile>(3)),
            ("try default", &|| _ = on.try_alloc_slice_fill_default::<Fragile>(3)),
            ("iter", &|| _ = on.alloc_slice_fill_iter(Short(0, true))),
            ("try iter", &|| _ = on.try_alloc_slice_fill_iter(Short(0, true))),
            ("iter, which may fail", &|| _ = on.alloc_slice_try_fill_iter(Short(0, true).map(Failing::Ok))),
            ("try iter, which may fail", &|| {
                _ = on.try_alloc_slice_try_fill_iter(Short(0, true).map(Failing::Ok))
            }),
            ("short iter", &|| _ = on.alloc_slice_fill_iter(Short(0, false))),
            ("try short iter", &|| _ = on.try_alloc_slice_fill_iter(Short(0, false))),
            ("short iter, which may fail", &|| {
                _ = on.alloc_slice_try_fill_iter(Short(0, false).map(Failing::Ok))
            }),
            ("try short iter, which may fail", &|| {
                _ = on.try_alloc_slice_try_fill_iter(Short(0, false).map(Failing::Ok))
            }),
            ("any iter", &|| _ = on.alloc_iter(Short(0, true))),
            ("try any iter", &|| _ = on.try_alloc_iter(Short(0, true))),
            ("boxed iter", &|| _ = on.alloc_box_iter(Short(0, true))),
            ("try boxed iter", &|| _ = on.try_alloc_box_iter(Short(0, true))),
        ];
        for (name, call) in calls {
            unwound(call);
            after(name);
        }
    }};
}

#[test]
fn what_was_being_made_is_taken_back() {
    let mut arena = new();
    arena.alloc(1u8); // so that an alignment costs padding
    let used = arena.allocated_bytes();
    unwind_all!(&arena, |name: &&str| assert_eq!(arena.allocated_bytes(), used, "{name}"));
    let scope = arena.scope();
    let used = scope.allocated_bytes();
    unwind_all!(&scope, |name: &&str| assert_eq!(scope.allocated_bytes(), used, "{name}"));
    let kept = scope.alloc_slice_copy(&[1u64, 2, 3]);
    unwind_all!(&scope, |_: &&str| assert_eq!(kept, [1, 2, 3]));
    // Over and over nothing is used up.
    let arena: Arena = builder().limit(64 << 10).build();
    for _ in 0..200 {
        unwound(|| arena.alloc_with(|| -> [u64; 1000] { panic() }).len());
        unwound(|| arena.alloc_slice_fill_with(1000, |i| if i == 999 { panic() } else { i as u64 }).len());
    }
    assert_eq!(arena.allocated_bytes(), 0);
}

/// What was allocated after it may have found its way out.
#[test]
fn what_the_closure_allocated_stays() {
    let arena = new();
    let escaped = std::cell::Cell::new(None);
    unwound(|| {
        arena.alloc_with(|| -> u64 {
            escaped.set(Some(arena.alloc_str("escaped")));
            panic()
        });
    });
    let words = std::cell::RefCell::new(Vec::new());
    unwound(|| {
        arena.alloc_slice_fill_with(10, |i| -> u64 {
            words.borrow_mut().push(arena.alloc(i));
            if i == 4 { panic() } else { 0 }
        });
    });
    arena.alloc_slice_fill_copy(1000, 0xffu8);
    assert_eq!(escaped.take().as_deref(), Some("escaped"));
    assert!(words.take().into_iter().map(|n| *n).eq(0..5));
}

#[test]
fn a_frames_closure_gives_back_too() {
    let mut arena = new();
    let scope = arena.scope();
    let frame = scope.frame::<24>();
    let first = frame.alloc(1u64);
    for _ in 0..10 {
        unwound(|| *frame.alloc_with(|| -> u64 { panic() }));
        assert_eq!(frame.remaining(), 16);
    }
    unwound(|| {
        *frame.alloc_with(|| -> u64 {
            frame.alloc(7u8);
            panic()
        })
    });
    assert_eq!((*first, frame.remaining()), (1, 7));
}

#[test]
fn going_back_never_goes_up() {
    let arena = new();
    arena.alloc(0u64);
    let outer = arena.checkpoint();
    arena.alloc([1u64; 10]);
    let inner = arena.checkpoint();
    // SAFETY: nothing that was allocated is used any more.
    unsafe { arena.reset_to(outer) };
    assert_eq!(arena.allocated_bytes(), 8);
    // The position is before that checkpoint, as after a last block that was shrunk.
    // SAFETY: as above.
    unsafe { arena.reset_to(inner) };
    assert_eq!(arena.allocated_bytes(), 8);
}

#[cfg(feature = "allocator-api2")]
#[test]
fn a_checkpoint_behind_a_block_that_shrinks() {
    use allocator_api2::vec::Vec;
    let arena = new();
    let mut bytes = Vec::with_capacity_in(1000, &arena);
    bytes.extend_from_slice(&[1u8; 10]);
    let checkpoint = arena.checkpoint();
    bytes.shrink_to_fit();
    let used = arena.allocated_bytes();
    plain_eq!(used, 16);
    let later = arena.alloc(2u32);
    assert_eq!(*later, 2);
    // SAFETY: what was allocated after the checkpoint is not used any more.
    unsafe { arena.reset_to(checkpoint) };
    assert!(arena.allocated_bytes() <= used + 8);
    assert_eq!(bytes, [1; 10]);
    drop(bytes);
    plain!(arena.allocated_bytes() <= used + 8);
}
