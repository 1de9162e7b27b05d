//! What a shared arena does when there is no memory: `try_` calls change nothing, plain calls leave it full, and no
//! request is so large that anything wraps.

use crate::support;
use highwater::oom::Injection;
use highwater::{Cause, Growth, SharedArena};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::oom::text_of;

const KIB: usize = 1 << 10;

/// Runs a call that must panic for want of memory.
#[track_caller]
fn refused<R>(call: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(_) => panic!("there was memory"),
        Err(panic) => {
            let text = text_of(&*panic);
            assert!(text.contains("out of memory"), "{text}");
            text
        }
    }
}

fn small(limit: usize) -> SharedArena {
    SharedArena::builder().reserve(1 << 20).head(0).limit(limit).build()
}

#[test]
fn the_limit_is_exact_to_the_byte() {
    for limit in [8, 16, 100, 4096, 4104] {
        let arena = small(limit);
        let whole = limit & !7;
        assert!(arena.try_alloc_slice_fill_copy(whole + 1, 1u8).is_err());
        assert_eq!(arena.alloc_slice_fill_copy(whole, 1u8).len(), whole);
        assert_eq!((arena.allocated_bytes(), arena.remaining()), (whole, limit - whole));
        assert!(arena.try_alloc(1u8).is_err(), "padding counts");
        refused(|| *arena.alloc(1u8));
    }
}

/// An alignment above the minimum is no reason to refuse a block that fits.
#[test]
fn the_limit_is_exact_for_blocks_of_large_alignment() {
    #[derive(Clone, Copy)]
    #[repr(align(64))]
    struct Line([u8; 64]);
    for lines in 1..5 {
        let arena = small(lines * 64);
        for i in 0..lines {
            assert_eq!(arena.alloc(Line([i as u8; 64])).0, [i as u8; 64]);
        }
        assert!(arena.try_alloc(1u8).is_err());
        let arena = small(lines * 64);
        assert_eq!(arena.alloc_iter((0..lines).map(|_| Line([7; 64]))).len(), lines);
    }
}

#[test]
fn a_try_that_fails_changes_nothing() {
    let arena = small(1000);
    let kept = arena.alloc_slice_fill_copy(500, 1u8);
    let figures = || (arena.allocated_bytes(), arena.remaining(), arena.committed_bytes());
    let before = figures();
    let error = arena.try_alloc_slice_fill_copy(497, 2u8).unwrap_err();
    assert_eq!(error.cause(), Cause::RegionLimit);
    assert!(arena.try_alloc([0u64; 63]).is_err());
    assert!(arena.try_alloc_layout(Layout::from_size_align(8, 64 * KIB).unwrap()).is_err());
    assert!(arena.try_alloc_uninit_slice::<u64>(usize::MAX).is_err());
    assert!(arena.try_alloc_str(&"x".repeat(600)).is_err());
    assert!(arena.try_alloc_fmt(format_args!("{:600}", 1)).is_err());
    assert!(arena.try_alloc_iter(0..200u32).is_err());
    assert!(arena.try_alloc_box([0u8; 600]).is_err());
    assert_eq!(figures(), before);
    let local = arena.local();
    assert!(local.try_alloc_slice_fill_copy(497, 2u8).is_err());
    assert!(local.try_alloc_iter(0..200u32).is_err());
    drop(local); // and with it a part that it took for the first values
    assert_eq!(figures(), before);
    assert_eq!(arena.try_alloc_slice_fill_copy(496, 2u8).unwrap().len(), 496);
    assert!(kept.iter().all(|&n| n == 1));
}

#[test]
fn a_plain_call_that_fails_leaves_it_full_until_a_reset() {
    let mut arena = small(1000);
    let kept = arena.alloc_slice_fill_copy(100, 1u8);
    let text = refused(|| arena.alloc([0u8; 2000]).len());
    assert!(text.contains("2000"), "{text}");
    assert_eq!((arena.allocated_bytes(), arena.remaining()), (1000, 0));
    refused(|| *arena.alloc(1u8));
    assert!(arena.try_alloc(1u8).is_err());
    assert!(arena.local().try_alloc(1u8).is_err());
    refused(|| *arena.local().alloc(1u8));
    // What has no size needs none.
    arena.alloc(());
    assert!(kept.iter().all(|&n| n == 1));
    arena.reset();
    assert_eq!((arena.allocated_bytes(), arena.remaining()), (0, 1000));
    assert_eq!(arena.alloc([3u8; 1000]), &[3; 1000]);
}

