//! The explicit engine has no signal to handle.

use core::ffi::{c_int, c_void};
use std::io;

/// The facts of a signal.
#[cfg(unix)]
type SegvInfo = libc::siginfo_t;
/// There are none here.
#[cfg(not(unix))]
type SegvInfo = c_void;

/// Nothing to install.
///
/// # Errors
/// None.
pub fn install() -> io::Result<()> {
    Ok(())
}

/// Whether our handler is the one that SIGSEGV goes to first: it is not, there is none.
pub fn is_front() -> bool {
    false
}

/// Nothing to put in front.
///
/// # Errors
/// None.
pub fn ensure_front() -> io::Result<()> {
    Ok(())
}

/// Nothing to prepare.
///
/// # Errors
/// None.
pub fn prepare_thread() -> io::Result<()> {
    Ok(())
}

/// Whether growth is possible on this thread: it is on every one.
pub fn is_thread_prepared() -> bool {
    true
}

/// No touch is a fault.
#[inline(always)]
pub(crate) fn debug_check_thread(_block: *const u8, _len: usize) {}

/// Whether a fault was a growth of ours: it never is.
///
/// # Safety
/// None is needed; the signature is the fault engine's.
pub unsafe fn try_handle(_signal: c_int, _info: *mut SegvInfo, _context: *mut c_void) -> bool {
    false
}
