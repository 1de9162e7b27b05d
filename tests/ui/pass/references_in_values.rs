//! Values in a child refer to its ancestors' values; values in a scope refer to each other.

use highwater::Arena;
use std::cell::Cell;

struct Node<'a> {
    next: Cell<Option<&'a Node<'a>>>,
    name: &'a str,
}

fn main() {
    let mut arena = Arena::new();
    let mut root = arena.scope();
    let name = &*root.alloc_str("outer");
    let outer = &*root.alloc(Node { next: Cell::new(None), name });
    let child = root.scope();
    let first = &*child.alloc(Node { next: Cell::new(Some(outer)), name: "first" });
    let second = &*child.alloc(Node { next: Cell::new(Some(first)), name: "second" });
    first.next.set(Some(second));
    assert_eq!(second.next.get().unwrap().next.get().unwrap().name, "second");
    assert_eq!(outer.name, "outer");
}
