//! `arena_box!` sees a box as what its value can be seen as, for as long as it can, and takes the box itself.

use highwater::{Arena, ArenaBox, arena_box};
use std::fmt::{Debug, Display};

struct Plain;

fn forever(text: &str) -> ArenaBox<'static, dyn Display> {
    let arena: &'static Arena = Box::leak(Box::default());
    arena_box!(arena.alloc_box(text) => dyn Display + 'static)
}

fn object_forever<'a>(object: ArenaBox<'a, dyn Display + 'a>) -> ArenaBox<'a, dyn Display + 'static> {
    arena_box!(object => dyn Display + 'static)
}

fn main() {
    let arena = Arena::new();
    arena_box!(arena.alloc_box(Plain) => dyn Debug);
    arena_box!(arena.alloc_box([1u8, 2]) => [u16]);
    arena_box!(arena.alloc_box([1u8, 2]) => [u8; 3]);
    arena_box!(arena.alloc_box(1u8) => i8);
    let mut kept = arena.alloc_box(1u8);
    arena_box!(&mut kept => dyn Debug);
    arena_box!(Box::new(1u8) => dyn Debug);
    forever("not for ever");
}
