//! One line on standard error, put together without allocating: what an allocator has to say.

pub use crate::report::Bytes;
use crate::sys;
use core::fmt::{self, Write};

/// Writes a line that begins with our name. What is longer than 512 bytes is cut off; `errno` stays.
#[cold]
pub fn say(what: fmt::Arguments<'_>) {
    say_to(2, what);
}

/// The same to another descriptor.
#[cold]
#[inline(never)]
pub fn say_to(to: core::ffi::c_int, what: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; 512], len: 0 };
    let _ = write!(line, "highwater: {what}");
    let end = line.len.min(line.bytes.len() - 1);
    line.bytes[end] = b'\n';
    let errno = nix::errno::Errno::last_raw();
    sys::write_all(to, line.bytes.get(..=end).unwrap_or_default());
    nix::errno::Errno::set_raw(errno);
}

/// The same, and the process ends by SIGABRT.
#[cold]
#[inline(never)]
pub fn die(what: fmt::Arguments<'_>) -> ! {
    say(what);
    std::process::abort()
}

struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        let taken = rest.len().min(text.len());
        rest.iter_mut().zip(text.bytes()).for_each(|(to, byte)| *to = byte);
        self.len += taken;
        Ok(())
    }
}
