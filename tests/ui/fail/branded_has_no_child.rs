//! A child of a branded scope would give its memory up before the brand ends.

use highwater::{Arena, Scope};

fn main() {
    let mut arena = Arena::new();
    arena.scoped_branded(|mut b| {
        let child = b.scope();
        child.alloc(1u64);
        b.scoped(|child| *child.alloc(2u64));
        let _parent: &mut Scope<'_> = &mut b;
    });
}
