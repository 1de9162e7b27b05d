//! The general heap with threads: churn with tags in every order, frees by other threads, threads that come and go, more
//! threads than there are entries, forks.

use crate::support;
use crate::tagged;
use highwater::heap::{General, Heap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, mpsc};
use tagged::{ORDERS, Order, Random, Tagged, churn, comes_together};

fn heap() -> Heap {
    Heap::builder().name("threads").reserve(2 << 30).policy(General::new()).build()
}

#[test]
fn churn_of_one_page_and_of_many_in_every_order() {
    let heap = heap();
    for order in ORDERS {
        for (size, count) in [
            (16, 1),
            (16, 100),
            (16, 4096),
            (64, 6000),
            (256, 3000),
            (1024, 500),
            (6000, 100),
            (40_000, 60),
            (150_000, 20),
        ] {
            churn(&heap, size, count, order, size as u64);
            heap.check().unwrap_or_else(|error| panic!("{order:?}, {size}: {error}"));
        }
    }
    comes_together(&heap);
}

/// A page that empties with every free, with other pages of the class beside it: none is given back and made again.
#[test]
fn a_page_that_empties_with_every_free_stays() {
    let heap = heap();
    for kept in [0, 5, 20_000] {
        let blocks: Vec<_> = (0..kept).map(|tag| Tagged::new(&heap, 16, tag)).collect();
        let used = heap.stats().used;
        for tag in 0..100_000 {
            Tagged::new(&heap, 16, tag).free(&heap);
        }
        assert!(heap.stats().used <= used + (64 << 10), "one page more at most");
        blocks.into_iter().for_each(|block| block.free(&heap));
        heap.check().unwrap();
    }
    comes_together(&heap);
}

#[test]
fn churn_in_several_threads() {
    let heap = heap();
    std::thread::scope(|threads| {
        for seed in 0..6u64 {
            let heap = &heap;
            threads.spawn(move || {
                for (size, count) in [(16, 3000), (200, 800), (3000, 60), (20_000, 20), (100_000, 8)] {
                    churn(heap, size, count, ORDERS[seed as usize % 3], seed + 1);
                }
            });
        }
    });
    comes_together(&heap);
}

/// Every block is freed by another thread than the one that allocated it, in both directions and all sizes.
#[test]
fn blocks_are_freed_by_other_threads() {
    const THREADS: usize = 4;
    let heap = heap();
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::sync_channel::<Tagged>(500)).unzip();
    std::thread::scope(|threads| {
        for (index, receiver) in receivers.into_iter().enumerate() {
            let next = senders[(index + 1) % THREADS].clone();
            let heap = &heap;
            threads.spawn(move || {
                let mut random = Random(index as u64);
                for turn in 0..20_000u64 {
                    let size = if turn % 100 == 0 { 100_000 } else { 8 + random.below(2000) };
                    let mut block = Tagged::new(heap, size, turn << 8 | index as u64);
                    // Never wait with a full queue of one's own: everybody would.
                    while let Err(error) = next.try_send(block) {
                        let mpsc::TrySendError::Full(back) = error else { panic!("the others are there") };
                        block = back;
                        receiver.try_iter().take(100).for_each(|block| block.free(heap));
                        std::thread::yield_now();
                    }
                    receiver.try_iter().take(3).for_each(|block| block.free(heap));
                }
                drop(next);
                receiver.iter().for_each(|block| block.free(heap));
            });
        }
        drop(senders);
    });
    comes_together(&heap);
}

/// One allocates, one frees: pages come back to the owner while it is allocating, so the heap does not grow for ever.
#[test]
fn one_allocates_and_another_frees() {
    let heap = heap();
    let (sender, receiver) = mpsc::sync_channel::<Tagged>(1000);
    std::thread::scope(|threads| {
        let heap = &heap;
        threads.spawn(move || receiver.into_iter().for_each(|block| block.free(heap)));
        for tag in 0..200_000 {
            sender.send(Tagged::new(heap, 64, tag)).unwrap();
        }
        drop(sender);
    });
    let used = heap.stats().used;
    assert!(used <= 2 << 20, "{used} bytes for 1000 blocks of 64 at a time");
    comes_together(&heap);
}

#[test]
fn threads_that_come_and_go_use_the_same_memory() {
    let heap = heap();
    for turn in 0..300 {
        std::thread::scope(|threads| {
            threads.spawn(|| churn(&heap, 100, 3000, ORDERS[turn % 3], turn as u64));
        });
    }
    let used = heap.stats().used;
    assert!(used <= 16 << 20, "{used} bytes for half a MiB at a time");
    comes_together(&heap);
}

