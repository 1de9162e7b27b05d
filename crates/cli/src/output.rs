//! What goes to stdout.

use std::{
    io::{self, ErrorKind, Write as _},
    process::ExitCode,
};

use crate::failure::Failure;

/// Prints `text` and a line end. A reader that has closed the pipe (`| head`) ends the command quietly with
/// status 0; any other error is a failure.
pub fn print(text: &str, status: ExitCode) -> Result<ExitCode, Failure> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(status),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::runtime(format!("cannot write the result: {error}"))),
    }
}

/// Prints one line on stderr; an error there is ignored.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
