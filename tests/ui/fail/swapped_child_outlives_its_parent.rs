//! A child cannot be carried out of its parent's borrow by exchanging it with an outer scope.

use std::mem;

fn main() {
    let (mut one, mut two) = (highwater::Arena::new(), highwater::Arena::new());
    let mut outer = two.scope();
    let mut root = one.scope();
    {
        let mut child = root.scope();
        mem::swap(&mut outer, &mut child);
    }
    root.alloc(1u64);
    outer.alloc(2u64);
}
