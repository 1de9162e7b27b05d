//! A leaked arena's memory is good for ever, and so are its scope's allocations.

use highwater::{Arena, Scope};
use std::cell::RefCell;

thread_local!(static FOREVER: RefCell<Option<Scope<'static>>> = const { RefCell::new(None) });

fn intern(text: &str) -> &'static str {
    FOREVER.with_borrow_mut(|scope| {
        scope.get_or_insert_with(|| Box::leak(Box::new(Arena::new())).scope()).alloc_str(text)
    })
}

fn main() {
    let words: Vec<&'static str> = (0..100).map(|n| intern(&n.to_string())).collect();
    assert_eq!(words[42], "42");
}