#[test]
fn lifting_the_limit_goes_on_where_it_was() {
    let mut arena = small(1 << 20);
    arena.set_allocation_limit(Some(100));
    arena.alloc([1u8; 50]);
    refused(|| arena.alloc([1u8; 100]).len());
    let full = arena.allocated_bytes();
    assert!((100..=104).contains(&full));
    arena.set_allocation_limit(Some(40));
    assert_eq!((arena.allocated_bytes(), arena.remaining()), (full, 0));
    refused(|| *arena.alloc(1u8));
    assert!(arena.try_alloc(1u8).is_err());
    arena.set_allocation_limit(Some(200));
    assert_eq!(arena.alloc_slice_fill_copy(200 - full, 1u8).len(), 200 - full);
    refused(|| *arena.alloc(1u8));
    arena.set_allocation_limit(None);
    arena.alloc([1u8; 4096]);
}

/// All threads at once ask for more than there is, in every way that there is.
#[test]
fn absurd_requests_from_many_threads_wrap_nothing() {
    let mut arena = SharedArena::builder().reserve(1 << 20).head(0).build();
    let most = arena.remaining();
    let kept: Vec<&mut u64> = (0..100).map(|n| arena.alloc(n)).collect();
    let used = arena.allocated_bytes();
    let layouts = [
        Layout::from_size_align(isize::MAX as usize, 1).unwrap(),
        Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap(),
        Layout::from_size_align(isize::MAX as usize & !0xffff, 64 * KIB).unwrap(),
        Layout::from_size_align(8, 1 << 62).unwrap(),
    ];
    let absurd = || {
        for layout in layouts {
            assert!(arena.try_alloc_layout(layout).is_err());
            refused(|| arena.alloc_layout(layout));
        }
        for len in [usize::MAX, usize::MAX / 8 + 1, isize::MAX as usize / 8 + 1] {
            refused(|| arena.alloc_uninit_slice::<u64>(len).len());
            refused(|| arena.alloc_slice_fill_with(len, |_| 0u64).len());
            refused(|| arena.local().alloc_slice_fill_copy(len, 0u64).len());
            assert!(arena.try_alloc_slice_fill_default::<u64>(len).is_err());
        }
        assert!(arena.commit_ahead(usize::MAX).is_err());
    };
    std::thread::scope(|scope| (0..8).for_each(|_| _ = scope.spawn(|| (0..20).for_each(|_| absurd()))));
    assert_eq!(arena.allocated_bytes(), used, "too large to be added: nothing has changed");
    // The most that is added without looking, and what makes sums near it.
    let large = || {
        for size in [u32::MAX as usize & !7, u32::MAX as usize - 64, 1 << 30, most] {
            let layout = Layout::from_size_align(size, 1).unwrap();
            refused(|| arena.alloc_layout(layout));
            refused(|| arena.alloc_layout(layout.align_to(64).unwrap()));
            assert!(arena.try_alloc(1u8).is_err());
            assert_eq!(arena.remaining(), 0);
        }
    };
    refused(|| arena.alloc_slice_fill_copy(most, 0u8).len());
    std::thread::scope(|scope| (0..8).for_each(|_| _ = scope.spawn(|| (0..50).for_each(|_| large()))));
    assert_eq!((arena.allocated_bytes(), arena.remaining()), (most, 0));
    assert!(kept.iter().enumerate().all(|(i, n)| **n == i as u64));
    arena.reset();
    assert_eq!(*arena.alloc(1u8), 1);
}

