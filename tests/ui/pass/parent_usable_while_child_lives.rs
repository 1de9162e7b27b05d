//! What a parent allocated, its frames included, is usable while its children live.

use highwater::Arena;

fn main() {
    let mut arena = Arena::new();
    let mut root = arena.scope();
    let text = root.alloc_str("parent");
    let framed = root.frame::<8>().alloc(1u64);
    let mut child = root.scope();
    let number = child.alloc(2u64);
    {
        let grandchild = child.scope();
        let list = grandchild.alloc_slice_fill_copy(3, *number);
        text.make_ascii_uppercase();
        *number += *framed + list[2];
        *framed += 1;
    }
    assert_eq!((&*text, *number, *framed), ("PARENT", 5, 2));
    assert_eq!(*child.alloc(3u64), 3);
    assert_eq!(*root.alloc_str("again"), *"again");
}
