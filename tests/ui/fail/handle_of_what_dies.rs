//! What has a handle lives as long as the brand, and is shared from then on.

use highwater::Arena;

fn main() {
    let mut arena = Arena::new();
    let outside = 1u64;
    arena.scoped_branded(|b| {
        let inside = 2u64;
        b.try_handle(&inside);
        b.try_handle(&outside);
        let changed = b.alloc(3u64);
        let handle = b.handle(changed);
        *changed = 4;
        b.get(handle);
        let boxed = b.alloc_box(String::from("dropped"));
        b.handle(&*boxed);
    });
}
