//! A value that needs more alignment than the scope guarantees does not fit a frame at any place.

fn main() {
    let mut arena = highwater::Arena::new();
    let scope = arena.scope();
    let frame = scope.frame::<64>();
    frame.alloc(1u128);
}
