//! The calls that libc makes cancellation points: made without it.
//!
//! A thread that is to be cancelled (`pthread_cancel`) is unwound from such a point, here through a signal handler, or
//! through frames that nothing may unwind. All of them set `errno`, as libc's do, and are signal-safe.

use core::ffi::{CStr, c_int, c_long};

/// Opens a file to read it.
pub(super) unsafe fn open(path: &CStr) -> c_int {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path is a string.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) as c_int }
}

/// Reads from where the file stands.
pub(super) unsafe fn read(fd: c_int, to: &mut [u8]) -> c_long {
    // SAFETY: `to` is memory to write to.
    unsafe { libc::syscall(libc::SYS_read, fd, to.as_mut_ptr(), to.len()) }
}

/// Reads from the start of the file.
pub(super) unsafe fn read_start(fd: c_int, to: &mut [u8]) -> c_long {
    // (An offset of zero in either half, and in the padding that some processors want before it.)
    // SAFETY: `to` is memory to write to.
    unsafe { libc::syscall(libc::SYS_pread64, fd, to.as_mut_ptr(), to.len(), 0usize, 0usize, 0usize) }
}

/// Writes as much as the file takes.
pub(super) unsafe fn write(fd: c_int, text: &[u8]) -> c_long {
    // SAFETY: `text` is readable memory.
    unsafe { libc::syscall(libc::SYS_write, fd, text.as_ptr(), text.len()) }
}

/// Closes a descriptor.
pub(super) unsafe fn close(fd: c_int) {
    // SAFETY: the caller's to close.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// Gives a part of a file its blocks, or takes them away.
#[cfg(target_pointer_width = "64")]
pub(super) unsafe fn allocate(fd: c_int, mode: c_int, offset: libc::off64_t, len: libc::off64_t) -> c_int {
    // SAFETY: the call takes any numbers.
    unsafe { libc::syscall(libc::SYS_fallocate, fd, mode, offset, len) as c_int }
}

/// The same where an offset takes two registers: libc knows how.
#[cfg(not(target_pointer_width = "64"))]
pub(super) unsafe fn allocate(fd: c_int, mode: c_int, offset: libc::off64_t, len: libc::off64_t) -> c_int {
    // SAFETY: the call takes any numbers.
    unsafe { libc::fallocate64(fd, mode, offset, len) }
}

/// Sleeps, or not as long.
pub(super) fn sleep(nanoseconds: u32) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds.into() };
    // SAFETY: reads the time, and has nowhere to write what is left of it.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, core::ptr::null_mut::<libc::timespec>()) };
}
