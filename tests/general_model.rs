//! The general heap against a model: blocks do not overlap, are aligned, keep what was written, and when all are gone
//! their memory is one free run again.

use highwater::heap::{General, Heap, HeapError};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ptr::NonNull;

#[derive(Clone, Debug)]
enum Step {
    Allocate { size: usize, align: usize },
    Free(usize),
    Reallocate { which: usize, size: usize, align: usize },
    Trim(usize),
    Check,
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1usize..300,
        4 => 1usize..10_000,
        2 => 8_000usize..70_000,
        1 => 60_000usize..900_000,
    ]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![10 => Just(16usize), 3 => (0u32..13).prop_map(|log| 1 << log), 1 => (13u32..20).prop_map(|log| 1 << log)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (size(), align()).prop_map(|(size, align)| Step::Allocate { size, align }),
        6 => any::<usize>().prop_map(Step::Free),
        3 => (any::<usize>(), size(), align())
            .prop_map(|(which, size, align)| Step::Reallocate { which, size, align }),
        1 => (0usize..1 << 22).prop_map(Step::Trim),
        1 => Just(Step::Check),
    ]
}

/// A live block.
struct Live {
    block: NonNull<u8>,
    size: usize,
    tag: u8,
}

impl Live {
    fn fill(&self) {
        // SAFETY: a live block of this size.
        unsafe { self.block.write_bytes(self.tag, self.size) }
    }

    fn holds(&self, bytes: usize) -> bool {
        // SAFETY: a live block of this size, which was filled.
        let contents = unsafe { std::slice::from_raw_parts(self.block.as_ptr(), bytes.min(self.size)) };
        contents.iter().all(|&byte| byte == self.tag)
    }
}

struct Model {
    heap: Heap,
    live: Vec<Live>,
    /// Start to end.
    taken: BTreeMap<usize, usize>,
    tag: u8,
}

impl Model {
    fn new(checked: bool) -> Self {
        let heap =
            Heap::builder().name("model").reserve(1 << 30).policy(General::new().checked(checked)).build();
        Model { heap, live: Vec::new(), taken: BTreeMap::new(), tag: 0 }
    }

    fn take(&mut self, block: NonNull<u8>, size: usize, align: usize) -> Live {
        let start = block.addr().get();
        // SAFETY: it is live, and nobody else is here.
        let usable = unsafe { self.heap.usable_size(block) }.expect("it is a live block");
        assert!(usable >= size, "{usable} for {size}");
        assert_eq!(start % align.max(16), 0, "{size} at {align}");
        assert!(self.heap.contains(block.as_ptr()));
        let end = start + usable;
        let before = self.taken.range(..end).next_back();
        assert!(before.is_none_or(|(_, &other_end)| other_end <= start), "{start:#x} overlaps {before:?}");
        self.taken.insert(start, end);
        self.tag = self.tag.wrapping_add(1);
        Live { block, size, tag: self.tag }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Allocate { size, align } => {
                let block = self.heap.allocate(size, align).expect("there is memory");
                let live = self.take(block, size, align);
                live.fill();
                self.live.push(live);
            }
            Step::Free(which) if !self.live.is_empty() => {
                let live = self.live.swap_remove(which % self.live.len());
                assert!(live.holds(live.size), "a block keeps what was written");
                self.taken.remove(&live.block.addr().get());
                // SAFETY: it is live, and not used any more.
                unsafe { self.heap.deallocate(live.block) }.expect("it is a live block");
            }
            Step::Reallocate { which, size, align } if !self.live.is_empty() => {
                let live = self.live.swap_remove(which % self.live.len());
                self.taken.remove(&live.block.addr().get());
                // SAFETY: as above.
                let block =
                    unsafe { self.heap.reallocate(live.block, size, align) }.expect("there is memory");
                let kept = Live { block, size, tag: live.tag };
                assert!(kept.holds(live.size), "what fits goes with the block");
                let live = self.take(block, size, align);
                live.fill();
                self.live.push(live);
            }
            Step::Trim(keep) => _ = self.heap.trim(keep),
            _ => self.heap.check().expect("the heap is whole"),
        }
    }

    /// Everything goes, in the order in which the blocks are.
    fn end(mut self) {
        let stats = self.heap.stats();
        assert_eq!(stats.live_blocks, self.live.len());
        assert_eq!(stats.live_bytes, self.taken.iter().map(|(start, end)| end - start).sum::<usize>());
        while !self.live.is_empty() {
            self.run(Step::Free(0));
        }
        self.heap.check().expect("the heap is whole");
        self.heap.trim(0);
        self.heap.check().expect("the heap is whole");
        let stats = self.heap.stats();
        assert_eq!((stats.live_blocks, stats.live_bytes), (0, 0));
        assert!(stats.free_runs <= 1, "{stats:?}");
        assert_eq!(stats.free_bytes, stats.largest_free_run);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 96 }, ..ProptestConfig::default() })]

    #[test]
    fn blocks_are_what_the_model_says(steps in prop::collection::vec(step(), 1..400), checked: bool) {
        let mut model = Model::new(checked);
        for step in steps {
            model.run(step);
        }
        model.end();
    }
}

