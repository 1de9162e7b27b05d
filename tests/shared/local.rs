//! A thread's part of a shared arena: what it takes, what it gives back, and that nothing is used twice.

use highwater::{LocalArena, SharedArena};
use std::alloc::Layout;
use std::panic::{AssertUnwindSafe, catch_unwind};

const KIB: usize = 1 << 10;
/// The first part, and the largest.
const FIRST: usize = 16 * KIB;
const LARGEST: usize = 1024 * KIB;

fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>().addr()
}

#[test]
fn it_takes_nothing_before_it_is_used() {
    let arena = SharedArena::new();
    arena.alloc(1u64);
    let local = arena.local();
    assert_eq!((arena.allocated_bytes(), local.remaining_in_part()), (8, 0));
    local.alloc(());
    local.alloc_slice_fill_with(1000, |_| ());
    drop(local);
    assert_eq!(arena.allocated_bytes(), 8);
}

#[test]
fn what_it_hands_out_outlives_it() {
    let arena = SharedArena::new();
    let mut words: Vec<(usize, &mut str)> = Vec::new();
    for round in 0..100 {
        let local = arena.local();
        words.extend((0..50).map(|i| (round * i, local.alloc_fmt(format_args!("word {}", round * i)))));
    }
    assert!(words.iter().all(|(n, word)| **word == format!("word {n}")));
    // Each gave its rest back, so that they lie side by side.
    let bytes: usize = words.iter().map(|(_, word)| word.len().next_multiple_of(8)).sum();
    assert_eq!(arena.allocated_bytes(), bytes);
}

#[test]
fn the_rest_is_given_back_only_when_it_is_last() {
    let arena = SharedArena::new();
    let local = arena.local();
    local.alloc(1u64);
    assert_eq!((arena.allocated_bytes(), local.remaining_in_part()), (FIRST, FIRST - 8));
    drop(local);
    assert_eq!(arena.allocated_bytes(), 8);
    let (one, other) = (arena.local(), arena.local());
    one.alloc(1u64);
    other.alloc(2u64);
    let used = arena.allocated_bytes();
    drop(one);
    assert_eq!(arena.allocated_bytes(), used, "another part lies after it");
    drop(other);
    assert_eq!(arena.allocated_bytes(), used - FIRST + 8);
}

#[test]
fn a_part_is_extended_where_nothing_came_after_it() {
    let arena = SharedArena::new();
    let local = arena.local();
    let first = address(local.alloc(0u64));
    // Far more than one part, one after the other.
    for i in 1..100_000u64 {
        assert_eq!(address(local.alloc(i)), first + 8 * i as usize);
    }
    drop(local);
    assert_eq!(arena.allocated_bytes(), 800_000);
}

#[test]
fn a_part_is_left_where_something_came_after_it() {
    let arena = SharedArena::new();
    let local = arena.local();
    let mut last = local.alloc_slice_fill_copy(FIRST / 8, 1u8);
    let mut parts = 1;
    for i in 0..2000 {
        let other = arena.alloc_slice_fill_copy(8, 2u8);
        let next = local.alloc_slice_fill_copy(1000, 3u8);
        if address(next) != address(last) + last.len() {
            parts += 1;
        }
        assert!(last.iter().all(|&n| n == 1 || n == 3) && other.iter().all(|&n| n == 2), "{i}");
        last = next;
    }
    assert!((4..20).contains(&parts), "{parts}: each is twice the one before, up to 1 MiB");
    assert!(local.remaining_in_part() < LARGEST);
}

#[test]
fn large_requests_go_past_the_part() {
    let arena = SharedArena::new();
    let local = arena.local();
    let small = address(local.alloc(1u64));
    let left = local.remaining_in_part();
    for size in [3 * LARGEST, FIRST, 100 * KIB] {
        let used = arena.allocated_bytes();
        let large = local.alloc_slice_fill_copy(size, 7u8);
        assert!(large.iter().all(|&n| n == 7));
        assert_eq!(local.remaining_in_part(), left, "the part is as it was");
        assert_eq!(arena.allocated_bytes(), used + size, "and nothing else was taken");
    }
    assert_eq!(address(local.alloc(2u64)), small + 8, "small ones go on where they were");
}

