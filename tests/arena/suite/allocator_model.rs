//! Random sequences of the `Allocator` trait's calls, mixed with ordinary allocations and nested scopes,
//! against a model: live blocks never overlap, are aligned, keep their contents, and a child neither grows,
//! cuts nor frees a block of an ancestor in place.

use super::kind::{Scope, builder};
use allocator_api2::alloc::{Allocator, Layout};
use proptest::prelude::*;
use std::ptr::NonNull;

#[derive(Clone, Debug)]
enum Call {
    Allocate { size: usize, shift: u32, zeroed: bool },
    Grow { which: usize, by: usize, shift: u32, zeroed: bool },
    Shrink { which: usize, to: usize, shift: u32 },
    Free { which: usize },
    Ordinary { len: usize },
    Failing { len: usize },
    Child(Vec<Call>),
}

#[derive(Clone, Copy, Debug)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    ordinal: u64,
    /// How many scopes deep it was allocated.
    depth: usize,
}

fn pattern(ordinal: u64, i: usize) -> u8 {
    (ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u8 ^ (i as u8).wrapping_mul(31)
}

#[derive(Default)]
struct Model {
    blocks: Vec<Block>,
    ordinal: u64,
    depth: usize,
}

impl Model {
    fn add(&mut self, start: NonNull<[u8]>, layout: Layout) {
        assert!(start.len() >= layout.size());
        self.ordinal += 1;
        let (start, ordinal, depth) = (start.cast(), self.ordinal, self.depth);
        let block = Block { start, layout, ordinal, depth };
        fill(&block);
        self.blocks.push(block);
    }

    fn verify(&self) {
        let mut ranges = Vec::new();
        for block in &self.blocks {
            let from = block.start.addr().get();
            assert!(from.is_multiple_of(block.layout.align()), "{block:?}");
            assert_eq!(intact(block.start, block.ordinal, block.layout.size()), None, "{block:?}");
            if block.layout.size() > 0 {
                ranges.push((from, from + block.layout.size()));
            }
        }
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:x?} overlap");
    }
}

fn fill(block: &Block) {
    for i in 0..block.layout.size() {
        // SAFETY: the block is live and that large.
        unsafe { block.start.add(i).write(pattern(block.ordinal, i)) };
    }
}

/// The first of `len` bytes that does not hold its pattern.
fn intact(start: NonNull<u8>, ordinal: u64, len: usize) -> Option<usize> {
    // SAFETY: the callers' blocks are live and have `len` bytes that were written.
    (0..len).find(|&i| unsafe { start.add(i).read() } != pattern(ordinal, i))
}

fn is_zero(start: NonNull<u8>, bytes: std::ops::Range<usize>) -> bool {
    // SAFETY: as in `intact`; they were asked for as zeroes.
    bytes.into_iter().all(|i| unsafe { start.add(i).read() } == 0)
}

/// One call of the trait. A block of an ancestor is grown into a copy and otherwise left as it is.
fn call(alloc: impl Allocator, used: impl Fn() -> usize, call: &Call, model: &mut Model) {
    let before = used();
    let pick = |which: usize| model.blocks.len().checked_sub(1).map(|last| last - which % (last + 1));
    match *call {
        Call::Allocate { size, shift, zeroed } => {
            let layout = Layout::from_size_align(size, 1 << shift).unwrap();
            let made = if zeroed { alloc.allocate_zeroed(layout) } else { alloc.allocate(layout) };
            let Ok(block) = made else { return assert_eq!(used(), before) };
            assert!(!zeroed || is_zero(block.cast(), 0..size));
            model.add(block, layout);
        }
        Call::Grow { which, by, shift, zeroed } => {
            let Some(at) = pick(which) else { return };
            let old = model.blocks[at];
            let size = old.layout.size();
            let layout = Layout::from_size_align(size + by, 1 << shift).unwrap();
            // SAFETY: the block is live and has this layout. An ancestor's block is not this allocator's, which
            // the trait forbids; ours promises to treat it like any that is not the last.
            let made = unsafe {
                if zeroed {
                    alloc.grow_zeroed(old.start, old.layout, layout)
                } else {
                    alloc.grow(old.start, old.layout, layout)
                }
            };
            let Ok(block) = made else { return assert_eq!(used(), before) };
            assert_eq!(intact(block.cast(), old.ordinal, size), None);
            assert!(!zeroed || is_zero(block.cast(), size..size + by));
            if old.depth < model.depth && size > 0 {
                assert_ne!(block.cast(), old.start, "an ancestor's block grew in place");
            } else {
                model.blocks.remove(at);
            }
            model.add(block, layout);
        }
        Call::Shrink { which, to, shift } => {
            let Some(at) = pick(which) else { return };
            let old = model.blocks[at];
            let layout = Layout::from_size_align(old.layout.size().min(to), 1 << shift).unwrap();
            // SAFETY: as above.
            let made = unsafe { alloc.shrink(old.start, old.layout, layout) };
            let Ok(block) = made else { return assert_eq!(used(), before) };
            assert_eq!(intact(block.cast(), old.ordinal, layout.size()), None);
            if old.depth < model.depth {
                assert!(used() >= before, "an ancestor's block was cut");
                if block.cast() == old.start {
                    return;
                }
            } else {
                model.blocks.remove(at);
            }
            model.add(block, layout);
        }
        Call::Free { which } => {
            let Some(at) = pick(which) else { return };
            let old = model.blocks[at];
            // SAFETY: as above; the model forgets the block if it was this allocator's.
            unsafe { alloc.deallocate(old.start, old.layout) };
            if old.depth < model.depth {
                assert_eq!(used(), before, "an ancestor's block was freed");
            } else {
                model.blocks.remove(at);
            }
        }
        Call::Ordinary { .. } | Call::Failing { .. } | Call::Child(_) => unreachable!("not the trait's"),
    }
}

