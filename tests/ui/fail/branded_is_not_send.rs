//! A handle is a number and may go anywhere; what follows it stays on its thread, with whatever lies there.

use highwater::Arena;

fn main() {
    let mut arena = Arena::new();
    arena.scoped_branded(|b| {
        let handle = b.handle(b.alloc(std::cell::Cell::new(1)));
        std::thread::scope(|threads| {
            threads.spawn(|| b.get(handle).set(2));
        });
    });
    arena.scoped_branded(|b| std::thread::scope(|threads| _ = threads.spawn(move || b.alloc(1).to_string())));
}
