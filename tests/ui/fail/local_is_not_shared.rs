//! A part of a shared arena is one thread's at a time.

use highwater::SharedArena;

fn shared<T: Sync>(_: &T) {}

fn main() {
    let arena = SharedArena::new();
    let local = arena.local();
    shared(&local);
    std::thread::scope(|threads| {
        threads.spawn(|| *local.alloc(1));
    });
}
