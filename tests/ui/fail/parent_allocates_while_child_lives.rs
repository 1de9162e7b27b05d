//! A parent would allocate where its child did.

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let child = root.scope();
    root.alloc(1u64);
    child.alloc(2u64);
}
