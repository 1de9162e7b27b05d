//! The calling thread's errno, and refusals that set it.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

#[inline]
pub(crate) fn errno() -> c_int {
    // SAFETY: the C library returns the address of the calling thread's errno.
    unsafe { libc::__errno_location().read() }
}

#[inline]
pub(crate) fn set_errno(value: c_int) {
    // SAFETY: the C library returns the address of the calling thread's errno.
    unsafe { libc::__errno_location().write(value) };
}

/// Refuses for lack of memory.
#[cold]
pub(crate) fn out_of_memory() -> *mut c_void {
    set_errno(libc::ENOMEM);
    null_mut()
}

/// Refuses an alignment that is not supported.
#[cold]
pub(crate) fn invalid_argument() -> *mut c_void {
    set_errno(libc::EINVAL);
    null_mut()
}
