//! Random graphs in an arena, linked by handles, against the same graph in vectors.

use highwater::{Arena, Branded, Handle, SliceHandle, StrHandle};
use proptest::prelude::*;
use std::cell::Cell;

/// A node: what it says, and to which nodes it leads, of those that are there by then or not yet.
#[derive(Clone, Debug)]
struct Plan {
    number: u64,
    small: u8,
    text: String,
    edges: Vec<usize>,
    next: Option<usize>,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (
        any::<u64>(),
        any::<u8>(),
        ".{0,20}",
        prop::collection::vec(any::<usize>(), 0..8),
        any::<Option<usize>>(),
    );
    let plan = plan.prop_map(|(number, small, text, edges, next)| Plan { number, small, text, edges, next });
    prop::collection::vec(plan, 1..200)
}

struct Node<'b> {
    number: u64,
    small: Handle<'b, u8>,
    text: StrHandle<'b>,
    /// Filled in when all nodes are there.
    edges: Cell<Option<SliceHandle<'b, Handle<'b, Node<'b>>>>>,
    next: Cell<Option<Handle<'b, Node<'b>>>>,
}

fn build<'b, const M: usize>(b: &Branded<'b, M>, plans: &[Plan]) -> Vec<Handle<'b, Node<'b>>> {
    let nodes: Vec<_> = plans
        .iter()
        .map(|plan| {
            b.handle(b.alloc(Node {
                number: plan.number,
                small: b.handle(b.alloc(plan.small)),
                text: b.str_handle(b.alloc_str(&plan.text)),
                edges: Cell::new(None),
                next: Cell::new(None),
            }))
        })
        .collect();
    for (&node, plan) in nodes.iter().zip(plans) {
        let edges = b.alloc_iter(plan.edges.iter().map(|edge| nodes[edge % nodes.len()]));
        b.get(node).edges.set(Some(b.slice_handle(edges)));
        b.get(node).next.set(plan.next.map(|next| nodes[next % nodes.len()]));
    }
    nodes
}

fn verify<'b, const M: usize>(b: &Branded<'b, M>, nodes: &[Handle<'b, Node<'b>>], plans: &[Plan]) {
    let same = |handle: Handle<'b, Node<'b>>, plan: &Plan| {
        let node = b.get(handle);
        assert_eq!(
            (node.number, *b.get(node.small), b.str(node.text)),
            (plan.number, plan.small, &*plan.text)
        );
    };
    for (&handle, plan) in nodes.iter().zip(plans) {
        same(handle, plan);
        let edges = b.slice(b.get(handle).edges.get().unwrap());
        assert_eq!(edges.len(), plan.edges.len());
        for (edge, to) in edges.iter().zip(&plan.edges) {
            same(*edge, &plans[to % plans.len()]);
        }
        // A walk along the first edges and the next nodes ends where it does in the plan.
        let (mut at, mut index) = (handle, nodes.iter().position(|&node| node == handle).unwrap());
        for step in 0..20 {
            let node = b.get(at);
            let (Some(next), Some(to)) = (node.next.get(), plans[index].next) else { break };
            (at, index) = (next, to % plans.len());
            if step % 3 == 0
                && let Some(&edge) = b.slice(b.get(at).edges.get().unwrap()).first()
            {
                (at, index) = (edge, plans[index].edges[0] % plans.len());
            }
            same(at, &plans[index]);
        }
    }
}

fn graph<const M: usize>(first: &[Plan], second: &[Plan]) {
    let mut arena = Arena::<M>::with_min_align();
    let expected = [first.len(), second.len()];
    for (plans, len) in [first, second].into_iter().zip(expected) {
        let made = arena.scoped_branded(|b| {
            let nodes = build(&b, plans);
            verify(&b, &nodes, plans);
            nodes.len()
        });
        assert_eq!((made, arena.allocated_bytes()), (len, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn graphs(first in plans(), second in plans()) {
        graph::<8>(&first, &second);
        graph::<1>(&first, &second);
        graph::<128>(&second, &first);
    }
}
