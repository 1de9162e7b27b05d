//! Heaps of every policy.

use super::MANY;
use highwater::heap::{Blocks, Bump, General, Heap, HeapPolicy, Stack};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn heaps() -> impl Iterator<Item = Heap> {
    let kinds: [HeapPolicy; 5] = [
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
