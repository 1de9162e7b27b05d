//! A box may look at what its value refers to when it is dropped.

use highwater::Arena;

struct Looks<'s>(&'s String);

impl Drop for Looks<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let arena = Arena::new();
    let _boxed;
    let text = String::from("dies first");
    _boxed = arena.alloc_box(Looks(&text));
}
