//! Threads do not share an arena.

fn shared<T: Sync>(_: &T) {}

fn main() {
    shared(&highwater::Arena::new());
}
