//! Nothing within bounds ever reports: random allocations, every byte of them touched, on both levels.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::guard::{Violation, set_hook};
use highwater::{Arena, Builder, Growth, GuardMechanism, GuardPolicy, Scope};
use proptest::prelude::*;
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::raw::page;

/// What happened although it must not.
static VIOLATIONS: AtomicUsize = AtomicUsize::new(0);

fn count(_: &Violation) {
    VIOLATIONS.fetch_add(1, SeqCst);
}

/// One thing to do with an arena or a scope.
#[derive(Clone, Debug)]
enum Step {
    /// Of so many bytes, aligned to a power of two.
    Allocate(usize, u32),
    /// The same in a scope of its own, which ends afterwards.
    Scope(Vec<Step>),
    /// The steps are given up by `reset_to`.
    Rewind(Vec<Step>),
    /// A slice whose length is not known ahead: the last block is resized.
    Iterate(u16),
    Text(u8),
    Reset,
    Trim(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![5 => 0usize..100, 3 => 4000usize..4200, 1 => 1usize..200_000];
    let leaf = prop_oneof![
        8 => (size, 0u32..=12).prop_map(|(size, align)| Step::Allocate(size, align)),
        1 => (0u16..3000).prop_map(Step::Iterate),
        1 => (0u8..200).prop_map(Step::Text),
    ];
    let inner = prop::collection::vec(
        leaf.prop_recursive(3, 60, 20, |step| {
            let steps = || prop::collection::vec(step.clone(), 0..20);
            prop_oneof![steps().prop_map(Step::Scope), steps().prop_map(Step::Rewind)]
        }),
        0..40,
    );
    let outer = prop_oneof![
        6 => inner.prop_map(Some),
        1 => Just(None),
    ];
    let trim = prop_oneof![Just(None), (0usize..500_000).prop_map(Some)];
    prop::collection::vec((outer, trim), 1..6).prop_map(|rounds| {
        let round = |(steps, trim): (Option<Vec<Step>>, Option<usize>)| {
            let mut steps = steps.unwrap_or_else(|| vec![Step::Reset]);
            steps.extend(trim.map(Step::Trim));
            steps
        };
        rounds.into_iter().flat_map(round).collect()
    })
}

/// A live block: every byte holds the low byte of its number.
type Block = (NonNull<u8>, usize, u8);

/// The blocks that live, oldest first.
#[derive(Default)]
struct Live {
    blocks: Vec<Block>,
    made: usize,
}

impl Live {
    /// Writes every byte of a fresh block.
    fn add(&mut self, start: NonNull<u8>, size: usize, align: usize) {
        assert!(start.addr().get().is_multiple_of(align));
        self.made += 1;
        let byte = (self.made * 31 + 1) as u8;
        // SAFETY: the block has that many bytes, and is ours.
        unsafe { start.write_bytes(byte, size) };
        self.blocks.push((start, size, byte));
    }

    /// Reads every byte of every block, and forgets those made since there were `keep`.
    fn verify_and_forget(&mut self, keep: usize) {
        for &(start, size, byte) in &self.blocks {
            // SAFETY: written when it was added, and it lives.
            let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), size) };
            assert!(bytes.iter().all(|&found| found == byte), "bytes of a live block changed");
        }
        self.blocks.truncate(keep);
    }
}

fn in_scope<const M: usize, const C: bool>(scope: &mut Scope<'_, M, C>, steps: &[Step], live: &mut Live) {
    for step in steps {
        match step {
            // Written at once, past the frontier too; a layout's bytes are committed before.
            &Step::Allocate(size, 0) => {
                let slice = scope.alloc_slice_fill_with(size, |i| i as u8);
                live.add(NonNull::from(&mut *slice).cast(), size, 1);
            }
            &Step::Allocate(size, align) => {
                let layout = Layout::from_size_align(size, 1 << align).unwrap();
                live.add(scope.alloc_layout(layout), size, layout.align());
            }
            &Step::Iterate(len) => {
                // `filter` hides how many there are.
                let slice = scope.alloc_iter((0..len).filter(|n| n % 3 != 0));
                assert!(slice.iter().copied().eq((0..len).filter(|n| n % 3 != 0)));
                live.add(NonNull::from(&mut *slice).cast(), size_of_val(slice), 2);
            }
            &Step::Text(len) => {
                let text = scope.alloc_fmt(format_args!("{:>1$}", "x", usize::from(len)));
                assert_eq!(text.len(), usize::from(len).max(1));
                live.add(NonNull::from(&mut *text).cast(), text.len(), 1);
            }
            Step::Scope(steps) => {
                let before = live.blocks.len();
                in_scope(&mut scope.scope(), steps, live);
                live.verify_and_forget(before);
            }
            Step::Rewind(steps) => {
                let (before, checkpoint) = (live.blocks.len(), scope.checkpoint());
                in_scope(scope, steps, live);
                live.verify_and_forget(before);
                // SAFETY: the blocks made since are forgotten.
                unsafe { scope.reset_to(checkpoint) };
            }
            Step::Reset | Step::Trim(_) => unreachable!("only an arena's"),
        }
    }
}

