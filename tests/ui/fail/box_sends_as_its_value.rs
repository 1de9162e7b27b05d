//! A box goes where its value may go.

use highwater::{Arena, arena_box};
use std::cell::Cell;
use std::rc::Rc;

fn sent<T: Send>(_: T) {}
fn shared<T: Sync>(_: &T) {}

fn main() {
    let arena = Arena::new();
    sent(arena.alloc_box(1u64));
    shared(&arena.alloc_box(1u64));
    sent(arena.alloc_box(Rc::new(1)));
    shared(&arena.alloc_box(Cell::new(1)));
    sent(arena_box!(arena.alloc_box(1u64) => dyn std::fmt::Debug));
    arena_box!(arena.alloc_box(Rc::new(1)) => dyn std::fmt::Debug + Send);
}
