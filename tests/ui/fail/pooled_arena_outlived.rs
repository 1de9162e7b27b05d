//! What a pooled or scratch arena allocated does not outlive its guard, nor the guard its pool.

use highwater::{ArenaPool, scratch};

fn main() {
    let pool = ArenaPool::new();
    let value = {
        let arena = pool.get();
        arena.alloc(1u64)
    };
    let other = scratch(&[]).alloc_str("text");
    let guard = ArenaPool::new().get();
    let mut swapped = pool.get();
    let held = swapped.alloc(2u64);
    std::mem::swap(&mut *swapped, &mut highwater::Arena::new());
    assert_eq!((*value, &*other, *held), (1, "text", 2));
    guard.alloc(3u64);
}
