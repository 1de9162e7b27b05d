//! Arenas of every kind.

use super::{Counted, MANY};
use highwater::{Arena, ArenaPool, DebugArena, SharedArena, arena_box, scratch};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn arena() {
    let mut arena = Arena::new();
    for round in 1..3 {
        {
            let mut words: Vec<&mut String> = (0..MANY).map(|n| arena.alloc(n.to_string())).collect();
            let bytes = arena.alloc_slice_fill_with(3 * MANY, |n| n as u8);
            let text = arena.alloc_str("text");
            let made = arena.alloc_fmt(format_args!("{} and {}", words[1], text));
            let collected = arena.alloc_iter((0..).take_while(|&n| n < MANY as u32));
            arena.alloc_uninit_slice::<u64>(3)[2].write(7);
            for word in &mut words {
                word.push('!');
            }
            bytes[1] = 9;
            made.make_ascii_uppercase();
            collected.reverse();
            assert_eq!(
                (words[1].as_str(), bytes[2], &*made, collected[0]),
                ("1!", 2, "1 AND TEXT", MANY as u32 - 1)
            );
            assert!(arena.alloc_try_with(|| "no".parse::<u64>()).is_err());
            assert!(
                catch_unwind(AssertUnwindSafe(|| arena.alloc_with(|| -> u8 { panic!("in the closure") })))
                    .is_err()
            );
            assert!(arena.contains(text.as_ptr()) && arena.allocated_bytes() > 4 * MANY);
            for word in words {
                // SAFETY: it is not used again.
                unsafe { std::ptr::drop_in_place(word) };
            }
        }
        let mark = arena.checkpoint();
        arena.alloc([round; 100]);
        // SAFETY: nothing refers to what came after the mark.
        unsafe { arena.reset_to(mark) };
        arena.reset();
        arena.trim(0);
    }
    // Over its first step, so that it grows with values in it.
    let first = arena.alloc(1u64);
    let large = arena.alloc_uninit_slice::<u8>(100 << 10);
    *first += u64::from(*large[(100 << 10) - 1].write(5));
    assert_eq!(*first, 6);
    assert!(format!("{arena:?}{:?}", arena.stats()).contains("committed"));
}

#[test]
fn debug_arena() {
    let mut arena = DebugArena::default();
    let kept = arena.alloc(1u32);
    let text = arena.alloc_str("debug");
    *kept += 1;
    assert_eq!((*kept, &*text), (2, "debug"));
    arena.reset();
    assert_eq!(arena.scoped(|scope| *scope.alloc(3)), 3);
}

#[test]
fn scope_and_frame() {
    let mut arena = Arena::new();
    let mut root = arena.scope();
    let kept = root.alloc_slice_fill_copy(MANY, 1u64);
    for round in 0..3 {
        let mut inner = root.scope();
        let temporary = inner.alloc(round);
        let frame = inner.frame::<24>();
        let (x, y) = (frame.alloc(round), frame.alloc(2u64));
        let after = inner.alloc(3u64);
        let innermost = inner.scoped(|scope| *scope.alloc_slice_copy(kept).last().unwrap());
        *x += *y + *temporary;
        kept[1] += *x + innermost + *after;
        assert_eq!((frame.try_alloc([0u64; 2]), frame.remaining()), (Err([0; 2]), 8));
    }
    assert_eq!((kept[0], kept[1]), (1, 1 + 3 * 6 + 6));
    let last = root.alloc(4u64);
    *last += kept[1];
}

#[test]
fn handle() {
    let mut arena = Arena::<1>::with_min_align();
    let rel = arena.scoped_branded(|branded| {
        let byte = branded.handle(branded.alloc(1u8));
        let cell = branded.handle(branded.alloc(Cell::new(2u64)));
        let slice = branded.slice_handle(branded.alloc_slice_fill_with(MANY, |n| n as u16));
        let text = branded.str_handle(branded.alloc_str("text"));
        branded.get(cell).set(u64::from(*branded.get(byte)) + u64::from(branded.slice(slice)[MANY - 1]));
        assert_eq!(*branded.get(slice.get(3).unwrap()), 3);
        assert_eq!((branded.get(cell).get(), branded.str(text)), (MANY as u64, "text"));
        let elsewhere: &'static u8 = &7;
        assert!(branded.try_handle(elsewhere).is_none());
        cell.rel()
    });
    arena.reset();
    let number = arena.alloc(5u32);
    let rel_of_number = arena.rel(number).unwrap();
    // SAFETY: the value is there still.
    assert_eq!(*unsafe { arena.resolve(rel_of_number) }, 5);
    assert_eq!(format!("{rel:?}"), "Rel(1)", "the byte is before it");
}

