//! A parent takes no frame while a child lives.

fn main() {
    let mut arena = highwater::Arena::new();
    let mut root = arena.scope();
    let child = root.scope();
    let frame = root.frame::<8>();
    child.alloc(2u64);
    frame.alloc(1u64);
}
