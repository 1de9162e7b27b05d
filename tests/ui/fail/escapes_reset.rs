//! Nothing outlives a reset, a trim, or the arena.

fn main() {
    let mut arena = highwater::Arena::new();
    let value = arena.alloc(1u64);
    arena.reset();
    assert_eq!(*value, 1);
    let value = arena.alloc_str("text");
    arena.trim(0);
    assert_eq!(value, "text");
    let value = arena.alloc_iter([1, 2]);
    drop(arena);
    assert_eq!(value, [1, 2]);
}