#[test]
fn boxed() {
    let drops = Cell::new(0);
    let arena = Arena::new();
    {
        let one = arena.alloc_box(Counted(&drops));
        let mut many = arena.alloc_box_iter((0..MANY).map(|_| Counted(&drops)));
        let three = arena.alloc_box([Counted(&drops), Counted(&drops), Counted(&drops)]).into_slice();
        let seen = arena_box!(arena.alloc_box(String::from("seen")) => dyn std::fmt::Display);
        many.swap(0, 1);
        drop(one);
        assert_eq!((drops.get(), three.len(), seen.to_string().as_str()), (1, 3, "seen"));
        let raw = arena.alloc_box(String::from("raw")).into_raw();
        // SAFETY: it came from a box of this type, whose arena lives.
        let again = unsafe { highwater::ArenaBox::from_raw(raw) };
        assert_eq!(again.into_inner(), "raw");
        let leaked = arena.alloc_box(1u64).leak();
        *leaked += 1;
    }
    assert_eq!(drops.get(), 1 + MANY + 3);
}

#[cfg(feature = "allocator-api2")]
#[test]
fn allocator() {
    use allocator_api2::{boxed::Box, vec::Vec};
    let shared = SharedArena::new();
    let local = shared.local();
    let mut arena = Arena::new();
    let scope = arena.scope();
    let mut one = Vec::new_in(&scope);
    let mut other = Vec::new_in(&shared);
    let mut third = Vec::new_in(&local);
    for n in 0..MANY {
        // In turn, so that each has to move, and alone, so that it grows in place.
        one.push(n.to_string());
        other.push(n);
        third.push(Box::new_in(n, &scope));
    }
    one.extend((0..MANY).map(|n| n.to_string()));
    one.truncate(3);
    one.shrink_to_fit();
    assert_eq!((one[2].as_str(), other[MANY - 1], *third[1]), ("2", MANY - 1, 1));
}

#[test]
fn shared() {
    let arena = &SharedArena::new();
    let monitor = arena.region().monitor();
    let numbers: Vec<&mut u64> = std::thread::scope(|threads| {
        let made = [0, 1, 2].map(|thread| {
            threads.spawn(move || {
                let local = arena.local();
                let own: Vec<&mut u64> = (0..MANY as u64).map(|n| local.alloc(n)).collect();
                let directly = arena.alloc_slice_fill_copy(MANY, thread);
                arena.alloc_uninit_slice::<u8>(20 << 10)[7].write(1);
                own.into_iter().chain(directly).collect::<Vec<_>>()
            })
        });
        assert!(format!("{arena:?}{:?}", monitor.stats()).contains("committed"));
        made.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let sum: u64 = numbers
        .into_iter()
        .map(|n| {
            *n += 1;
            *n
        })
        .sum();
    let each = (MANY * (MANY + 1) / 2) as u64;
    assert_eq!(sum, 3 * each + (1 + 2 + 3) * MANY as u64);
}

#[test]
fn pools() {
    let pool = &ArenaPool::default();
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                for n in 0..3 {
                    let arena = pool.get();
                    let text = arena.alloc_fmt(format_args!("{n}"));
                    let other = pool.scratch(&[&*arena]);
                    assert_eq!(other.alloc_str(text), text);
                }
            });
        }
    });
    pool.clear();
    let one = scratch(&[]);
    let other = scratch(&[&one]);
    let (a, b) = (one.alloc(1), other.alloc(2));
    std::mem::swap(a, b);
    assert_eq!((*a, *b), (2, 1));
}
