//! What is set for the pages of a range: nothing can be.

use crate::sys::Errno;
use core::ffi::CStr;
use core::ptr::NonNull;

/// Not supported.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn install_guard(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Not supported.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn remove_guard(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Whether [`install_guard`] works: it does not.
pub(crate) fn supports_guards() -> bool {
    false
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn advise_huge(_start: NonNull<u8>, _len: usize, _wanted: bool) {}

/// Whether [`advise_huge`] has an effect: it has none.
pub(crate) fn huge_pages_on_advice() -> bool {
    false
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn set_dumpable(_start: *mut u8, _len: usize, _wanted: bool) {}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn set_name(_start: NonNull<u8>, _len: usize, _name: &CStr) {}

/// How many pages are resident: not known here, so none counts.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn resident_pages(_start: *mut u8, _len: usize, _scratch: &mut [u8]) -> usize {
    0
}
