//! What a child allocated does not outlive it.

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let escaped = {
        let child = root.scope();
        child.alloc(1u64)
    };
    root.alloc(2u64);
    assert_eq!(*escaped, 1);
}
