//! A child is not exchanged with its parent, nor put in its place.

use std::mem;

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let mut child = root.scope();
    mem::swap(&mut root, &mut child);
    root.alloc(1u64);
    child.alloc(2u64);
}
