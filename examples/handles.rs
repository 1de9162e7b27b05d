//! What 32-bit handles save: the same graph of a million nodes, with references and with handles.
//!
//! `cargo run --release --example handles -- 1000000`
//!
//! Every node has a number, children of a search tree, and a list of other nodes. A handle is only good inside of the
//! closure that its arena was branded for, and cannot be followed anywhere else; that costs nothing when it runs.

use highwater::{Arena, Branded, Handle, SliceHandle};
use std::cell::Cell;
use std::time::Instant;

/// A node with references: 40 bytes, and 8 for every edge.
struct Pointing<'a> {
    key: u32,
    seen: Cell<bool>,
    left: Cell<Option<&'a Pointing<'a>>>,
    right: Cell<Option<&'a Pointing<'a>>>,
    edges: Cell<&'a [&'a Pointing<'a>]>,
}

/// The same node with handles: 24 bytes, and 4 for every edge.
struct Handling<'b> {
    key: u32,
    seen: Cell<bool>,
    left: Cell<Option<Link<'b>>>,
    right: Cell<Option<Link<'b>>>,
    edges: Cell<Option<SliceHandle<'b, Link<'b>>>>,
}

type Link<'b> = Handle<'b, Handling<'b>>;

/// Blocks of numbers and handles need no more.
const MIN_ALIGN: usize = 4;

/// The result of the queries, and what they cost: equal answers mean equal graphs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answers {
    pub(crate) depth_of_the_last: usize,
    pub(crate) keys_in_order: u64,
    pub(crate) reached: usize,
}

/// The numbers that the nodes get, each of them once: an odd factor permutes them.
fn keys(nodes: u32) -> impl Iterator<Item = u32> {
    (0..nodes).map(|i| i.wrapping_mul(0x9e37_79b1))
}

/// To which nodes the edges of a node go.
fn targets(node: usize, nodes: usize) -> [usize; 4] {
    [1, 7, 61, 1009].map(|factor| (node * factor + factor) % nodes)
}

/// A checksum that depends on the order.
fn mix(sum: u64, key: u32) -> u64 {
    sum.rotate_left(5) ^ u64::from(key)
}

fn with_references(nodes: u32, arena: &Arena<MIN_ALIGN>) -> Answers {
    let mut answers = Answers::default();
    let all: &[Pointing<'_>] = arena.alloc_iter(keys(nodes).map(|key| Pointing {
        key,
        seen: Cell::new(false),
        left: Cell::new(None),
        right: Cell::new(None),
        edges: Cell::new(&[]),
    }));
    let Some(root) = all.first() else { return answers };
    for (i, node) in all.iter().enumerate() {
        node.edges.set(arena.alloc_slice_copy(&targets(i, all.len()).map(|target| &all[target])));
    }
    for node in &all[1..] {
        let mut at = root;
        answers.depth_of_the_last = 0;
        loop {
            answers.depth_of_the_last += 1;
            let side = if node.key < at.key { &at.left } else { &at.right };
            match side.get() {
                Some(next) => at = next,
                None => break side.set(Some(node)),
            }
        }
    }

    let (mut path, mut next) = (Vec::new(), Some(root));
    while next.is_some() || !path.is_empty() {
        while let Some(node) = next {
            path.push(node);
            next = node.left.get();
        }
        let Some(node) = path.pop() else { break };
        answers.keys_in_order = mix(answers.keys_in_order, node.key);
        next = node.right.get();
    }

    path.push(root);
    while let Some(node) = path.pop() {
        if !node.seen.replace(true) {
            answers.reached += 1;
            path.extend(node.edges.get());
        }
    }
    answers
}

fn with_handles(nodes: u32, arena: &Branded<'_, MIN_ALIGN>) -> Answers {
    let mut answers = Answers::default();
    let all: &[Handling<'_>] = arena.alloc_iter(keys(nodes).map(|key| Handling {
        key,
        seen: Cell::new(false),
        left: Cell::new(None),
        right: Cell::new(None),
        edges: Cell::new(None),
    }));
    let Some(root) = all.first() else { return answers };
    for (i, node) in all.iter().enumerate() {
        let edges = arena.alloc_slice_copy(&targets(i, all.len()).map(|target| arena.handle(&all[target])));
        node.edges.set(Some(arena.slice_handle(edges)));
    }
    for node in &all[1..] {
        let mut at = root;
        answers.depth_of_the_last = 0;
        loop {
            answers.depth_of_the_last += 1;
            let side = if node.key < at.key { &at.left } else { &at.right };
            match side.get() {
                Some(next) => at = arena.get(next),
                None => break side.set(Some(arena.handle(node))),
            }
        }
    }

    let (mut path, mut next) = (Vec::new(), Some(arena.handle(root)));
    while next.is_some() || !path.is_empty() {
        while let Some(handle) = next {
            path.push(handle);
            next = arena.get(handle).left.get();
        }
        let Some(node) = path.pop().map(|handle| arena.get(handle)) else { break };
        answers.keys_in_order = mix(answers.keys_in_order, node.key);
        next = node.right.get();
    }

    path.push(arena.handle(root));
    while let Some(node) = path.pop().map(|handle| arena.get(handle)) {
        if !node.seen.replace(true) {
            answers.reached += 1;
            path.extend(node.edges.get().map_or(&[][..], |edges| arena.slice(edges)));
        }
    }
    answers
}

/// What either graph answered, how many bytes it took, and in how many seconds.
pub(crate) struct Ran {
    pub(crate) answers: Answers,
    pub(crate) bytes: usize,
    pub(crate) seconds: f64,
}

fn arena() -> Arena<MIN_ALIGN> {
    Arena::builder().name("graph").min_align().build()
}

pub(crate) fn run(nodes: u32) -> [Ran; 2] {
    let (references, mut handles) = (arena(), arena());
    let start = Instant::now();
    let answers = with_references(nodes, &references);
    let bytes = references.allocated_bytes();
    let by_reference = Ran { answers, bytes, seconds: start.elapsed().as_secs_f64() };
    let start = Instant::now();
    let (answers, bytes) = handles.scoped_branded(|b| (with_handles(nodes, &b), b.allocated_bytes()));
    [by_reference, Ran { answers, bytes, seconds: start.elapsed().as_secs_f64() }]
}

fn main() {
    let nodes = std::env::args().nth(1).and_then(|nodes| nodes.parse().ok()).unwrap_or(1_000_000);
    let runs = run(nodes);
    let sizes = [size_of::<Pointing<'_>>(), size_of::<Handling<'_>>()];
    for (name, (Ran { bytes, seconds, .. }, size)) in
        ["references", "handles"].iter().zip(runs.iter().zip(sizes))
    {
        println!("{name:<10} {size:>3} bytes a node, {bytes:>10} bytes in all, {:.0} ms", seconds * 1e3);
    }
    let [by_reference, by_handle] = runs;
    assert_eq!(by_reference.answers, by_handle.answers, "it is the same graph");
    let saved = by_reference.bytes.saturating_sub(by_handle.bytes);
    println!(
        "the same answers ({} nodes reached), and {saved} bytes saved, {:.0} % of what references take",
        by_handle.answers.reached,
        saved as f64 * 100.0 / by_reference.bytes.max(1) as f64
    );
}
