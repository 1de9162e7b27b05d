//! The standard library's own collections over arenas and scopes, by its unstable trait.

use super::kind::{self, Scope, new};
use std::collections::VecDeque;

#[test]
fn collections_over_an_arena_and_a_scope() {
    let mut arena = new();
    {
        let mut numbers = Vec::new_in(&arena);
        numbers.extend(0..100_000u64);
        let start = numbers.as_ptr();
        numbers.shrink_to(10);
        assert_eq!((numbers.len(), arena.allocated_bytes()), (100_000, 800_000));
        plain_eq!(numbers.as_ptr(), start, "cut in place");
        assert!(numbers.iter().copied().eq(0..100_000));
    }
    assert_eq!(arena.allocated_bytes(), 0);

    let mut root = arena.scope();
    let kept = root.alloc_str("kept");
    let scope = root.scope();
    let mut queue: VecDeque<u64, &Scope<'_>> = VecDeque::new_in(&scope);
    let mut boxes = Vec::new_in(&scope);
    for n in 0..5000u64 {
        queue.push_front(n);
        boxes.push(Box::new_in([n; 2], &scope));
    }
    assert!(queue.iter().rev().copied().eq(0..5000) && boxes.iter().zip(0..).all(|(b, n)| **b == [n; 2]));
    assert_eq!(kept, "kept");
}
