//! An arena's own allocations end at its scope: only a root scope's stay usable.

fn main() {
    let mut arena = highwater::Arena::new();
    let value = arena.alloc(1u64);
    let scope = arena.scope();
    assert_eq!(*value, 1);
    scope.alloc(2u64);
}
