//! What is allocated in a shared arena crosses threads as its type does.

use highwater::SharedArena;
use std::cell::Cell;
use std::rc::Rc;

fn sent<T: Send>(_: T) {}

fn main() {
    let arena = SharedArena::new();
    sent::<&u32>(arena.alloc(1));
    sent::<&mut Cell<u32>>(arena.alloc(Cell::new(1)));
    sent::<&mut Rc<u32>>(arena.alloc(Rc::new(1)));
    sent::<&Cell<u32>>(arena.local().alloc(Cell::new(1)));
}
