//! One line on standard error, formatted without allocating: the messages of an allocator.

use super::{TextBuffer, preserve_errno, write_all};
use core::ffi::c_int;
use core::fmt::{self, Write};

/// The longest line, the line feed included. The rest of a longer one is cut off.
const LINE_BYTES: usize = 512;

/// Writes `highwater: `, the message and a line feed to standard error. errno is preserved. Signal-safe.
#[cold]
pub fn write_line(message: fmt::Arguments<'_>) {
    write_line_to(2, message);
}

/// [`write_line`] to another file descriptor.
#[cold]
#[inline(never)]
pub fn write_line_to(fd: c_int, message: fmt::Arguments<'_>) {
    let mut bytes = [0; LINE_BYTES];
    let mut line = TextBuffer::new(bytes.get_mut(..LINE_BYTES - 1).unwrap_or_default());
    let _ = write!(line, "highwater: {message}");
    let len = line.written();
    if let Some(end) = bytes.get_mut(len) {
        *end = b'\n';
    }
    preserve_errno(|| write_all(fd, bytes.get(..=len).unwrap_or_default()));
}

/// Writes a line like [`write_line`] and ends the process by SIGABRT.
#[cold]
#[inline(never)]
pub fn abort_with(message: fmt::Arguments<'_>) -> ! {
    write_line(message);
    std::process::abort()
}
