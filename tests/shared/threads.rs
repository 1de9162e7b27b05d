//! More threads than cores on one arena, with growth in the middle: every block is filled with a pattern of its own
//! and verified when all are done.

use highwater::{Growth, LocalArena, SharedArena};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const KIB: usize = 1 << 10;

/// Blocks that one thread was given, each with the number that fills it.
type Blocks<'a> = Vec<(u64, &'a mut [u64])>;

/// A sequence that has no period worth mentioning.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }
}

/// More than there are processors, at least eight.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(8, |n| (4 * n.get()).clamp(8, 32))
}

/// No two blocks share a byte, and each has what was written to it.
#[track_caller]
fn verify(all: &[Blocks<'_>]) {
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (number, block) in all.iter().flatten() {
        assert!(block.iter().all(|n| n == number), "a block was written to by somebody else");
        let start = block.as_ptr().addr();
        places.push((start, start + size_of_val(*block)));
    }
    places.sort_unstable();
    assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0), "blocks overlap");
}

/// One block, by a call that `random` chooses.
fn any_block<'a, const M: usize>(
    arena: &'a SharedArena<M>,
    local: &LocalArena<'a, M>,
    random: &mut Random,
    number: u64,
) -> &'a mut [u64] {
    let len = 1 + if random.below(50) == 0 { random.below(8000) } else { random.below(60) };
    match random.below(8) {
        0 => arena.alloc_slice_fill_copy(len, number),
        1 => arena.try_alloc_slice_fill_copy(len, number).unwrap(),
        2 => std::slice::from_mut(arena.alloc(number)),
        3 => arena.alloc_iter((0..len).filter(|i| i % 2 == 0).map(|_| number)),
        4 => std::slice::from_mut(arena.alloc_try_with(|| Ok::<_, ()>(number)).unwrap()),
        5 => {
            // A failed initialiser in between, whose block is given back if it is the last.
            assert_eq!(
                arena.alloc_slice_try_fill_with(len, |i| if i + 1 < len { Ok(0u64) } else { Err(i) }),
                Err(len - 1)
            );
            local.try_alloc_slice_fill_copy(len, number).unwrap()
        }
        6 => local.alloc_iter((0..len).map(|_| number)),
        _ => local.alloc_slice_fill_copy(len, number),
    }
}