/// Does the steps in a scope each, which ends with a reset.
fn on_arena<const M: usize, const C: bool>(arena: &mut Arena<M, C>, steps: &[Step]) {
    let mut live = Live::default();
    let is_arenas = |step: &Step| matches!(step, Step::Reset | Step::Trim(_));
    for part in steps.chunk_by(|a, b| !is_arenas(a) && !is_arenas(b)) {
        match &part[0] {
            Step::Reset => arena.reset(),
            &Step::Trim(keep) => _ = arena.trim(keep),
            _ => in_scope(&mut arena.scope(), part, &mut live),
        }
        live.verify_and_forget(0);
    }
    // And once more from the arena itself, which is dropped with blocks that live.
    for (i, step) in steps.iter().enumerate() {
        if let &Step::Allocate(size, align) = step {
            let layout = Layout::from_size_align(size, 1 << align).unwrap();
            live.add(arena.alloc_layout(layout), size, layout.align());
        }
        if i % 50 == 49 {
            live.verify_and_forget(0);
            arena.reset();
        }
    }
    live.verify_and_forget(0);
}

/// The policies of a region; those that are not for both levels come with the level.
fn builder(growth: Growth, policy: GuardPolicy) -> Builder<Arena> {
    Arena::builder().name("bounds").reserve(1 << 30).growth(growth).guard(policy)
}

fn growths() -> impl Strategy<Value = Growth> {
    prop_oneof![
        Just(Growth::default()),
        Just(Growth::Upfront),
        (1usize..300_000).prop_map(Growth::Fixed),
        any::<u64>().prop_map(|seed| Growth::Stress { seed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_arena_with_every_guard_reports_nothing(
        steps in steps(),
        growth in growths(),
        before in 0usize..20_000,
        after in 0usize..20_000,
        // In pages: past what the steps use at worst, but for the reach, which is more than the largest block.
        placed in 20_000usize..40_000,
        reach in prop_oneof![Just(usize::MAX), 8 << 20..64usize << 20],
    ) {
        // SAFETY: the function counts.
        unsafe { set_hook(Some(count)) };
        let placed = placed * page()..(placed + 3) * page();
        let policy = GuardPolicy::default().before(before).after(after).reach(reach).at(placed);
        on_arena(&mut builder(growth, policy.clone()).build(), &steps);
        on_arena(&mut builder(growth, policy).min_align::<1>().build(), &steps);
        prop_assert_eq!(VIOLATIONS.load(SeqCst), 0);
    }

    #[test]
    fn a_debug_arena_reports_nothing(
        steps in steps(),
        growth in growths(),
        placed in 1usize..2000,
        pages in 1usize..50,
        generations in 0u32..4,
        advice: bool,
    ) {
        // SAFETY: the function counts.
        unsafe { set_hook(Some(count)) };
        let placed = placed * page()..(placed + pages) * page();
        let mechanism = if advice { GuardMechanism::Auto } else { GuardMechanism::Protect };
        let policy = GuardPolicy::default().generations(generations).mechanism(mechanism);
        // Without protection it is an ordinary arena, and ends at the first guard.
        let policy = if cfg!(highwater_portable) { policy } else { policy.at(placed) };
        on_arena(&mut builder(growth, policy.clone()).checked().build(), &steps);
        on_arena(&mut builder(growth, policy).min_align::<1>().checked().build(), &steps);
        prop_assert_eq!(VIOLATIONS.load(SeqCst), 0);
    }
}
