//! Exchanging whole arenas, scopes and guards is allowed where nothing borrows from what they were, and what
//! was allocated from them stays good.

use highwater::{Arena, ArenaPool};
use std::mem;

fn main() {
    let (mut one, mut two) = (Arena::new(), Arena::new());
    {
        let (mut a, mut b) = (one.scope(), two.scope());
        let (x, y) = (a.alloc(1u64), b.alloc(2u64));
        mem::swap(&mut a, &mut b);
        let (z, w) = (a.alloc(3u64), b.alloc(4u64));
        let spare = mem::replace(&mut a, b);
        let last = spare.alloc(5u64);
        assert_eq!((*x, *y, *z, *w, *last, *a.alloc(6u64)), (1, 2, 3, 4, 5, 6));
    }
    {
        // A child of one and a scope of the other: both live as long as the shorter of the two.
        let mut root = one.scope();
        let kept = root.alloc(1u64);
        let mut child = root.scope();
        let mut other = two.scope();
        let before = child.alloc(2u64);
        mem::swap(&mut child, &mut other);
        let (after, also) = (other.alloc(3u64), child.alloc(4u64));
        assert_eq!((*kept, *before, *after, *also), (1, 2, 3, 4));
    }
    mem::swap(&mut one, &mut two);
    let pool = ArenaPool::new();
    let mut pooled = pool.get();
    mem::swap(&mut *pooled, &mut one);
    mem::forget(mem::replace(&mut *pooled, Arena::new()));
    assert_eq!(*pooled.alloc(7), 7);
}
