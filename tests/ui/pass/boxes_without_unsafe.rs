//! A crate that forbids `unsafe` has its trait objects all the same.

#![forbid(unsafe_code)]

use highwater::{Arena, ArenaBox, arena_box};
use std::fmt::Display;

fn shown<'a>(arena: &'a Arena, words: &[&str]) -> Vec<ArenaBox<'a, dyn Display>> {
    words.iter().map(|word| arena_box!(arena.alloc_box(word.to_string()) => dyn Display)).collect()
}

/// A box, and what it refers to, may stand where a shorter lived one is wanted.
fn shorter<'s, 'l: 's>(boxed: ArenaBox<'l, &'l str>, _: &'s u8) -> ArenaBox<'s, &'s str> {
    boxed
}

fn main() {
    let arena = Arena::new();
    assert_eq!(shown(&arena, &["a", "b"])[1].to_string(), "b");
    let text = String::from("text");
    assert_eq!(*shorter(arena.alloc_box(&*text), &0), "text");
    let local = String::from("borrowed");
    let borrowing = arena_box!(arena.alloc_box(|| local.len()) => dyn Fn() -> usize + '_);
    assert_eq!(borrowing(), 8);
}
