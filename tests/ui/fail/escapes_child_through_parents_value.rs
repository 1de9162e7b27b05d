//! Nor when a value of the parent's refers to it.

use std::cell::Cell;

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let holder: &Cell<Option<&u64>> = root.alloc(Cell::new(None));
    {
        let child = root.scope();
        holder.set(Some(child.alloc(1)));
    }
    root.alloc(2u64);
    assert_eq!(holder.get(), Some(&1));
}