/// Blocks of more than 4 GiB, which nobody touches.
#[test]
fn blocks_too_large_to_be_added() {
    const LARGE: usize = 5 << 30;
    if !support::has_faults() {
        return; // the other engines would commit them
    }
    let arena = SharedArena::builder().reserve(64 << 30).build();
    if arena.reserved_bytes() < 64 << 30 {
        return support::skip("no 64 GiB of address space");
    }
    // Whether there was room for a block that its initialiser never begins to fill.
    let untouched = |len| {
        let fill = || arena.alloc_slice_fill_with(len, |_| -> u8 { panic!("not even one") }).len();
        let panic = catch_unwind(AssertUnwindSafe(fill)).err()?;
        Some(text_of(&*panic) == "not even one")
    };
    let small = arena.alloc(1u64);
    assert_eq!(untouched(LARGE), Some(true));
    assert_eq!(arena.allocated_bytes(), 8, "a block whose filling panicked is given back");
    // One that failed is given back, here and through a thread's part.
    let used = arena.allocated_bytes();
    assert_eq!(arena.alloc_slice_try_fill_with(LARGE, |_| Err::<u8, _>(7)), Err(7));
    assert_eq!(arena.local().alloc_slice_try_fill_with(LARGE, |_| Err::<u8, _>(8)), Err(8));
    // Exactly what is added without looking, and one more.
    for len in [(1usize << 32) - 8, 1 << 32, (1 << 32) + 8] {
        assert_eq!(arena.alloc_slice_try_fill_with(len, |_| Err::<u8, _>(9)), Err(9));
        assert_eq!(arena.allocated_bytes(), used, "{len}");
    }
    // Many at once: as many succeed as there is room for, and one that fails changes nothing. Those that succeed keep
    // their block until all are there.
    const WORKERS: usize = 32;
    let (made, arrived) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let keep = |_| -> u8 {
                    made.fetch_add(1, SeqCst);
                    arrived.fetch_add(1, SeqCst);
                    while arrived.load(SeqCst) <= WORKERS {
                        std::thread::yield_now();
                    }
                    std::panic::resume_unwind(Box::new("not even one"))
                };
                let kept = catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_fill_with(LARGE, keep).len()));
                if text_of(&*kept.unwrap_err()) != "not even one" {
                    arrived.fetch_add(1, SeqCst);
                }
            });
        }
        while arrived.load(SeqCst) < WORKERS {
            std::thread::yield_now();
        }
        let made = made.load(SeqCst);
        let figures = (arena.allocated_bytes(), untouched(LARGE));
        arrived.fetch_add(1, SeqCst); // also where the figures are wrong: the others wait
        assert_eq!(made, (arena.reserved_bytes() - used) / LARGE);
        assert_eq!(figures, (used + made * LARGE, Some(false)));
    });
    assert_eq!(*small, 1);
    assert!(arena.committed_bytes() < 1 << 20, "nobody has touched them");
}

/// Every growth is refused once, in turn: a fallible call reports it and nothing has changed.
#[test]
fn a_refusal_in_every_growth_changes_nothing() {
    for n in 1..40 {
        let builder = SharedArena::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(16 * KIB));
        let arena = builder.inject(Injection::nth(n)).build();
        let local = arena.local();
        let mut kept: Vec<(usize, &mut [u8])> = Vec::new();
        let mut refusals = 0;
        for i in 0..60usize {
            let (used, left) = (arena.allocated_bytes(), local.remaining_in_part());
            let (size, fill) = (1000 + i * 100, i as u8);
            let through_part = i % 3 == 2;
            let made = match i % 3 {
                0 => arena.try_alloc_slice_fill_copy(size, fill),
                1 => arena.try_alloc_iter((0..size).map(|_| fill)),
                _ => local.try_alloc_slice_fill_copy(size, fill),
            };
            match made {
                Ok(block) => kept.push((i, block)),
                Err(error) => {
                    assert_eq!(error.cause(), Cause::Injected, "{error}");
                    refusals += 1;
                    if through_part {
                        // A part that was taken for it may be kept.
                        let in_part = local.remaining_in_part() - left.min(local.remaining_in_part());
                        assert!(arena.allocated_bytes() - used <= in_part + left, "lost in the part");
                    } else {
                        assert_eq!(arena.allocated_bytes(), used, "call {i}, refusal {n}");
                    }
                }
            }
        }
        assert!(refusals <= 1);
        // (An iterator's block that was to become twice as large is given what it needs instead.)
        for (i, block) in &kept {
            assert!(block.len() == 1000 + i * 100 && block.iter().all(|&byte| byte == *i as u8));
        }
        assert!(kept.len() + refusals == 60);
    }
}

