//! The child's violation hook: it writes one line of JSON to stdout, whatever the format of the report.

use std::io::Write as _;

use highwater::guard::Violation;
use serde::{Deserialize, Serialize};

use super::plan::access_name;

/// The line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViolationReport {
    pub kind: String,
    pub access: String,
    pub offset: i64,
    pub distance: usize,
}

/// The hook. It runs in the signal handler: no allocation, no lock, only a buffer on the stack.
pub fn write_line(violation: &Violation) {
    let mut buffer = [0; 256];
    let mut rest = &mut buffer[..];
    let written = writeln!(
        rest,
        "{{\"kind\":\"{}\",\"access\":\"{}\",\"offset\":{},\"distance\":{}}}",
        violation.kind().name(),
        access_name(violation.access()),
        violation.offset(),
        violation.distance()
    );
    let len = 256 - rest.len();
    if written.is_ok() {
        // SAFETY: the first `len` bytes of the buffer are initialised, and write is async-signal-safe.
        unsafe { libc::write(libc::STDOUT_FILENO, buffer.as_ptr().cast(), len) };
    }
}
