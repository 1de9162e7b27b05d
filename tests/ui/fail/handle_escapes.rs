//! Neither a handle, nor what it leads to, nor the branded scope leaves its closure.

use highwater::{Arena, Branded, Handle};

fn main() {
    let mut arena = Arena::new();
    let _returned = arena.scoped_branded(|b| b.handle(b.alloc(1u64)));
    let _followed = arena.scoped_branded(|b| b.get(b.handle(b.alloc(1u64))));
    let _all_of_it = arena.scoped_branded(|b| b);
    let mut kept: Option<Handle<'_, u64>> = None;
    arena.scoped_branded(|b| kept = Some(b.handle(b.alloc(1u64))));
    let mut scope: Option<Branded<'_>> = None;
    arena.scoped_branded(|b| scope = Some(b));
}
