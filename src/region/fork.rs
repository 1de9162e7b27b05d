//! What a forked child finds where a file-backed region was: nothing that it could be given.
//!
//! A shared mapping of a file in the child would be the parent's memory, so it is not inherited. Its addresses
//! must not become somebody else's either, as long as the child still holds an arena there: the child puts an
//! inaccessible range in their place before it does anything else. (A process made by a bare `clone`, around
//! the C library, does not.)

use super::slot;
use crate::sys;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

/// Sees to it that children forked from now on keep the addresses of file-backed regions.
pub(super) fn keep_addresses() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Relaxed) {
        sys::on_fork_in_child(in_child);
    }
}

extern "C" fn in_child() {
    for slot in slot::live().filter(|slot| slot.was_left_behind()) {
        // SAFETY: nothing is mapped there, and what is would not be replaced.
        unsafe { sys::occupy(slot.base(), slot.tail_end()) };
    }
}
