//! Whole binary trees.

use typed_arena::Arena;

use super::{Job, mix};
use crate::bench::scratch::place::Place;

/// Trees of that depth.
pub struct Trees {
    pub depth: u64,
}

impl Trees {
    /// What a tree of that depth has.
    pub fn nodes(depth: u64) -> u64 {
        (2 << depth) - 1
    }
}

struct Node<'a, P: Place<'a> + 'a> {
    value: u64,
    below: Option<[P::Own<Node<'a, P>>; 2]>,
}

fn build<'a, P: Place<'a> + 'a>(place: P, depth: u64, value: u64) -> P::Own<Node<'a, P>> {
    let next = |side| build(place, depth - 1, 2 * value + side);
    let below = if depth == 0 { None } else { Some([next(0), next(1)]) };
    place.own(Node { value, below })
}

fn walk<'a, P: Place<'a> + 'a>(node: &Node<'a, P>) -> u64 {
    let below = node.below.as_ref().map_or(0, |[left, right]| walk(left).wrapping_sub(walk(right)));
    mix(node.value) ^ below
}

/// In an arena of nothing else.
struct Typed<'a> {
    value: u64,
    below: Option<[&'a Typed<'a>; 2]>,
}

fn build_typed<'a>(arena: &'a Arena<Typed<'a>>, depth: u64, value: u64) -> &'a Typed<'a> {
    let next = |side| build_typed(arena, depth - 1, 2 * value + side);
    let below = if depth == 0 { None } else { Some([next(0), next(1)]) };
    arena.alloc(Typed { value, below })
}

fn walk_typed(node: &Typed<'_>) -> u64 {
    let below = node.below.map_or(0, |[left, right]| walk_typed(left).wrapping_sub(walk_typed(right)));
    mix(node.value) ^ below
}

impl Job for Trees {
    fn cycle<'a, P: Place<'a> + 'a>(&self, place: P, cycle: u64) -> u64 {
        walk(&build(place, self.depth, cycle))
    }

    fn typed(&self, cycle: u64) -> u64 {
        walk_typed(build_typed(&Arena::new(), self.depth, cycle))
    }
}
