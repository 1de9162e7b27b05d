//! Blocks that say whose they are, and churn of them in every order.

#![allow(dead_code, reason = "each program that includes this uses its own part of it")]

use highwater::heap::Heap;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// A block with a tag in all of it.
pub struct Tagged {
    pub block: NonNull<u8>,
    size: usize,
    tag: u64,
}

// SAFETY: a block belongs to whoever has it.
unsafe impl Send for Tagged {}

impl Tagged {
    pub fn new(heap: &Heap, size: usize, tag: u64) -> Self {
        let size = size.max(8) / 8 * 8;
        let block = heap.allocate(size, 16).expect("there is memory");
        for word in 0..size / 8 {
            // SAFETY: within the block.
            unsafe { block.cast::<u64>().add(word).write(tag ^ word as u64) };
        }
        Tagged { block, size, tag }
    }

    pub fn free(self, heap: &Heap) {
        for word in 0..self.size / 8 {
            // SAFETY: within the block.
            let found = unsafe { self.block.cast::<u64>().add(word).read() };
            assert_eq!(found, self.tag ^ word as u64, "a block keeps its tag");
        }
        // SAFETY: a live block that nobody uses any more.
        unsafe { heap.deallocate(self.block) }.expect("it is a live block");
    }
}

/// Numbers that are the same every time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Order {
    Fifo,
    Lifo,
    Random,
}

pub const ORDERS: [Order; 3] = [Order::Fifo, Order::Lifo, Order::Random];

pub fn arrange(blocks: &mut [Tagged], order: Order, random: &mut Random) {
    match order {
        Order::Fifo => {}
        Order::Lifo => blocks.reverse(),
        Order::Random => (1..blocks.len()).rev().for_each(|at| blocks.swap(at, random.below(at + 1))),
    }
}

/// Rounds of one size: all allocated, all freed, a part of them allocated and freed in between.
pub fn churn(heap: &Heap, size: usize, count: usize, order: Order, seed: u64) {
    let mut random = Random(seed);
    for round in 0..4u64 {
        let mut blocks: Vec<_> =
            (0..count).map(|index| Tagged::new(heap, size, seed ^ round << 32 ^ index as u64)).collect();
        arrange(&mut blocks, order, &mut random);
        let rest = blocks.split_off(count / 2);
        blocks.into_iter().for_each(|block| block.free(heap));
        let more: Vec<_> =
            (0..count / 3).map(|index| Tagged::new(heap, size, seed ^ !round << 32 ^ index as u64)).collect();
        rest.into_iter().for_each(|block| block.free(heap));
        more.into_iter().for_each(|block| block.free(heap));
    }
}

/// Everything was freed by threads that are gone: their memory comes together again. (A thread that was joined may be
/// there for a moment longer.)
pub fn comes_together(heap: &Heap) {
    let since = Instant::now();
    loop {
        heap.trim(0);
        heap.check().expect("the heap is whole");
        let stats = heap.stats();
        assert_eq!(stats.live_blocks, 0);
        // There, nobody can say that a thread has ended.
        if stats.free_runs <= 1 && stats.free_bytes == stats.largest_free_run || cfg!(highwater_portable) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{stats:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
