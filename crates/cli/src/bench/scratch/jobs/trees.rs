//! Complete binary trees.

use typed_arena::Arena;

use super::ScratchJob;
use crate::bench::scratch::storage::JobStorage;
use crate::random::mix;

/// Builds trees of this depth.
pub struct Trees {
    pub depth: u64,
}

impl Trees {
    /// The number of nodes of a tree of this depth.
    pub fn nodes(depth: u64) -> u64 {
        (2 << depth) - 1
    }
}

struct TreeNode<'a, P: JobStorage<'a> + 'a> {
    value: u64,
    below: Option<[P::Owned<TreeNode<'a, P>>; 2]>,
}

fn build<'a, P: JobStorage<'a> + 'a>(storage: P, depth: u64, value: u64) -> P::Owned<TreeNode<'a, P>> {
    let next = |side| build(storage, depth - 1, 2 * value + side);
    let below = if depth == 0 { None } else { Some([next(0), next(1)]) };
    storage.store(TreeNode { value, below })
}

fn walk<'a, P: JobStorage<'a> + 'a>(node: &TreeNode<'a, P>) -> u64 {
    let below = node.below.as_ref().map_or(0, |[left, right]| walk(left).wrapping_sub(walk(right)));
    mix(node.value) ^ below
}

/// A node in an arena of nodes only.
struct TypedNode<'a> {
    value: u64,
    below: Option<[&'a TypedNode<'a>; 2]>,
}

fn build_typed<'a>(arena: &'a Arena<TypedNode<'a>>, depth: u64, value: u64) -> &'a TypedNode<'a> {
    let next = |side| build_typed(arena, depth - 1, 2 * value + side);
    let below = if depth == 0 { None } else { Some([next(0), next(1)]) };
    arena.alloc(TypedNode { value, below })
}

fn walk_typed(node: &TypedNode<'_>) -> u64 {
    let below = node.below.map_or(0, |[left, right]| walk_typed(left).wrapping_sub(walk_typed(right)));
    mix(node.value) ^ below
}

impl ScratchJob for Trees {
    fn cycle<'a, P: JobStorage<'a> + 'a>(&self, storage: P, cycle: u64) -> u64 {
        walk(&build(storage, self.depth, cycle))
    }

    fn typed(&self, cycle: u64) -> u64 {
        walk_typed(build_typed(&Arena::new(), self.depth, cycle))
    }
}
