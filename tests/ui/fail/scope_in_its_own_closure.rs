//! While a closure allocates from a scope nothing makes a child of it or goes back.

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let value = root.alloc_with(|| *root.scope().alloc(1u64));
    assert_eq!(*value, 1);
    let list = root.alloc_iter((0..3).map(|n| *root.scope().alloc(n)));
    assert_eq!(list.len(), 3);
    let slice = arena.alloc_slice_fill_with(3, |i| {
        arena.reset();
        i
    });
    assert_eq!(slice.len(), 3);
}
