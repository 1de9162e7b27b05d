//! A value in an arena does not outlive what it refers to, although nothing drops it.

fn main() {
    let arena = highwater::Arena::new();
    let value = {
        let local = 1u64;
        arena.alloc(&local)
    };
    assert_eq!(**value, 1);
}