/// What failed to be made is given back, whether it lies in the part or past it.
#[test]
fn a_failed_initialiser_gives_its_block_back() {
    let arena = SharedArena::new();
    let local = arena.local();
    local.alloc(1u64);
    for len in [10usize, 1000, 100 * KIB, 10 << 20] {
        let (used, left) = (arena.allocated_bytes(), local.remaining_in_part());
        assert_eq!(local.alloc_slice_try_fill_with(len, |_| Err::<u64, _>(len)), Err(len));
        assert_eq!((arena.allocated_bytes(), local.remaining_in_part()), (used, left), "{len}");
    }
    // What the initialiser allocated may be borrowed by its error.
    let error = local.alloc_try_with(|| Err::<[u64; 10], _>(local.alloc_str("lives on"))).unwrap_err();
    local.alloc([0u8; 100]);
    assert_eq!(error, "lives on");
}

#[test]
fn alignments_of_every_size() {
    let arena = SharedArena::new();
    let local = arena.local();
    let mut blocks: Vec<(usize, usize)> = Vec::new();
    for round in 0..50 {
        for shift in 0..17 {
            let layout = Layout::from_size_align(1 + round * 7, 1 << shift).unwrap();
            let block = if round % 2 == 0 {
                local.alloc_layout(layout)
            } else {
                local.try_alloc_layout(layout).unwrap()
            };
            assert!(block.addr().get().is_multiple_of(1 << shift));
            blocks.push((block.addr().get(), layout.size()));
        }
    }
    blocks.sort_unstable();
    assert!(blocks.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "blocks overlap");
}

/// Formatting and iterators of unknown length build in place at the top of the part.
#[test]
fn texts_and_iterators() {
    let arena = SharedArena::new();
    let local = arena.local();
    let text = local.alloc_fmt(format_args!("{}-{:03}", "a", 7));
    let odd = local.alloc_iter((0..2000).filter(|n| n % 2 == 1));
    // More than a part, while the iterator allocates from it as well.
    let mixed = local.alloc_iter((0..50_000u32).map(|n| *local.alloc(n)));
    assert_eq!((&*text, odd.len(), mixed.len()), ("a-007", 1000, 50_000));
    assert!(odd.iter().enumerate().all(|(i, &n)| n == 2 * i as i32 + 1));
    assert!(mixed.iter().enumerate().all(|(i, &n)| n == i as u32));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        local.alloc_iter((0..1000).map(|n| if n < 900 { n } else { panic!("no more") })).len()
    }));
    assert!(panicked.is_err());
    assert_eq!((&*text, local.alloc_str("goes on")), ("a-007", &mut *String::from("goes on")));
}

#[test]
fn as_much_as_there_is_and_no_more() {
    let arena = SharedArena::builder().reserve(1 << 20).head(0).limit(100_001).build();
    let local = arena.local();
    let mut bytes = 0;
    while let Ok(block) = local.try_alloc_slice_fill_copy(1000, 1u8) {
        bytes += block.len();
    }
    while let Ok(value) = local.try_alloc(5u64) {
        bytes += size_of_val(value);
    }
    assert_eq!((bytes, arena.remaining(), local.remaining_in_part()), (100_000, 1, 0));
    assert!(catch_unwind(AssertUnwindSafe(|| *local.alloc(1u8))).is_err());
    assert_eq!(arena.remaining(), 1, "a part's failing call takes nothing from the others");
}

/// Two of them, one part after the other, dropped in either order, and blocks in between that come and go.
#[test]
fn parts_of_many_threads() {
    let mut arena = SharedArena::builder().reserve(1 << 30).build();
    for _ in 0..5 {
        let all: Vec<Vec<&mut [u32]>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8u32)
                .map(|thread| {
                    let arena = &arena;
                    scope.spawn(move || {
                        let mut local = arena.local();
                        (0..500)
                            .map(|i| {
                                if i % 50 == 49 {
                                    local = arena.local();
                                }
                                // Some fail, and give back.
                                _ = local.try_alloc_slice_try_fill_with(i * 3, |_| Err::<u64, _>(()));
                                local.alloc_slice_fill_copy(1 + i * 5 % 3000, thread << 16 | i as u32)
                            })
                            .collect()
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        for (thread, blocks) in all.iter().enumerate() {
            for (i, block) in blocks.iter().enumerate() {
                let number = (thread << 16 | i) as u32;
                assert!(block.len() == 1 + i * 5 % 3000 && block.iter().all(|&n| n == number));
            }
        }
        drop(all);
        arena.reset();
    }
}

/// It is sent while what it handed out stays.
#[test]
fn it_moves_to_another_thread() {
    let arena = SharedArena::new();
    let local: LocalArena<'_> = arena.local();
    let here = local.alloc_str("here");
    let there = std::thread::scope(|scope| scope.spawn(move || local.alloc_str("there")).join().unwrap());
    assert_eq!((&*here, &*there), ("here", "there"));
}
