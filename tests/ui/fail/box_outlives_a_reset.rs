//! A box does not outlive a reset, a trim, a scope, or the arena: its destructor would look at what is there then.

use highwater::{Arena, ArenaBox, SharedArena, arena_box};

fn main() {
    let mut arena = Arena::new();
    let boxed = arena.alloc_box(String::from("text"));
    arena.reset();
    drop(boxed);
    let leaked = arena.alloc_box(1u64).leak();
    arena.trim(0);
    *leaked = 2;
    let object: ArenaBox<'_, dyn Fn()> = arena_box!(arena.alloc_box(|| ()) => dyn Fn());
    drop(arena);
    object();
    let mut shared = SharedArena::new();
    let list = shared.local().alloc_box_iter([1, 2]);
    shared.reset();
    drop(list);
    let mut arena = Arena::new();
    let mut root = arena.scope();
    let _inner = {
        let child = root.scope();
        child.alloc_box(1u64)
    };
    root.alloc(2u64);
}
