//! What a part of a shared arena handed out outlives the part, and crosses threads.

use highwater::{LocalArena, SharedArena};

fn words<'s>(local: LocalArena<'s>, text: &str) -> Vec<&'s str> {
    text.split(' ').map(|word| &*local.alloc_str(word)).collect()
}

fn main() {
    let arena = SharedArena::new();
    let here = words(arena.local(), "a b");
    let there = std::thread::scope(|threads| threads.spawn(|| words(arena.local(), "c d")).join().unwrap());
    assert_eq!([here, there].concat(), ["a", "b", "c", "d"]);
}
