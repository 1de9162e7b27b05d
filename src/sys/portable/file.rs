//! Files: those of the kernel do not exist here, and no region is backed by one.

use crate::sys::Errno;
use core::convert::Infallible;
use core::ffi::{CStr, c_int};

/// A file that is open: there is none.
#[derive(Debug)]
pub struct RawFile(Infallible);

impl RawFile {
    /// Always `None`.
    pub fn open(_path: &CStr) -> Option<Self> {
        None
    }

    /// Never called.
    pub fn read(&self, _to: &mut [u8]) -> Option<usize> {
        match self.0 {}
    }

    /// Always `None`.
    pub fn create_new(_path: &CStr) -> Option<Self> {
        None
    }

    /// Never called.
    pub fn write_all(&self, _bytes: &[u8]) -> bool {
        match self.0 {}
    }

    /// Never called.
    pub fn fd(&self) -> c_int {
        match self.0 {}
    }

    /// Never called.
    pub fn identity(&self) -> Option<[u64; 2]> {
        match self.0 {}
    }
}

/// The device and the inode of an open file: not known here.
pub fn file_identity(_fd: c_int) -> Option<[u64; 2]> {
    None
}

/// A file of the kernel's that is kept open: there is none.
pub(crate) struct PolledFile(Infallible);

impl PolledFile {
    /// Always `None`.
    pub(crate) fn open(_path: std::ffi::CString) -> Option<Self> {
        None
    }

    /// Never called.
    pub(crate) fn read<'a>(&self, _to: &'a mut [u8]) -> Option<&'a [u8]> {
        match self.0 {}
    }
}

/// The descriptor of an open file: not known here, so reports go to standard error.
pub(crate) fn raw_fd(_file: &std::fs::File) -> Option<c_int> {
    None
}

/// Writes to standard error, whatever the descriptor.
pub(crate) fn write_all(_fd: c_int, text: &[u8]) -> bool {
    use std::io::Write;
    std::io::stderr().write_all(text).is_ok()
}

/// Not supported.
pub(crate) fn allocate_blocks(_fd: c_int, _offset: usize, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Not supported.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn map_file_over(
    _start: *mut u8,
    _len: usize,
    _fd: c_int,
    _offset: usize,
    _reads_ahead: bool,
) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}
