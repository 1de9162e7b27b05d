//! Reading a file by calls that are no cancellation points: a thread that is to be cancelled would be unwound from them.

use core::ffi::{CStr, c_int};

/// A file that is open to be read.
pub(crate) struct File(c_int);

impl File {
    /// `None` if it cannot be opened.
    pub(crate) fn open(path: &CStr) -> Option<Self> {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the path is a string.
        let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
        (file >= 0).then_some(File(file as c_int))
    }

    /// How many bytes were read; 0 at the end, and where it cannot be read.
    pub(crate) fn read(&self, to: &mut [u8]) -> usize {
        // SAFETY: `to` is memory to write to.
        let got = unsafe { libc::syscall(libc::SYS_read, self.0, to.as_mut_ptr(), to.len()) };
        usize::try_from(got).unwrap_or(0)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: our own descriptor.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}
