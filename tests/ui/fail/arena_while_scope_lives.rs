//! The arena does not allocate, reset or move while a scope lives.

fn main() {
    let mut arena = highwater::Arena::new();
    let scope = arena.scope();
    arena.alloc(1u64);
    scope.alloc(2u64);
    let scope = arena.scope();
    arena.reset();
    scope.alloc(2u64);
    let scope = arena.scope();
    let moved = arena;
    scope.alloc(2u64);
    moved.alloc(3u64);
}
