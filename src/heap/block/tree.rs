//! The free blocks, in the order in which they are tried: a treap, whose nodes are the blocks themselves.
//!
//! Best fit orders them by length and then by address, first fit by address; for that every node knows the longest block
//! below it. Which of two nodes is above the other is drawn from their addresses, so the depth is that of a tree built
//! in random order, whatever the order of calls was.

use super::field::{BlockMemory, TreeLink};
use crate::heap::options::Fit;

/// Where no block is.
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
    fn is_before(&self, field: &BlockMemory, one: u32, other: u32) -> bool {
        match self.fit {
            Fit::Best => (field.len(one), one) < (field.len(other), other),
            Fit::First => one < other,
        }
    }

    /// The first block in order that has so many units.
    pub(super) fn find(&self, field: &BlockMemory, units: u32) -> Option<u32> {
        match self.fit {
            Fit::Best => self.find_shortest(field, units),
            Fit::First => self.find_lowest(field, units),
        }
    }

    fn find_shortest(&self, field: &BlockMemory, units: u32) -> Option<u32> {
        let (mut at, mut best) = (self.root, None);
        while at != NIL {
            if field.len(at) >= units {
                best = Some(at);
                at = field.link(at, TreeLink::Left);
            } else {
                at = field.link(at, TreeLink::Right);
            }
        }
        best
    }

    fn find_lowest(&self, field: &BlockMemory, units: u32) -> Option<u32> {
        let has = |at: u32| at != NIL && field.link(at, TreeLink::Longest) >= units;
        let mut at = self.root;
        while has(at) {
            let left = field.link(at, TreeLink::Left);
            if has(left) {
                at = left;
            } else if field.len(at) >= units {
                return Some(at);
            } else {
                at = field.link(at, TreeLink::Right);
            }
        }
        None
    }

    pub(super) fn insert(&mut self, field: &BlockMemory, block: u32) {
        self.root = self.inserted(field, self.root, block);
    }

    fn inserted(&self, field: &BlockMemory, at: u32, block: u32) -> u32 {
        if at == NIL || field.drawn(block) > field.drawn(at) {
            let (left, right) = self.split(field, at, block);
            field.set_link(block, TreeLink::Left, left);
            field.set_link(block, TreeLink::Right, right);
            self.refresh(field, block);
            return block;
        }
        let side = if self.is_before(field, block, at) { TreeLink::Left } else { TreeLink::Right };
        field.set_link(at, side, self.inserted(field, field.link(at, side), block));
        self.refresh(field, at);
        at
    }

    /// Two trees, of what comes before `block` and what comes after it.
    fn split(&self, field: &BlockMemory, at: u32, block: u32) -> (u32, u32) {
        if at == NIL {
            return (NIL, NIL);
        }
        let parts = if self.is_before(field, at, block) {
            let (left, right) = self.split(field, field.link(at, TreeLink::Right), block);
            field.set_link(at, TreeLink::Right, left);
            (at, right)
        } else {
            let (left, right) = self.split(field, field.link(at, TreeLink::Left), block);
            field.set_link(at, TreeLink::Left, right);
            (left, at)
        };
        self.refresh(field, at);
        parts
    }

    /// Takes a block out that is in the tree, and has the length that it had when it was put in.
    pub(super) fn remove(&mut self, field: &BlockMemory, block: u32) {
        self.root = self.without(field, self.root, block);
    }

    fn without(&self, field: &BlockMemory, at: u32, block: u32) -> u32 {
        if at == block {
            return self.merged(field, field.link(at, TreeLink::Left), field.link(at, TreeLink::Right));
        }
        if at == NIL {
            return NIL; // somebody wrote to a free block; `check` will say so
        }
        let side = if self.is_before(field, block, at) { TreeLink::Left } else { TreeLink::Right };
        field.set_link(at, side, self.without(field, field.link(at, side), block));
        self.refresh(field, at);
        at
    }

    /// One tree of two, the first of which comes before the second.
    fn merged(&self, field: &BlockMemory, left: u32, right: u32) -> u32 {
        if left == NIL || right == NIL {
            return left | right;
        }
        let top = if field.drawn(left) > field.drawn(right) {
            field.set_link(
                left,
                TreeLink::Right,
                self.merged(field, field.link(left, TreeLink::Right), right),
            );
            left
        } else {
            field.set_link(
                right,
                TreeLink::Left,
                self.merged(field, left, field.link(right, TreeLink::Left)),
            );
            right
        };
        self.refresh(field, top);
        top
    }

    #[inline]
    fn refresh(&self, field: &BlockMemory, at: u32) {
        if self.fit == Fit::First {
            field.set_link(at, TreeLink::Longest, self.longest_at(field, at));
        }
    }

    fn longest_at(&self, field: &BlockMemory, at: u32) -> u32 {
        let below = |side| match field.link(at, side) {
            NIL => 0,
            child => field.link(child, TreeLink::Longest),
        };
        field.len(at).max(below(TreeLink::Left)).max(below(TreeLink::Right))
    }

    /// The length of the longest block, in units.
    pub(super) fn longest(&self, field: &BlockMemory) -> u32 {
        match (self.fit, self.root) {
            (_, NIL) => 0,
            (Fit::First, root) => field.link(root, TreeLink::Longest),
            (Fit::Best, mut at) => loop {
                match field.link(at, TreeLink::Right) {
                    NIL => return field.len(at),
                    right => at = right,
                }
            },
        }
    }

    /// How many blocks there are, if every link leads to one of the `most` blocks that `is_free` knows, in order;
    /// otherwise the block that does not.
    pub(super) fn count(
        &self,
        field: &BlockMemory,
        most: usize,
        is_free: impl Fn(u32) -> bool,
    ) -> Result<usize, u32> {
        let mut count = 0;
        if self.root != NIL && !is_free(self.root) {
            return Err(self.root);
        }
        self.counted(field, self.root, (NIL, NIL), &mut count, most, &is_free)?;
        Ok(count)
    }

    fn counted(
        &self,
        field: &BlockMemory,
        at: u32,
        (low, high): (u32, u32),
        count: &mut usize,
        most: usize,
        is_free: &impl Fn(u32) -> bool,
    ) -> Result<(), u32> {
        if at == NIL {
            return Ok(());
        }
        *count += 1;
        let children = [field.link(at, TreeLink::Left), field.link(at, TreeLink::Right)];
        let is_below = |child: u32| child == NIL || (is_free(child) && field.drawn(child) <= field.drawn(at));
        let in_order = (low == NIL || self.is_before(field, low, at))
            && (high == NIL || self.is_before(field, at, high));
        if !in_order || *count > most || !children.into_iter().all(is_below) {
            return Err(at);
        }
        if self.fit == Fit::First && field.link(at, TreeLink::Longest) != self.longest_at(field, at) {
            return Err(at);
        }
        self.counted(field, children[0], (low, at), count, most, is_free)?;
        self.counted(field, children[1], (at, high), count, most, is_free)
    }
}
