//! File-backed regions in a forked child: they are not inherited, and their addresses stay occupied.
//!
//! A shared mapping of a file in the child would be the parent's memory, so it is not inherited. Its addresses
//! must not be mapped for another use either, as long as the child still holds an arena there: the child puts an
//! inaccessible range in their place before it does anything else. (A process made by a bare `clone`, around
//! the C library, does not.) A child that shares its parent's memory, as `vfork` makes it, has the mapping.

use super::border::SpillState;
use super::{charge, pool};
use crate::sys;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;

/// Ensures that children forked from now on keep the addresses of file-backed regions, and charge only what they have.
pub(crate) fn keep_addresses() -> Result<(), sys::Errno> {
    // Not a `OnceLock`: a child that was forked in the middle would wait for ever. Twice does no harm.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.load(Relaxed) {
        // First the number that tells the child that it is one.
        sys::init_memory_id()?;
        sys::on_fork_in_child(in_child)?;
        REGISTERED.store(true, Relaxed);
    }
    Ok(())
}

extern "C" fn in_child() {
    for control in pool::live() {
        let border = match control.border.state() {
            SpillState::InFile(border) => border,
            // Half of it may be there. Nothing was committed behind the border yet, so it is memory again.
            SpillState::Switching => control.border.admitted(),
            SpillState::InMemory | SpillState::Failed => continue,
        };
        // The range is ours, and at this moment the process has one thread.
        // SAFETY: the range is the rest of a live region's mapping, whose contents belong to the parent.
        unsafe {
            sys::replace_with_reserved(
                control.base().wrapping_add(border),
                control.reserved().saturating_sub(border),
            )
        };
        if control.border.state() == SpillState::Switching {
            control.border.reset(border);
        } else {
            control.set_committed(control.in_memory(control.frontier.get()));
        }
    }
    let mut charged = 0;
    for control in pool::live() {
        if control.is_not_inherited() {
            sys::reserve_if_free(control.base(), control.tail_end());
            // Nothing is committed here any more, so that a call which asks first is refused.
            control.set_committed(0);
        }
        charged += control.charged();
    }
    charge::recount(charged);
}
