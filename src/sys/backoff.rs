//! Waiting for another thread, a little longer each turn.
//!
//! Contract: may be called wherever a thread may wait: not in the SIGSEGV handler.

use super::sleep_ns;

/// Waits: a little longer each turn.
pub(super) fn pause(turn: u32) {
    match turn {
        0..64 => core::hint::spin_loop(),
        64..128 => std::thread::yield_now(),
        // The holder may have a lower priority, and not run while this thread does.
        _ => sleep_ns(50_000),
    }
}
