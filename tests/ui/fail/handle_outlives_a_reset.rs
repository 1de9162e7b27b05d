//! While handles can be followed, the arena is neither reset nor used again.

use highwater::Arena;

fn main() {
    let mut arena = Arena::new();
    arena.scoped_branded(|b| {
        let handle = b.handle(b.alloc(1u64));
        arena.reset();
        b.get(handle);
    });
    arena.scoped_branded(|b| {
        let handle = b.handle(b.alloc(1u64));
        arena.scoped_branded(|again| again.get(handle));
    });
}
