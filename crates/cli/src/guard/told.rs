//! What the child's hook says of the violation, in either format of the report: one line of JSON on stdout.

use std::fmt::{self, Write};

use highwater::guard::Violation;
use serde::{Deserialize, Serialize};

use super::plan::access_name;

/// The line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub kind: String,
    pub access: String,
    pub offset: i64,
    pub distance: usize,
}

/// The hook. It runs inside the signal: no allocation, no lock, no buffer but its own.
pub fn tell(violation: &Violation) {
    let mut line = Line { bytes: [0; 256], len: 0 };
    let written = writeln!(
        line,
        "{{\"kind\":\"{}\",\"access\":\"{}\",\"offset\":{},\"distance\":{}}}",
        violation.kind().name(),
        access_name(violation.access()),
        violation.offset(),
        violation.distance()
    );
    if written.is_ok() {
        // SAFETY: the bytes are readable, and write is async-signal-safe.
        unsafe { libc::write(libc::STDOUT_FILENO, line.bytes.as_ptr().cast(), line.len) };
    }
}

struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
