//! So would two scopes of one arena.

fn main() {
    let mut arena = highwater::Arena::new();
    let first = arena.scope();
    let second = arena.scope();
    first.alloc(1u64);
    second.alloc(2u64);
}
