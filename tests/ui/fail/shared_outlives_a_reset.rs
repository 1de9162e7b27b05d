//! Nothing of a shared arena outlives a reset, a trim, another limit, a guard, or the arena; its parts do not either.

use highwater::SharedArena;

fn main() {
    let mut arena = SharedArena::new();
    let value = arena.alloc(1u64);
    arena.reset();
    *value = 2;
    let local = arena.local();
    arena.trim(0);
    local.alloc(3u64);
    let text = arena.local().alloc_str("text");
    arena.set_allocation_limit(None);
    assert_eq!(text, "text");
    let list = arena.alloc_iter([1, 2]);
    _ = arena.guard_at(0..4096);
    assert_eq!(list, [1, 2]);
    let last = arena.local();
    drop(arena);
    last.alloc(4u64);
}
