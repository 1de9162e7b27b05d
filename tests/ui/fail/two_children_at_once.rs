//! Two children of one parent would begin at the same byte.

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let first = root.scope();
    let second = root.scope();
    let (a, b) = (first.alloc(1u64), second.alloc(2u64));
    assert_eq!((*a, *b), (1, 2));
}
