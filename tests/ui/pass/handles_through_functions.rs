//! Code that is generic over the brand: building, changing and looking up, with the branded scope by reference.

#![forbid(unsafe_code)]

use highwater::{Arena, Branded, Handle};
use std::cell::Cell;
use std::collections::HashMap;

struct Tree<'b> {
    key: u32,
    left: Cell<Option<Handle<'b, Tree<'b>>>>,
    right: Cell<Option<Handle<'b, Tree<'b>>>>,
}

fn insert<'b>(b: &Branded<'b>, root: &Cell<Option<Handle<'b, Tree<'b>>>>, key: u32) {
    let mut at = root;
    while let Some(node) = at.get() {
        let node = b.get(node);
        at = if key < node.key { &node.left } else { &node.right };
    }
    at.set(Some(b.handle(b.alloc(Tree { key, left: Cell::new(None), right: Cell::new(None) }))));
}

fn walk<'b>(b: &Branded<'b>, at: Option<Handle<'b, Tree<'b>>>, out: &mut Vec<u32>) {
    if let Some(node) = at.map(|at| b.get(at)) {
        walk(b, node.left.get(), out);
        out.push(node.key);
        walk(b, node.right.get(), out);
    }
}

fn main() {
    let (mut arena, mut other) = (Arena::new(), Arena::new());
    let sorted = arena.scoped_branded(|b| {
        let root = Cell::new(None);
        [5, 2, 8, 1].into_iter().for_each(|key| insert(&b, &root, key));
        // Two brands side by side, each with its own.
        let names: HashMap<_, _> = other.scoped_branded(|o| {
            let name = o.str_handle(o.alloc_str("five"));
            [(b.get(root.get().unwrap()).key, o.str(name).to_owned())].into()
        });
        assert_eq!(names[&5], "five");
        let mut out = Vec::new();
        walk(&b, root.get(), &mut out);
        out
    });
    assert_eq!(sorted, [1, 2, 5, 8]);
    // The result of the closure may be anything that has no brand.
    assert_eq!(arena.scoped_branded(|b| b.alloc_str("text").to_owned()), "text");
}
