//! A small use of every container and allocator, for Miri (`.ci/deep`): each test keeps what it was given for as long as it
//! may, and uses it in turn with what comes later. That is where a wrong claim to memory would show, and what races.
//! Everywhere else these are ordinary tests.

use highwater::heap::{Blocks, Bump, General, Heap, Kind, Stack};
use highwater::{
    AppendVec, Arena, ArenaPool, DebugArena, GrowVec, SharedArena, SharedVec, arena_box, scratch,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const MANY: usize = if cfg!(miri) { 12 } else { 1_000 };

/// Counts its drops.
struct Counted<'c>(&'c Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

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
    assert!(!format!("{rel:?}").is_empty());
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
fn vectors() {
    let drops = Cell::new(0);
    let mut counted: GrowVec<Counted<'_>> = (0..MANY).map(|_| Counted(&drops)).collect();
    counted.drain(1..4);
    counted.remove(0);
    counted.insert(2, Counted(&drops));
    assert_eq!(drops.get(), 4);
    drop(counted);
    assert_eq!(drops.get(), MANY + 1);

    let mut vec: GrowVec<String> = GrowVec::new();
    vec.extend((0..MANY).map(|n| n.to_string()));
    let mut tail = vec.split_off(MANY / 2);
    vec.append(&mut tail);
    vec.retain(|text| text != "3");
    vec.dedup_by_key(|text| text.len());
    vec.resize_with(MANY, || "more".into());
    vec.swap_remove(1);
    vec.shrink_to_fit();
    let copy = vec.clone();
    let mut back = vec.into_iter();
    assert_eq!((back.next().as_deref(), back.next_back().as_deref()), (Some("0"), Some("more")));
    drop(back);
    assert_eq!(copy.len(), MANY - 1);

    let mut pinned = AppendVec::new();
    let first: &Cell<usize> = pinned.push_pinned(Cell::new(0));
    for n in 0..3_000 {
        pinned.push_pinned(Cell::new(n));
        first.set(first.get() + 1);
        if cfg!(miri) && n > MANY {
            break;
        }
    }
    let seen = pinned.as_slice();
    pinned.push_pinned(Cell::new(1));
    assert_eq!(seen[0].get(), seen.len() - 1);
    pinned.as_mut_slice()[0].set(1);
    assert_eq!(pinned.into_vec().into_iter().count(), if cfg!(miri) { MANY + 4 } else { 3_002 });
}

#[test]
fn shared_vector() {
    let vec: &SharedVec<String> = &SharedVec::new();
    std::thread::scope(|threads| {
        for thread in 0..3 {
            threads.spawn(move || {
                for n in 0..MANY {
                    let text = vec.push_pinned(format!("{thread} {n}"));
                    assert!(text.starts_with(&thread.to_string()));
                    assert!(vec.as_slice().iter().all(|text| text.len() > 2));
                    assert!(vec.len() <= 3 * MANY && !vec.is_empty());
                }
            });
        }
        assert!(format!("{vec:?}").starts_with('['));
    });
    assert_eq!(vec.len(), 3 * MANY);
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

fn heaps() -> impl Iterator<Item = Heap> {
    let kinds: [Kind; 5] = [
        General::new().into(),
        General::new().checked(true).into(),
        Blocks::new().into(),
        Stack::new().into(),
        Bump::new().slice(64 << 10).into(),
    ];
    kinds.into_iter().map(|kind| {
        Heap::builder().reserve(if cfg!(miri) { 4 << 20 } else { 256 << 20 }).policy(kind).build()
    })
}

/// A block that is full of its number.
struct Filled {
    block: NonNull<u8>,
    size: usize,
    number: u8,
}

// SAFETY: a block belongs to whoever has this.
unsafe impl Send for Filled {}

impl Filled {
    fn new(heap: &Heap, size: usize, number: usize) -> Self {
        let block =
            if number.is_multiple_of(3) { heap.allocate_zeroed(size, 16) } else { heap.allocate(size, 16) };
        let filled = Filled { block: block.unwrap(), size, number: number as u8 };
        // SAFETY: the block is as long.
        unsafe { filled.block.write_bytes(filled.number, size) };
        filled
    }

    fn resize(mut self, heap: &Heap, size: usize) -> Self {
        self.assert_whole(self.size.min(size));
        // SAFETY: a live block, and what is written is as long.
        unsafe {
            self.block = heap.reallocate(self.block, size, 16).unwrap();
            self.assert_whole(self.size.min(size));
            self.block.write_bytes(self.number, size);
            assert!(heap.usable_size(self.block).unwrap() >= size);
        }
        Filled { size, ..self }
    }

    #[track_caller]
    fn assert_whole(&self, size: usize) {
        // SAFETY: the block has these bytes, and nobody writes to them.
        let bytes = unsafe { NonNull::slice_from_raw_parts(self.block, size).as_ref() };
        assert!([bytes[0], bytes[size / 2], bytes[size - 1]].iter().all(|byte| *byte == self.number));
    }

    fn free(self, heap: &Heap) {
        self.assert_whole(self.size);
        // SAFETY: a live block, not used again.
        unsafe { heap.deallocate(self.block) }.unwrap();
    }
}

#[test]
fn heap() {
    for heap in heaps() {
        let sizes = [16, 200, 1_500, 5_000, 70_000];
        let mut blocks: Vec<_> =
            (0..MANY).map(|n| Filled::new(&heap, sizes[n % 5].min(1 << 12 << (n / 8 % 2 * 5)), n)).collect();
        for (index, size) in [(0, 40), (1, 3_000), (2, 8), (0, 64)] {
            let resized = blocks.remove(index).resize(&heap, size);
            blocks.insert(index, resized);
        }
        heap.check().unwrap();
        assert_eq!(heap.stats().live_blocks, MANY);
        for _ in 0..MANY / 2 {
            blocks.swap_remove(blocks.len() / 3).free(&heap);
        }
        heap.trim(0);
        blocks.extend((0..5).map(|n| Filled::new(&heap, 300, n)));
        heap.before_fork();
        heap.before_fork();
        blocks.pop().unwrap().free(&heap);
        // SAFETY: `before_fork` was called.
        unsafe { heap.after_fork(false) };
        blocks.into_iter().for_each(|block| block.free(&heap));
        heap.check().unwrap();
        assert_eq!(heap.stats().live_blocks, 0);
    }
}

/// What one thread allocates another frees, while the third one asks for figures.
#[test]
fn heap_of_threads() {
    for heap in &mut heaps().take(if cfg!(miri) { 1 } else { 5 }) {
        let (heap, is_over) = (&heap, &AtomicBool::new(false));
        let (sender, receiver) = std::sync::mpsc::channel::<Filled>();
        std::thread::scope(|threads| {
            threads.spawn(move || {
                for n in 0..3 * MANY {
                    sender.send(Filled::new(heap, 600 + n % 2 * 2_000, n)).unwrap();
                }
            });
            threads.spawn(move || {
                for block in receiver {
                    let own = Filled::new(heap, 600, 1);
                    block.free(heap);
                    own.free(heap);
                }
                is_over.store(true, Relaxed);
            });
            while !is_over.load(Relaxed) {
                assert!(heap.stats().live_blocks < 10 * MANY);
                heap.check().unwrap();
                std::thread::yield_now();
            }
        });
        heap.check().unwrap();
        assert_eq!(heap.stats().live_blocks, 0);
    }
}