/// Refusals drawn at random, with threads: whoever is refused has changed nothing for the others.
#[test]
fn refusals_among_threads_lose_nothing() {
    let builder = SharedArena::builder().reserve(256 << 20).head(0).growth(Growth::Fixed(16 * KIB));
    let arena = builder.inject(Injection::rate(200_000, 3)).build();
    let (refused, bytes): (usize, usize) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8u8)
            .map(|thread| {
                let arena = &arena;
                scope.spawn(move || {
                    let (mut refused, mut kept) = (0, Vec::new());
                    for i in 0..400usize {
                        match arena.try_alloc_slice_fill_copy(i * 8, thread) {
                            Ok(block) => kept.push(block),
                            Err(_) => refused += 1,
                        }
                    }
                    assert!(kept.iter().all(|block| block.iter().all(|&byte| byte == thread)));
                    (refused, kept.iter().map(|block| block.len()).sum::<usize>())
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    assert!(refused > 0);
    assert_eq!(arena.allocated_bytes(), bytes, "what was refused takes no room");
}

/// A hint that is wrong must not take what others need: it is no more than a guess.
#[test]
fn a_lying_hint_does_not_fill_the_arena() {
    struct Lying(std::iter::Once<u64>);
    impl Iterator for Lying {
        type Item = u64;

        fn next(&mut self) -> Option<u64> {
            self.0.next()
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (256, None)
        }
    }
    let mut arena = small(3072);
    for _ in 0..500 {
        std::thread::scope(|threads| {
            for n in 0..2u64 {
                let arena = &arena;
                threads.spawn(move || assert_eq!(arena.alloc_iter(Lying(std::iter::once(n))), [n]));
            }
        });
        assert!(arena.try_alloc(3u64).is_ok());
        arena.reset();
    }
}

/// Every call that makes values by something that panics, in short: see `arena_body/unwinding.rs`.
macro_rules! unwind_all {
    ($on:expr, $after:expr) => {{
        let half = |i: usize| if i == 5 { std::panic::resume_unwind(Box::new("made to")) } else { i as u64 };
        let calls: &[(&str, &dyn Fn())] = &[
            ("with", &|| _ = $on.alloc_with(|| half(5))),
            ("try with", &|| _ = $on.try_alloc_with(|| half(5))),
            ("with, which may fail", &|| _ = $on.alloc_try_with(|| -> Result<u64, ()> { Ok(half(5)) })),
            ("fill", &|| _ = $on.alloc_slice_fill_with(10, half)),
            ("try fill", &|| _ = $on.try_alloc_slice_fill_with(10, half)),
            ("fill, which may fail", &|| _ = $on.alloc_slice_try_fill_with(10, |i| Ok::<_, ()>(half(i)))),
            ("iter", &|| _ = $on.alloc_slice_fill_iter((0..10).map(half))),
            ("any iter", &|| _ = $on.alloc_iter((0..10).map(half))),
            ("large", &|| _ = $on.alloc_slice_fill_with(100_000, half)),
        ];
        for (name, call) in calls {
            assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
            $after(name);
        }
    }};
}

#[test]
fn what_was_being_made_is_taken_back() {
    let arena = SharedArena::new();
    let kept = arena.alloc(1u64);
    let used = arena.allocated_bytes();
    unwind_all!(arena, |name: &&str| assert_eq!(arena.allocated_bytes(), used, "{name}"));
    let local = arena.local();
    let first = local.alloc(2u64);
    let used = arena.allocated_bytes();
    let place = |value: &mut u64| std::ptr::from_mut(value).addr();
    unwind_all!(local, |name: &&str| assert_eq!(arena.allocated_bytes(), used, "{name}: of the arena"));
    assert_eq!(place(local.alloc(3)), place(first) + 8, "nor is there a hole in the part");
    assert_eq!((*kept, *first), (1, 2));
}
