//! Signals: none is blocked or handled here.

use crate::sys::Errno;

/// Nothing to block: no handler of this library's runs.
pub(crate) fn block_async_signals() -> u64 {
    0
}

/// Nothing to do.
pub(crate) fn restore_signal_mask(_mask: u64) {}

/// Not supported.
///
/// # Errors
/// Always.
pub fn observe_segv(_observer: fn(usize)) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}
