//! A frame's bytes return with its scope, and so does the frame itself.

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let value = {
        let child = root.scope();
        let frame = child.frame::<8>();
        frame.alloc(1u64)
    };
    root.alloc(2u64);
    assert_eq!(*value, 1);
    let frame = root.scope().frame::<8>();
    root.alloc(2u64);
    frame.alloc(1u64);
}
