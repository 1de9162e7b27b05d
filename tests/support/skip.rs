//! The one way to skip a test, for the tests of every package here.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::FromRawFd;

/// Says that the running test cannot run here, and why: to descriptor 2 directly, because the harness
/// swallows what a passing test prints, and to the file named by `HIGHWATER_SKIPS`. Return afterwards.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIP {}: {reason}\n", thread.name().unwrap_or("?"));
    // SAFETY: descriptor 2 is open for as long as the process lives, and is not closed here.
    let mut stderr = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(2) });
    let _ = stderr.write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("HIGHWATER_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("HIGHWATER_SKIPS can be written");
    }
}