/// Blocks outlive the thread that made them, are freed by others, and their pages go to the next thread.
#[test]
fn blocks_outlive_their_threads() {
    let heap = heap();
    for turn in 0..20 {
        let blocks: Vec<Tagged> = std::thread::scope(|threads| {
            let make = || (0..3000).map(|tag| Tagged::new(&heap, 16 + tag as usize % 500, tag)).collect();
            threads.spawn(make).join().unwrap()
        });
        if turn % 2 == 0 {
            std::thread::scope(|threads| {
                threads.spawn(|| blocks.into_iter().for_each(|block| block.free(&heap)));
            });
        } else {
            blocks.into_iter().for_each(|block| block.free(&heap));
        }
        heap.check().unwrap();
    }
    let used = heap.stats().used;
    assert!(used <= 32 << 20, "{used} bytes for one MiB at a time");
    comes_together(&heap);
}

/// More threads than there are entries: those without one share, and all of it is right.
#[test]
fn more_threads_than_entries() {
    const THREADS: usize = 1100;
    let heap = heap();
    let (all_here, all_done) = (Barrier::new(THREADS), Barrier::new(THREADS));
    std::thread::scope(|threads| {
        let mut started = 0;
        for index in 0..THREADS {
            let (heap, all_here, all_done) = (&heap, &all_here, &all_done);
            let work = move || {
                let first = Tagged::new(heap, 40, index as u64);
                all_here.wait();
                let more: Vec<_> = (0..20).map(|tag| Tagged::new(heap, 40 + index % 100, tag)).collect();
                all_done.wait();
                first.free(heap);
                more.into_iter().for_each(|block| block.free(heap));
            };
            let builder = std::thread::Builder::new().stack_size(128 << 10);
            if builder.spawn_scoped(threads, work).is_err() {
                break;
            }
            started += 1;
        }
        if started < THREADS {
            // Those that are here wait for the ones that are not.
            support::skip("threads: this machine allows too few");
            std::process::exit(0);
        }
    });
    comes_together(&heap);
}

#[cfg(not(highwater_portable))]
#[test]
fn a_child_forked_with_threads_running_allocates_at_once() {
    let heap = heap();
    let stop = AtomicBool::new(false);
    let kept: Vec<_> = (0..1000).map(|tag| Tagged::new(&heap, 100, tag)).collect();
    std::thread::scope(|threads| {
        for seed in 0..3 {
            let (heap, stop) = (&heap, &stop);
            threads.spawn(move || {
                while !stop.load(Relaxed) {
                    churn(heap, 300, 400, Order::Random, seed);
                    churn(heap, 100_000, 4, Order::Random, seed);
                }
            });
        }
        for _ in 0..50 {
            heap.before_fork();
            // SAFETY: the child uses the heap and nothing else that has locks, and ends without destructors.
            let child = unsafe { libc::fork() };
            // SAFETY: `before_fork` was called by this thread.
            unsafe { heap.after_fork(child == 0) };
            if child == 0 {
                // A deadlock ends in a signal.
                // SAFETY: as above.
                unsafe { libc::alarm(30) };
                let good = (0..2000u64).all(|tag| {
                    let size = 16 + tag as usize % 3000;
                    let Ok(block) = heap.allocate(size, 16) else { return false };
                    // SAFETY: a live block, freed at once.
                    unsafe {
                        block.write_bytes(7, size);
                        heap.deallocate(block).is_ok()
                    }
                });
                let good = good
                    && kept.iter().all(|kept| {
                        // SAFETY: the child's own copies.
                        unsafe { heap.deallocate(kept.block).is_ok() }
                    });
                let large = heap.allocate(10 << 20, 16).is_ok();
                heap.trim(0);
                // SAFETY: the child ends here.
                unsafe { libc::_exit(if good && large { 0 } else { 1 }) };
            }
            assert!(child > 0);
            let mut status = 0;
            // SAFETY: our own child.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status:#x}");
        }
        stop.store(true, Relaxed);
    });
    kept.into_iter().for_each(|block| block.free(&heap));
    comes_together(&heap);
}

/// Two heaps, and more, in one thread: each keeps its own.
#[test]
fn many_heaps_in_one_thread() {
    let heaps: Vec<_> =
        (0..12).map(|_| Heap::builder().reserve(64 << 20).policy(General::new()).build()).collect();
    for turn in 0..200 {
        let blocks: Vec<_> = heaps
            .iter()
            .enumerate()
            .map(|(at, heap)| (heap, Tagged::new(heap, 50 + turn, at as u64)))
            .collect();
        for (heap, block) in blocks {
            assert!(heap.contains(block.block.as_ptr()));
            block.free(heap);
        }
    }
    for heap in &heaps {
        assert!(heap.stats().used < 1 << 20);
        comes_together(heap);
    }
}
