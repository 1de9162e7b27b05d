//! What only a plain `Arena` promises or can be: contiguous, committed step by step, pooled.

use super::suite::attacks::Witness;
use highwater::{Arena, Growth, scratch};

// The bytes that a plain arena commits are those before its frontier; checked ones commit pages block by block.

#[test]
fn the_peak_counts_the_head() {
    let mut arena = Arena::builder().reserve(1 << 30).head(16 << 20).build();
    arena.trim(0);
    let stats = arena.stats();
    assert_eq!((stats.committed, stats.peak_committed), (0, 16 << 20));
}

#[test]
fn stress_keeps_its_head_over_a_reset() {
    let growth = Growth::Stress { seed: 1 };
    let mut arena = Arena::builder().reserve(1 << 30).head(1 << 20).growth(growth).build();
    arena.alloc_slice_fill_copy((1 << 20) + 100, 1u8);
    assert!(arena.committed_bytes() > 1 << 20);
    arena.reset();
    assert_eq!(arena.committed_bytes(), 1 << 20);
}

// Pools and scratch arenas are of the plain type.

#[test]
fn a_scratch_arena_put_in_anothers_place_is_still_one_arena() {
    let (mut one, mut two) = (scratch(&[]), scratch(&[]));
    let ids = (one.id(), two.id());
    std::mem::swap(&mut *one, &mut *two);
    assert_eq!((two.id(), one.id()), ids);
    let witness = Witness::of(&one);
    witness.allocate();
    drop(two);
    let again = scratch(&[&one]);
    again.alloc_slice_fill_copy(100, u64::MAX);
    witness.check();
}
