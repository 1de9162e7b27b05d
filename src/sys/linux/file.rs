//! Reading and writing files by calls that are no cancellation points.
//!
//! A thread that is cancelled (`pthread_cancel`) is unwound from such a point, here through a signal handler, or through
//! frames that nothing may unwind. So libc's `open`, `read`, `write` and `close` are not used.
//!
//! Contract: signal-safe, except for [`PolledFile::open`] and [`raw_fd`]. Nothing is allocated. errno is set by calls that
//! fail.

use crate::sys::Errno;
use crate::sys::proc_text::pieces;
use core::ffi::{CStr, c_int};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};
use std::ffi::CString;

/// A file that is open.
#[derive(Debug)]
pub struct RawFile(c_int);

impl RawFile {
    /// Opens a file; `None` if it cannot be opened.
    pub fn open(path: &CStr) -> Option<Self> {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the path is a string with a zero at its end.
        let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
        (fd >= 0).then_some(RawFile(fd as c_int))
    }

    /// Reads from the current position: how many bytes, 0 at the end. `None` if it cannot be read.
    pub fn read(&self, to: &mut [u8]) -> Option<usize> {
        // SAFETY: `to` is memory to write to, of the length given.
        let len = unsafe { libc::syscall(libc::SYS_read, self.0, to.as_mut_ptr(), to.len()) };
        usize::try_from(len).ok()
    }

    /// Creates a file that does not exist yet, for its owner alone, to be read and written; `None` if it cannot be created.
    pub fn create_new(path: &CStr) -> Option<Self> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        // SAFETY: the path is a string with a zero at its end.
        let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600) };
        (fd >= 0).then_some(RawFile(fd as c_int))
    }

    /// Writes all bytes at the current position; whether that succeeded.
    pub fn write_all(&self, bytes: &[u8]) -> bool {
        write_all(self.0, bytes)
    }

    /// The descriptor, which stays open until this is dropped.
    pub fn fd(&self) -> c_int {
        self.0
    }

    /// The device and the inode, which tell files apart.
    pub fn identity(&self) -> Option<[u64; 2]> {
        file_identity(self.0)
    }
}

impl Drop for RawFile {
    fn drop(&mut self) {
        // SAFETY: `open` made the descriptor, and nothing else closes it.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// The start of a file, as much as fits. Signal-safe.
pub(super) fn read_file<'a>(path: &CStr, to: &'a mut [u8]) -> Option<&'a [u8]> {
    let len = RawFile::open(path)?.read(to)?;
    to.get(..len)
}

/// Reads a whole file through a buffer and calls `line` with each line that fits into the buffer, until it returns false.
/// Signal-safe.
pub(super) fn each_line(path: &CStr, buffer: &mut [u8], mut line: impl FnMut(&[u8]) -> bool) {
    each_line_dyn(path, buffer, &mut line);
}

/// Compiled once, and not for each caller's closure.
fn each_line_dyn(path: &CStr, buffer: &mut [u8], line: &mut dyn FnMut(&[u8]) -> bool) {
    let Some(file) = RawFile::open(path) else { return };
    let mut filled = 0;
    while let Some(space) = buffer.get_mut(filled..) {
        let Some(read) = file.read(space).filter(|&read| read > 0) else { return };
        filled = filled.wrapping_add(read);
        let mut rest = buffer.get(..filled).unwrap_or_default();
        let mut lines = pieces(rest, b'\n');
        while let Some(complete) = lines.next() {
            // What follows the last line end is not complete.
            let Some(after) = lines.rest() else { break };
            if !line(complete) {
                return;
            }
            rest = after;
        }
        // The start of a line that is not complete is kept; a line that is longer than the buffer is dropped.
        let left = if rest.len() == buffer.len() { 0 } else { rest.len() };
        let from = filled.wrapping_sub(left);
        if from <= filled && filled <= buffer.len() {
            buffer.copy_within(from..filled, 0);
        }
        filled = left;
    }
}

/// The device and the inode of an open file. Signal-safe.
pub fn file_identity(fd: c_int) -> Option<[u64; 2]> {
    let mut facts = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `facts` is a stat to write to.
    let is_known = unsafe { libc::fstat(fd, facts.as_mut_ptr()) } == 0;
    // SAFETY: a stat has no invalid values, and its bytes are zero or what the call wrote.
    let facts = unsafe { facts.assume_init() };
    is_known.then_some([facts.st_dev, facts.st_ino])
}

/// A file of the kernel's that is kept open, to be read from its start again and again.
pub(crate) struct PolledFile {
    path: CString,
    fd: AtomicI32,
    /// The identity of the file when it was opened: a program may close descriptors that it did not open, and their numbers
    /// are used again.
    identity: [AtomicU64; 2],
}

impl PolledFile {
    /// Opens a file; `None` if it cannot be opened.
    pub(crate) fn open(path: CString) -> Option<Self> {
        let file =
            PolledFile { path, fd: AtomicI32::new(-1), identity: [AtomicU64::new(0), AtomicU64::new(0)] };
        file.reopen().then_some(file)
    }

    fn reopen(&self) -> bool {
        let Some(file) = RawFile::open(&self.path) else { return false };
        let Some([device, inode]) = file.identity() else { return false };
        self.identity[0].store(device, Relaxed);
        self.identity[1].store(inode, Relaxed);
        self.fd.store(file.0, Relaxed);
        // Kept open for good.
        core::mem::forget(file);
        true
    }

    /// Reads the file from its start, as much as fits; `None` if it cannot be read (any more). One thread at a time.
    /// Signal-safe.
    pub(crate) fn read<'a>(&self, to: &'a mut [u8]) -> Option<&'a [u8]> {
        let known = [self.identity[0].load(Relaxed), self.identity[1].load(Relaxed)];
        // Where the number belongs to another file by now, it is not ours to close.
        if file_identity(self.fd.load(Relaxed)) != Some(known) && !self.reopen() {
            return None;
        }
        let fd = self.fd.load(Relaxed);
        // (An offset of zero in either half, and in the padding that some processors want before it.)
        // SAFETY: `to` is memory to write to, of the length given.
        let len = unsafe {
            libc::syscall(libc::SYS_pread64, fd, to.as_mut_ptr(), to.len(), 0usize, 0usize, 0usize)
        };
        to.get(..usize::try_from(len).ok()?)
    }
}

/// The descriptor of an open file.
pub(crate) fn raw_fd(file: &std::fs::File) -> Option<c_int> {
    Some(std::os::fd::AsRawFd::as_raw_fd(file))
}

/// Writes all of `text` to a file descriptor, as far as it is accepted; whether all of it was. Signal-safe.
pub(crate) fn write_all(fd: c_int, mut text: &[u8]) -> bool {
    while !text.is_empty() {
        // SAFETY: `text` is readable memory of the length given.
        let written = unsafe { libc::syscall(libc::SYS_write, fd, text.as_ptr(), text.len()) };
        match usize::try_from(written) {
            Ok(0) => return false,
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(_) if Errno::last() == Errno::EINTR => {}
            Err(_) => return false,
        }
    }
    true
}