fn run_in_scope<const MIN: usize>(mut scope: Scope<'_, MIN>, calls: &[Call], model: &mut Model) {
    model.depth += 1;
    for next in calls {
        match next {
            Call::Child(calls) => {
                let used = scope.allocated_bytes();
                run_in_scope(scope.scope(), calls, model);
                assert_eq!(scope.allocated_bytes(), used);
            }
            Call::Ordinary { len } => {
                if let Ok(bytes) = scope.try_alloc_slice_fill_copy(*len, 0u8) {
                    model.add(NonNull::from(bytes), Layout::array::<u8>(*len).unwrap());
                }
            }
            // An initialiser that fails while the trait is used: what it leaves behind must stay.
            Call::Failing { len } => {
                let failed = scope.try_alloc_try_with(|| {
                    let allocate = Call::Allocate { size: *len, shift: 3, zeroed: false };
                    call(&scope, || scope.allocated_bytes(), &allocate, model);
                    call(&scope, || scope.allocated_bytes(), &Call::Free { which: *len }, model);
                    Err::<[u64; 3], ()>(())
                });
                assert!(failed.is_err());
            }
            next => call(&scope, || scope.allocated_bytes(), next, model),
        }
        model.verify();
    }
    model.blocks.retain(|block| block.depth < model.depth);
    model.depth -= 1;
    model.verify();
}

fn run<const MIN: usize>(calls: &[Call]) {
    let mut arena = builder().min_align::<MIN>().reserve(1 << 20).build();
    let mut model = Model::default();
    // What the scopes begin after is the arena's own, and dirty memory of an earlier round lies behind it.
    arena.alloc_slice_fill_copy(200_000, u8::MAX);
    arena.reset();
    for next in calls.iter().take(5) {
        if !matches!(next, Call::Ordinary { .. } | Call::Failing { .. } | Call::Child(_)) {
            call(&arena, || arena.allocated_bytes(), next, &mut model);
        }
    }
    let used = arena.allocated_bytes();
    run_in_scope(arena.scope(), calls, &mut model);
    assert_eq!(arena.allocated_bytes(), used);
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let size = || prop_oneof![4 => 0usize..64, 2 => 0usize..1000, 1 => 0usize..100_000];
    let shift = || prop_oneof![6 => 0u32..5, 1 => 0u32..14];
    // The newest blocks are the interesting ones: the number counts from there.
    let which = || prop_oneof![2 => Just(0usize), 1 => Just(1usize), 2 => any::<usize>()];
    let simple = prop_oneof![
        3 => (size(), shift(), any::<bool>())
            .prop_map(|(size, shift, zeroed)| Call::Allocate { size, shift, zeroed }),
        3 => (which(), size(), shift(), any::<bool>())
            .prop_map(|(which, by, shift, zeroed)| Call::Grow { which, by, shift, zeroed }),
        2 => (which(), size(), shift()).prop_map(|(which, to, shift)| Call::Shrink { which, to, shift }),
        2 => which().prop_map(|which| Call::Free { which }),
        1 => (0usize..50).prop_map(|len| Call::Ordinary { len }),
        1 => (0usize..50).prop_map(|len| Call::Failing { len }),
    ];
    let call =
        simple.prop_recursive(3, 40, 10, |inner| prop::collection::vec(inner, 0..10).prop_map(Call::Child));
    prop::collection::vec(call, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packed(calls in calls()) {
        run::<1>(&calls);
    }

    #[test]
    fn words(calls in calls()) {
        run::<8>(&calls);
    }

    #[test]
    fn cache_lines(calls in calls()) {
        run::<64>(&calls);
    }
}