fn stress<const M: usize>(growth: Growth) {
    let builder = SharedArena::builder().min_align::<M>().reserve(1 << 30).head(0);
    let mut arena = builder.growth(growth).build();
    let threads = threads();
    for round in 0..3 {
        let start = Barrier::new(threads);
        let all: Vec<Blocks<'_>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads as u64)
                .map(|thread| {
                    let (arena, start) = (&arena, &start);
                    scope.spawn(move || {
                        let mut random = Random(thread << 32 | round);
                        let mut local = arena.local();
                        let mut blocks = Blocks::new();
                        start.wait();
                        for i in 0..600 {
                            let number = thread << 32 | i;
                            blocks.push((number, any_block(arena, &local, &mut random, number)));
                            if random.below(100) == 0 {
                                local = arena.local();
                            }
                        }
                        blocks
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        verify(&all);
        let bytes: usize = all.iter().flatten().map(|(_, block)| size_of_val(*block)).sum();
        assert!(arena.allocated_bytes() >= bytes && arena.committed_bytes() > 0);
        assert!(arena.stats().commits > 1, "it grew in the middle");
        drop(all);
        arena.reset();
        arena.trim(0);
        assert_eq!((arena.allocated_bytes(), arena.committed_bytes()), (0, 0));
    }
}

#[test]
fn nothing_overlaps_in_small_steps() {
    stress::<8>(Growth::Fixed(16 * KIB));
}

#[test]
fn nothing_overlaps_in_large_steps() {
    stress::<8>(Growth::default());
}

#[test]
fn nothing_overlaps_with_other_alignments() {
    stress::<1>(Growth::Fixed(64 * KIB));
    stress::<64>(Growth::Fixed(64 * KIB));
}

/// Every thread goes on until it is refused: what all of them have is intact, and the arena is full.
#[test]
fn until_nothing_is_left() {
    const LIMIT: usize = 16 << 20;
    let mut arena = SharedArena::builder().reserve(64 << 20).head(0).limit(LIMIT).build();
    let threads = threads();
    for _ in 0..2 {
        let start = Barrier::new(threads);
        let all: Vec<Blocks<'_>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads as u64)
                .map(|thread| {
                    let (arena, start) = (&arena, &start);
                    scope.spawn(move || {
                        let mut random = Random(thread);
                        let mut blocks = Blocks::new();
                        start.wait();
                        loop {
                            let (number, len) = (thread << 32 | blocks.len() as u64, 1 + random.below(700));
                            let made = if random.below(3) == 0 {
                                arena.try_alloc_slice_fill_copy(len, number).ok()
                            } else {
                                std::panic::catch_unwind(|| arena.alloc_slice_fill_copy(len, number)).ok()
                            };
                            match made {
                                Some(block) => blocks.push((number, block)),
                                None if arena.remaining() == 0 => return blocks,
                                // A fallible call that did not fit, and changed nothing.
                                None => (),
                            }
                        }
                    })
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        verify(&all);
        let bytes: usize = all.iter().flatten().map(|(_, block)| size_of_val(*block)).sum();
        assert!(bytes > LIMIT - threads * 8 * 700, "{bytes} of {LIMIT} were used");
        assert_eq!((arena.allocated_bytes(), arena.remaining()), (LIMIT, 0));
        drop(all);
        arena.reset();
        assert_eq!(arena.remaining(), LIMIT);
        assert_eq!(arena.alloc_slice_fill_copy(LIMIT / 8, 1u64).len(), LIMIT / 8);
        arena.reset();
    }
}

/// Whoever touches memory commits it, be it another thread's block.
#[test]
fn blocks_are_filled_by_other_threads() {
    let arena = SharedArena::builder().reserve(256 << 20).head(0).growth(Growth::Fixed(16 * KIB)).build();
    let mut blocks: Vec<&mut [u64]> = (0..64).map(|_| arena.alloc_slice_fill_default(4096)).collect();
    std::thread::scope(|scope| {
        for (i, block) in blocks.iter_mut().enumerate() {
            let arena = &arena;
            scope.spawn(move || {
                block.fill(i as u64);
                // Neighbours' growth goes on meanwhile.
                let more = arena.alloc_slice_fill_copy(5000, i as u64);
                assert!(more.iter().all(|&n| n == i as u64));
            });
        }
    });
    for (i, block) in blocks.iter().enumerate() {
        assert!(block.iter().all(|&n| n == i as u64));
    }
    assert!(arena.stats().commits > 1);
    if highwater::engine() == highwater::Engine::Fault {
        assert!(arena.stats().faults > 0, "it grew by fault");
    }
}

/// A plain call that fails in one thread, while others are in the middle of theirs.
#[test]
fn a_failing_call_does_no_harm_to_others() {
    let mut arena = SharedArena::builder().reserve(64 << 20).head(0).build();
    let (failed, started) = (AtomicBool::new(false), Barrier::new(5));
    let all: Vec<Blocks<'_>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4u64)
            .map(|thread| {
                let (arena, failed, started) = (&arena, &failed, &started);
                scope.spawn(move || {
                    let mut blocks = Blocks::new();
                    started.wait();
                    while !failed.load(Relaxed) && blocks.len() < 10_000 {
                        let number = thread << 32 | blocks.len() as u64;
                        match arena.try_alloc_slice_fill_copy(20, number) {
                            Ok(block) => blocks.push((number, block)),
                            Err(_) => break,
                        }
                    }
                    blocks
                })
            })
            .collect();
        started.wait();
        let panicked = std::panic::catch_unwind(|| arena.alloc_slice_fill_copy(64 << 20, 1u8).len());
        failed.store(true, Relaxed);
        // Nobody had anything before, or somebody had: then it did not fit, and the arena is full.
        let fitted = panicked.is_ok();
        let all = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        assert!(fitted || arena.remaining() == 0);
        all
    });
    verify(&all);
    drop(all);
    arena.reset();
    assert_eq!(arena.alloc_slice_fill_copy(1000, 5u8), [5; 1000]);
}
