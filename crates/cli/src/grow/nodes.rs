//! The job of a size: small linked nodes until that much is allocated.

use std::time::Instant;

use super::{
    job::{Done, Job, Share},
    report::IndexFacts,
};
use crate::{interrupt, lab::Alloc};

/// Nodes between two looks at the world.
const STRETCH: u64 = 64 << 10;
const NODE: u64 = size_of::<Node<'_>>() as u64;
/// What every allocator rounds to or can be expected to.
const GRAIN: u64 = 8;

/// Points to the one before it.
struct Node<'a> {
    before: Option<&'a Node<'a>>,
    ordinal: u64,
    check: u64,
}

/// `bytes` of nodes, divided between `threads`.
pub struct Nodes {
    /// In all.
    pub bytes: u64,
    /// How many share them.
    pub threads: u64,
}

impl Nodes {
    /// Whole grains for each, and what is left over for the first.
    fn share(&self, thread: usize) -> u64 {
        let each = self.bytes / self.threads / GRAIN * GRAIN;
        if thread == 0 { self.bytes - each * (self.threads - 1) } else { each }
    }

    /// The largest share.
    pub fn largest_share(&self) -> u64 {
        self.share(0)
    }
}

/// Says nothing about its neighbours, so that computing it can overlap with the stores.
fn check(ordinal: u64, seed: u64) -> u64 {
    (ordinal ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Job for Nodes {
    const NAME: &'static str = "nodes";
    type Made<'a> = ();

    fn run<'a, A: Alloc<'a>>(&self, alloc: A, thread: usize, done: &Done) -> Result<Share<'a, Self>, String> {
        let bytes = self.share(thread);
        let (nodes, rest) = (bytes / NODE, bytes % NODE);
        let seed = thread as u64;
        let mut last = None;
        let mut made = 0;

        let start = Instant::now();
        while made < nodes && !interrupt::requested() {
            let until = nodes.min(made + STRETCH);
            let stretch = until - made;
            while made < until {
                last = Some(&*alloc.put(Node { before: last, ordinal: made, check: check(made, seed) }));
                made += 1;
            }
            done.add(stretch * NODE);
        }
        // Less than a node is missing: text fills it, so that a size is reached to the byte.
        let filled = if made == nodes && rest > 0 {
            let rest = usize::try_from(rest).unwrap_or_default();
            alloc.put_str(&"-".repeat(rest)).len() as u64
        } else {
            0
        };
        let end = Instant::now();
        done.add(filled);

        walk(last, made, seed)?;
        Ok(Share {
            checked: true,
            made: (),
            allocations: made + u64::from(filled > 0),
            asked: made * NODE + filled,
            used: alloc.used(),
            time: (start, end),
        })
    }

    fn total(&self) -> u64 {
        self.bytes
    }

    fn facts(&self, _: &[()]) -> Option<IndexFacts> {
        None
    }
}

/// From the last node back to the first, each of which must be the one it claims to be.
fn walk<'a>(mut at: Option<&'a Node<'a>>, made: u64, seed: u64) -> Result<(), String> {
    for ordinal in (0..made).rev() {
        match at {
            Some(node) if node.ordinal == ordinal && node.check == check(ordinal, seed) => at = node.before,
            Some(_) => return Err(format!("node {ordinal} of {made} is damaged")),
            None => return Err(format!("the list ends before node {ordinal} of {made}")),
        }
    }
    if at.is_some() { Err(format!("the list goes on after {made} nodes")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for bytes in [0, 1, 7, 8, 23, 24, 1000, 1 << 20, (1 << 20) + 5] {
            for threads in 1..9 {
                let nodes = Nodes { bytes, threads };
                let sum: u64 = (0..threads).map(|thread| nodes.share(thread as usize)).sum();
                assert_eq!(sum, bytes);
            }
        }
    }

    #[test]
    fn damage_is_found() {
        let first = Node { before: None, ordinal: 0, check: check(0, 3) };
        let good = Node { before: Some(&first), ordinal: 1, check: check(1, 3) };
        assert_eq!(walk(Some(&good), 2, 3), Ok(()));
        assert!(walk(Some(&good), 1, 3).is_err());
        assert!(walk(Some(&good), 3, 3).is_err());
        assert!(walk(Some(&good), 2, 4).is_err());
        let bad = Node { before: Some(&first), ordinal: 1, check: 0 };
        assert!(walk(Some(&bad), 2, 3).is_err());
        assert!(walk(Some(&first), 0, 3).is_err());
        assert_eq!(walk(None, 0, 3), Ok(()));
    }
}
