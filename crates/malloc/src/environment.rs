//! The process's environment, also before the C library has one.

use crate::file::File;
use core::ffi::{CStr, c_char};

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// For an environment that is read from the kernel, once.
static mut READ: [u8; READ_BYTES] = [0; READ_BYTES];
const READ_BYTES: usize = 64 << 10;

/// Calls `each` with every name that begins with `HIGHWATER_` and its value. Nothing is told in a program that runs with
/// more rights than whoever started it. To be called by one thread at a time.
pub(crate) fn each(mut tell: impl FnMut(&[u8], &[u8])) {
    // SAFETY: asks the kernel's vector.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return;
    }
    let mut entry = |entry: &[u8]| {
        let Some(at) = entry.iter().position(|byte| *byte == b'=') else { return };
        let (name, value) = (&entry[..at], &entry[at + 1..]);
        if name.starts_with(b"HIGHWATER_") {
            tell(name, value);
        }
    };
    // SAFETY: nobody changes the environment while the first malloc is made; if it is null, the library was not there yet.
    unsafe {
        let mut at = environ;
        if at.is_null() {
            read_from_kernel().split(|byte| *byte == 0).for_each(entry);
            return;
        }
        while !(*at).is_null() {
            entry(CStr::from_ptr(*at).to_bytes());
            at = at.add(1);
        }
    }
}

/// What the process was started with.
///
/// # Safety
/// One thread at a time calls this.
unsafe fn read_from_kernel() -> &'static [u8] {
    // SAFETY: the buffer is this call's alone.
    let buffer = unsafe { core::slice::from_raw_parts_mut((&raw mut READ).cast::<u8>(), READ_BYTES) };
    let Some(file) = File::open(c"/proc/self/environ") else { return &[] };
    let mut length = 0;
    loop {
        match file.read(&mut buffer[length..]) {
            0 => return &buffer[..length],
            got => length += got,
        }
    }
}