/// Many pages of one class, so that pages fill, are set aside, come back, empty and are given back.
#[test]
fn one_class_up_and_down() {
    for checked in [false, true] {
        let mut model = Model::new(checked);
        for round in 0..3 {
            for _ in 0..5000 {
                model.run(Step::Allocate { size: 48, align: 16 });
            }
            for index in 0..4500 {
                model.run(Step::Free(index * 7919 + round));
            }
            model.run(Step::Check);
        }
        model.end();
    }
}

#[test]
fn large_blocks_extend_in_place() {
    let heap = Heap::builder().reserve(1 << 30).policy(General::new()).build();
    let first = heap.allocate(1 << 20, 16).unwrap();
    // SAFETY: live blocks, used here alone.
    unsafe {
        first.write_bytes(7, 1 << 20);
        assert_eq!(heap.reallocate(first, 8 << 20, 16), Ok(first), "the heap ends behind it");
        let behind = heap.allocate(4 << 20, 16).unwrap();
        assert_eq!(heap.reallocate(first, 2 << 20, 16), Ok(first), "shrunk where it is");
        assert_eq!(heap.reallocate(first, 6 << 20, 16), Ok(first), "a free run follows");
        heap.check().unwrap();
        let moved = heap.reallocate(first, 16 << 20, 16).unwrap();
        assert_ne!(moved, first, "something is in the way");
        assert!((0..1 << 20).all(|at| moved.add(at).read() == 7));
        assert_eq!(heap.stats().live_blocks, 2);
        heap.deallocate(moved).unwrap();
        heap.deallocate(behind).unwrap();
    }
    let stats = heap.stats();
    assert_eq!(
        (stats.free_runs, stats.free_bytes),
        (1, stats.largest_free_run),
        "joined with both neighbours"
    );
    heap.check().unwrap();
}

/// What is freed at the heap's end is used before it grows.
#[test]
fn the_heap_grows_from_a_trailing_free_run() {
    let heap = Heap::builder().reserve(64 << 20).policy(General::new()).build();
    let small = heap.allocate(1 << 20, 16).unwrap();
    let used = heap.stats().used;
    // SAFETY: a live block.
    unsafe { heap.deallocate(small) }.unwrap();
    let large = heap.allocate(3 << 20, 16).unwrap();
    assert_eq!(large, small);
    assert_eq!(heap.stats().used, used + (2 << 20));
}

#[test]
fn what_is_given_back_is_not_resident_and_zero_again() {
    let heap = Heap::builder().reserve(1 << 30).policy(General::new()).build();
    let block = heap.allocate(32 << 20, 16).unwrap();
    // SAFETY: a live block, and then a live block again.
    unsafe {
        block.write_bytes(7, 32 << 20);
        heap.deallocate(block).unwrap();
        assert!(heap.trim(0) >= 32 << 20);
        assert_eq!(heap.trim(0), 0, "there is no more");
        let again = heap.allocate(32 << 20, 16).unwrap();
        assert_eq!(again, block);
        if !cfg!(highwater_portable) {
            assert_eq!(again.add(12345).read(), 0);
        }
        again.write_bytes(8, 32 << 20);
    }
}

#[test]
fn sizes_that_no_object_has_are_refused() {
    let heap = Heap::builder().reserve(1 << 30).policy(General::new()).build();
    assert_eq!(heap.allocate(0, 16), Err(HeapError::ZeroSize));
    assert_eq!(heap.allocate(usize::MAX, 16), Err(HeapError::TooLarge { size: usize::MAX }));
    assert_eq!(heap.allocate(1, 3), Err(HeapError::Alignment { align: 3 }));
    let most = isize::MAX as usize - 15;
    for (size, align) in [(most, 16), (1 << 40, 16), ((1 << 30) + 1, 16), (1, 1 << 62), (1 << 29, 1 << 31)] {
        assert!(matches!(heap.allocate(size, align), Err(HeapError::OutOfMemory(_))), "{size} at {align}");
    }
    heap.check().unwrap();
    assert!(heap.allocate(100, 16).is_ok());
}
