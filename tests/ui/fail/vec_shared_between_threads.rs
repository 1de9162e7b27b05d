//! An append vector is one thread's; a shared one takes what may be sent and shared.

use highwater::{AppendVec, GrowVec, SharedVec};
use std::cell::Cell;
use std::rc::Rc;

fn shared<T: Sync>(_: &T) {}
fn sent<T: Send>(_: T) {}

fn main() {
    shared(&AppendVec::<u8>::new());
    shared(&SharedVec::<Cell<u8>>::new());
    shared(&GrowVec::<Cell<u8>>::new());
    sent(GrowVec::<Rc<u8>>::new());
    sent(AppendVec::<Rc<u8>>::new());
    sent(SharedVec::<Rc<u8>>::new());
}
