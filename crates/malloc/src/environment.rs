//! The environment of the process, also before the C library has one.

use core::ffi::{CStr, c_char};
use highwater::internal::sys::RawFile;

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The environment as read from the kernel, once.
static mut BUFFER: [u8; BUFFER_BYTES] = [0; BUFFER_BYTES];
const BUFFER_BYTES: usize = 64 << 10;

/// Calls a function with the name and the value of each variable whose name begins with `HIGHWATER_`; with none in a program
/// that runs with more rights than the user who started it (`AT_SECURE`). One thread at a time may call this.
pub(crate) fn each_variable(mut call: impl FnMut(&[u8], &[u8])) {
    // SAFETY: getauxval reads the vector that the kernel passed, and accepts any number.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return;
    }
    let mut entry = |entry: &[u8]| {
        let Some(at) = entry.iter().position(|byte| *byte == b'=') else { return };
        let (name, value) = (&entry[..at], &entry[at + 1..]);
        if name.starts_with(b"HIGHWATER_") {
            call(name, value);
        }
    };
    // SAFETY: `environ` is null before the C library has set it, and otherwise an array of strings that ends with a null
    // pointer. No thread changes it during the first call of malloc.
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

/// The environment that the process was started with.
///
/// # Safety
/// One thread at a time calls this, and the slice is not used any more when it is called again.
unsafe fn read_from_kernel() -> &'static [u8] {
    // SAFETY: this call has the only reference to the buffer, as this function's contract says.
    let buffer = unsafe { core::slice::from_raw_parts_mut((&raw mut BUFFER).cast::<u8>(), BUFFER_BYTES) };
    let Some(file) = RawFile::open(c"/proc/self/environ") else { return &[] };
    let mut len = 0;
    while let Some(read) = file.read(&mut buffer[len..]).filter(|read| *read > 0) {
        len += read;
    }
    &buffer[..len]
}
