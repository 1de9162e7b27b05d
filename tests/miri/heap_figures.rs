//! Figures of a heap whose threads are running: they go by what is counted, and look at no block.
//!
//! That they look at none shows under Miri (`.ci/deep`): a block that is free when it is reached may be somebody's, who
//! writes to it, by the time that it is read.

use highwater::heap::{Blocks, Bump, General, Heap, HeapPolicy, Stack};
use std::ptr::NonNull;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn kinds() -> [HeapPolicy; 5] {
    [
        General::new().into(),
        General::new().checked(true).into(),
        Blocks::new().into(),
        Stack::new().into(),
        Bump::new().slice(64 << 10).into(),
    ]
}

const THREADS: usize = 3;
/// What each thread keeps, of two classes.
const KEPT: usize = if cfg!(miri) { 8 } else { 1_000 };
const LOOKS: usize = if cfg!(miri) { 2 } else { 200 };

struct Block(NonNull<u8>);

// SAFETY: a block belongs to whoever has this.
unsafe impl Send for Block {}

fn heap(kind: HeapPolicy) -> Heap {
    Heap::builder().reserve(if cfg!(miri) { 4 << 20 } else { 256 << 20 }).policy(kind).build()
}

fn size(number: usize) -> usize {
    if number.is_multiple_of(2) { 48 } else { 700 }
}

fn allocate(heap: &Heap, number: usize) -> Block {
    let block = heap.allocate(size(number), 16).unwrap();
    // SAFETY: the block is as long. All of it, so that it would be seen if somebody else were to read it.
    unsafe { block.write_bytes(number as u8, size(number)) };
    Block(block)
}

fn free(heap: &Heap, block: Block) {
    // SAFETY: nobody else has it.
    unsafe { heap.deallocate(block.0) }.unwrap();
}

/// Usable bytes of all the blocks.
fn usable(heap: &Heap, blocks: &[Vec<Block>]) -> usize {
    // SAFETY: the blocks live.
    blocks.iter().flatten().map(|block| unsafe { heap.usable_size(block.0) }.unwrap()).sum()
}

#[test]
fn figures_while_threads_run_and_when_they_rest() {
    for kind in kinds() {
        let heap = &heap(kind);
        let (is_over, meeting) = (&AtomicBool::new(false), &Barrier::new(THREADS + 1));
        std::thread::scope(|threads| {
            let running = [0; THREADS].map(|_| {
                threads.spawn(move || {
                    let kept: Vec<_> = (0..KEPT).map(|number| allocate(heap, number)).collect();
                    meeting.wait();
                    let mut number = 0;
                    while !is_over.load(Relaxed) {
                        // (Enough that pages run out, and are found again.)
                        let more: Vec<_> =
                            (number..number + 7).map(|number| allocate(heap, number)).collect();
                        more.into_iter().for_each(|block| free(heap, block));
                        number += 7;
                    }
                    // Here and until the second meeting, it lives and is in no call.
                    meeting.wait();
                    meeting.wait();
                    kept
                })
            });
            meeting.wait();
            for _ in 0..LOOKS {
                let stats = heap.stats();
                // A page's counts are read one after the other: what is wrong with a thread is a page of each class.
                let slack = THREADS * ((64 << 10) / 48 + (64 << 10) / 700);
                assert!(stats.live_blocks <= THREADS * (KEPT + 7) + slack, "{kind:?}: {stats:?}");
                assert!(stats.live_blocks + slack >= THREADS * KEPT, "{kind:?}: {stats:?}");
                assert!(format!("{heap:?}").contains("live_blocks"));
                heap.check().unwrap();
            }
            is_over.store(true, Relaxed);
            meeting.wait();
            assert_eq!(heap.stats().live_blocks, THREADS * KEPT, "{kind:?}");
            meeting.wait();
            let mut kept = running.map(|thread| thread.join().unwrap());
            let stats = heap.stats();
            assert_eq!(
                (stats.live_blocks, stats.live_bytes),
                (THREADS * KEPT, usable(heap, &kept)),
                "{kind:?}"
            );
            // What another thread frees counts at once, whether or not the owner comes by again.
            let mut live = THREADS * KEPT;
            for blocks in &mut kept {
                blocks.drain(..KEPT / 2).for_each(|block| free(heap, block));
                live -= KEPT / 2;
                let stats = heap.stats();
                assert_eq!(stats.live_blocks, live, "{kind:?}");
            }
            assert_eq!(heap.stats().live_bytes, usable(heap, &kept), "{kind:?}");
            kept.into_iter().flatten().for_each(|block| free(heap, block));
        });
        heap.check().unwrap();
        let stats = heap.stats();
        assert_eq!((stats.live_blocks, stats.live_bytes), (0, 0), "{kind:?}");
    }
}
