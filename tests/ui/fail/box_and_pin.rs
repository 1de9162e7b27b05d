//! A value that needs to be pinned is not, by a box that can be forgotten before its memory is used again.

use highwater::{Arena, ArenaBox};
use std::marker::PhantomPinned;
use std::pin::Pin;

fn main() {
    let arena = Arena::new();
    let _ = Pin::new(arena.alloc_box(PhantomPinned));
    let _ = ArenaBox::into_pin(arena.alloc_box(PhantomPinned));
    let _ = Pin::new(arena.alloc_box(PhantomPinned).leak());
}
