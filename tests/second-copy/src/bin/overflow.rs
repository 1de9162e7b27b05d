//! Overflows the stack of the main thread after an arena has grown.

fn main() {
    let arena = highwater::Arena::builder().reserve(64 << 20).build();
    arena.alloc_slice_fill_copy(8 << 20, 1u8);
    println!("ready");
    recurse(0);
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn recurse(depth: usize) -> usize {
    std::hint::black_box([depth; 64]);
    recurse(depth + 1) + std::hint::black_box(1)
}
