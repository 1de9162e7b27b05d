//! A frame has a size that a check can add to an address: a wrapped sum would pass it.

fn main() {
    let mut arena = highwater::Arena::new();
    let scope = arena.scope();
    let frame = scope.frame::<{ usize::MAX - 7 }>();
    frame.alloc(1u64);
}
