//! The free blocks in the order in which they are tried: a treap whose nodes are the blocks themselves.
//!
//! Best fit orders them by length and then by address, first fit by address; for the latter every node stores the maximum length
//! below it. Priorities are pseudorandom numbers made from the addresses, so the depth is that of a tree built in random order,
//! whatever the order of calls.

use super::block_memory::{BlockMemory, TreeLink};
use crate::policy::Fit;

/// In place of a block: none.
pub(super) const NIL: u32 = 0;

pub(super) struct FreeTree {
    root: u32,
    fit: Fit,
}

impl FreeTree {
    pub(super) const fn new(fit: Fit) -> Self {
        FreeTree { root: NIL, fit }
    }

    /// Whether one block is tried before another.
    #[inline]
    fn is_before(&self, memory: &BlockMemory, one: u32, other: u32) -> bool {
        match self.fit {
            Fit::Best => (memory.len(one), one) < (memory.len(other), other),
            Fit::First => one < other,
        }
    }

    /// The first block in order that has at least so many units.
    pub(super) fn find(&self, memory: &BlockMemory, units: u32) -> Option<u32> {
        match self.fit {
            Fit::Best => self.find_shortest(memory, units),
            Fit::First => self.find_lowest(memory, units),
        }
    }

    fn find_shortest(&self, memory: &BlockMemory, units: u32) -> Option<u32> {
        let (mut at, mut best) = (self.root, None);
        while at != NIL {
            if memory.len(at) >= units {
                best = Some(at);
                at = memory.link(at, TreeLink::Left);
            } else {
                at = memory.link(at, TreeLink::Right);
            }
        }
        best
    }

    fn find_lowest(&self, memory: &BlockMemory, units: u32) -> Option<u32> {
        let has = |at: u32| at != NIL && memory.link(at, TreeLink::Longest) >= units;
        let mut at = self.root;
        while has(at) {
            let left = memory.link(at, TreeLink::Left);
            if has(left) {
                at = left;
            } else if memory.len(at) >= units {
                return Some(at);
            } else {
                at = memory.link(at, TreeLink::Right);
            }
        }
        None
    }

    pub(super) fn insert(&mut self, memory: &BlockMemory, block: u32) {
        self.root = self.inserted(memory, self.root, block);
    }

    fn inserted(&self, memory: &BlockMemory, at: u32, block: u32) -> u32 {
        if at == NIL || memory.priority(block) > memory.priority(at) {
            let (left, right) = self.split(memory, at, block);
            memory.set_link(block, TreeLink::Left, left);
            memory.set_link(block, TreeLink::Right, right);
            self.refresh(memory, block);
            return block;
        }
        let side = if self.is_before(memory, block, at) { TreeLink::Left } else { TreeLink::Right };
        memory.set_link(at, side, self.inserted(memory, memory.link(at, side), block));
        self.refresh(memory, at);
        at
    }

    /// Splits a tree into the blocks before `block` and those after it.
    fn split(&self, memory: &BlockMemory, at: u32, block: u32) -> (u32, u32) {
        if at == NIL {
            return (NIL, NIL);
        }
        let parts = if self.is_before(memory, at, block) {
            let (left, right) = self.split(memory, memory.link(at, TreeLink::Right), block);
            memory.set_link(at, TreeLink::Right, left);
            (at, right)
        } else {
            let (left, right) = self.split(memory, memory.link(at, TreeLink::Left), block);
            memory.set_link(at, TreeLink::Left, right);
            (left, at)
        };
        self.refresh(memory, at);
        parts
    }

    /// Removes a block that is in the tree and has the length it was inserted with.
    pub(super) fn remove(&mut self, memory: &BlockMemory, block: u32) {
        self.root = self.without(memory, self.root, block);
    }

    fn without(&self, memory: &BlockMemory, at: u32, block: u32) -> u32 {
        if at == block {
            return self.merged(memory, memory.link(at, TreeLink::Left), memory.link(at, TreeLink::Right));
        }
        if at == NIL {
            return NIL; // (the program wrote to a free block: `check` reports it)
        }
        let side = if self.is_before(memory, block, at) { TreeLink::Left } else { TreeLink::Right };
        memory.set_link(at, side, self.without(memory, memory.link(at, side), block));
        self.refresh(memory, at);
        at
    }

    /// Joins two trees, the first of which comes before the second.
    fn merged(&self, memory: &BlockMemory, left: u32, right: u32) -> u32 {
        if left == NIL || right == NIL {
            return left | right;
        }
        let top = if memory.priority(left) > memory.priority(right) {
            memory.set_link(
                left,
                TreeLink::Right,
                self.merged(memory, memory.link(left, TreeLink::Right), right),
            );
            left
        } else {
            memory.set_link(
                right,
                TreeLink::Left,
                self.merged(memory, left, memory.link(right, TreeLink::Left)),
            );
            right
        };
        self.refresh(memory, top);
        top
    }

    #[inline]
    fn refresh(&self, memory: &BlockMemory, at: u32) {
        if self.fit == Fit::First {
            memory.set_link(at, TreeLink::Longest, self.longest_at(memory, at));
        }
    }

    fn longest_at(&self, memory: &BlockMemory, at: u32) -> u32 {
        let below = |side| match memory.link(at, side) {
            NIL => 0,
            child => memory.link(child, TreeLink::Longest),
        };
        memory.len(at).max(below(TreeLink::Left)).max(below(TreeLink::Right))
    }

    /// The length of the longest block, in units.
    pub(super) fn longest(&self, memory: &BlockMemory) -> u32 {
        match (self.fit, self.root) {
            (_, NIL) => 0,
            (Fit::First, root) => memory.link(root, TreeLink::Longest),
            (Fit::Best, mut at) => loop {
                match memory.link(at, TreeLink::Right) {
                    NIL => return memory.len(at),
                    right => at = right,
                }
            },
        }
    }

    /// The number of blocks, if every link leads to a block that `is_free` accepts, in order, and there are at most `max`;
    /// otherwise the block where that fails.
    pub(super) fn count(
        &self,
        memory: &BlockMemory,
        max: usize,
        is_free: impl Fn(u32) -> bool,
    ) -> Result<usize, u32> {
        let mut count = 0;
        if self.root != NIL && !is_free(self.root) {
            return Err(self.root);
        }
        self.counted(memory, self.root, (NIL, NIL), &mut count, max, &is_free)?;
        Ok(count)
    }

    fn counted(
        &self,
        memory: &BlockMemory,
        at: u32,
        (low, high): (u32, u32),
        count: &mut usize,
        max: usize,
        is_free: &impl Fn(u32) -> bool,
    ) -> Result<(), u32> {
        if at == NIL {
            return Ok(());
        }
        *count += 1;
        let children = [memory.link(at, TreeLink::Left), memory.link(at, TreeLink::Right)];
        let is_below =
            |child: u32| child == NIL || (is_free(child) && memory.priority(child) <= memory.priority(at));
        let in_order = (low == NIL || self.is_before(memory, low, at))
            && (high == NIL || self.is_before(memory, at, high));
        if !in_order || *count > max || !children.into_iter().all(is_below) {
            return Err(at);
        }
        if self.fit == Fit::First && memory.link(at, TreeLink::Longest) != self.longest_at(memory, at) {
            return Err(at);
        }
        self.counted(memory, children[0], (low, at), count, max, is_free)?;
        self.counted(memory, children[1], (at, high), count, max, is_free)
    }
}
