//! The job for a size: small linked nodes until that much is allocated.

use std::time::Instant;

use super::{
    job::{GrowJob, ProgressCount, Share},
    report::IndexFacts,
};
use crate::{interrupt, lab::BenchAlloc};
use highwater::internal::math::random::fibonacci_hash;

/// How many nodes are allocated between two checks for Ctrl-C.
const CHUNK: u64 = 64 << 10;
const NODE: u64 = size_of::<ListNode<'_>>() as u64;
/// The granularity of shares: every allocator aligns to this at least.
const GRAIN: u64 = 8;

/// A node of a linked list.
struct ListNode<'a> {
    previous: Option<&'a ListNode<'a>>,
    ordinal: u64,
    check: u64,
}

/// `bytes` of nodes, divided between `threads`.
pub struct Nodes {
    /// The total.
    pub bytes: u64,
    /// The number of threads.
    pub threads: u64,
}

impl Nodes {
    /// A multiple of the granularity for each, and the remainder for the first.
    fn share(&self, thread: usize) -> u64 {
        let each = self.bytes / self.threads / GRAIN * GRAIN;
        if thread == 0 { self.bytes - each * (self.threads - 1) } else { each }
    }

    /// The largest share.
    pub fn largest_share(&self) -> u64 {
        self.share(0)
    }
}

/// The check word of a node. It does not depend on other nodes, so computing it can overlap with the stores.
fn check(ordinal: u64, seed: u64) -> u64 {
    fibonacci_hash(ordinal ^ seed)
}

impl GrowJob for Nodes {
    const NAME: &'static str = "nodes";
    type Product<'a> = ();

    fn run<'a, A: BenchAlloc<'a>>(
        &self,
        alloc: A,
        thread: usize,
        done: &ProgressCount,
    ) -> Result<Share<'a, Self>, String> {
        let bytes = self.share(thread);
        let (nodes, rest) = (bytes / NODE, bytes % NODE);
        let seed = thread as u64;
        let mut last = None;
        let mut made = 0;

        let start = Instant::now();
        while made < nodes && !interrupt::requested() {
            let until = nodes.min(made + CHUNK);
            let chunk = until - made;
            while made < until {
                last = Some(&*alloc.alloc_value(ListNode {
                    previous: last,
                    ordinal: made,
                    check: check(made, seed),
                }));
                made += 1;
            }
            done.add(chunk * NODE);
        }
        // The rest is less than a node; text fills it, so that the size is exact.
        let filled = if made == nodes && rest > 0 {
            let rest = usize::try_from(rest).unwrap_or_default();
            alloc.alloc_text(&"-".repeat(rest)).len() as u64
        } else {
            0
        };
        let end = Instant::now();
        done.add(filled);

        walk(last, made, seed)?;
        Ok(Share {
            checked: true,
            product: (),
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

/// Walks from the last node back to the first, and checks each.
fn walk<'a>(mut next: Option<&'a ListNode<'a>>, made: u64, seed: u64) -> Result<(), String> {
    for ordinal in (0..made).rev() {
        match next {
            Some(node) if node.ordinal == ordinal && node.check == check(ordinal, seed) => {
                next = node.previous
            }
            Some(_) => return Err(format!("node {ordinal} of {made} is damaged")),
            None => return Err(format!("the list ends before node {ordinal} of {made}")),
        }
    }
    if next.is_some() { Err(format!("the list goes on after {made} nodes")) } else { Ok(()) }
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
        let first = ListNode { previous: None, ordinal: 0, check: check(0, 3) };
        let good = ListNode { previous: Some(&first), ordinal: 1, check: check(1, 3) };
        assert_eq!(walk(Some(&good), 2, 3), Ok(()));
        assert!(walk(Some(&good), 1, 3).is_err());
        assert!(walk(Some(&good), 3, 3).is_err());
        assert!(walk(Some(&good), 2, 4).is_err());
        let bad = ListNode { previous: Some(&first), ordinal: 1, check: 0 };
        assert!(walk(Some(&bad), 2, 3).is_err());
        assert!(walk(Some(&first), 0, 3).is_err());
        assert_eq!(walk(None, 0, 3), Ok(()));
    }
}
