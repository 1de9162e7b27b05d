//! How the command ends when it cannot do what it was asked to: one line, one status.

use std::{
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::error::ErrorKind;

/// The status of a run that was interrupted, as shells count it (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;

/// A reason to stop, in one line.
#[derive(Debug)]
pub struct Failure {
    /// What the process exits with.
    pub status: u8,
    /// Without the `error: ` in front; line ends become blanks when it is printed.
    pub message: String,
}

impl Failure {
    /// The request cannot be carried out: status 2.
    pub fn refused(message: impl Display) -> Self {
        Self { status: 2, message: message.to_string() }
    }

    /// Something went wrong on the way: status 1.
    pub fn runtime(message: impl Display) -> Self {
        Self { status: 1, message: message.to_string() }
    }

    /// Ctrl-C before there was anything to show.
    pub fn interrupted() -> Self {
        Self { status: INTERRUPTED, message: "interrupted before there was anything to show".into() }
    }

    /// Prints it on stderr and returns the status to exit with.
    pub fn report(&self) -> ExitCode {
        print_error(&self.message);
        ExitCode::from(self.status)
    }
}

/// A wrong command line: one line on stderr and status 2; help that was asked for goes where clap sends it.
pub fn usage(error: &clap::Error) -> ExitCode {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(error.kind(), DisplayHelp | DisplayHelpOnMissingArgumentOrSubcommand | DisplayVersion) {
        // A reader that closes the pipe while the help is printed is no failure.
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    // clap explains itself in paragraphs; the first one names the fault.
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    print_error(&format!("{} (see --help)", first.strip_prefix("error: ").unwrap_or(first)));
    ExitCode::from(2)
}

fn print_error(message: &str) {
    // With stderr closed there is nowhere to report it.
    let _ = writeln!(io::stderr(), "error: {}", one_line(message));
}

/// [`one_line`], cut to what fits in a cell of a table.
pub fn short(text: &str) -> String {
    const LENGTH: usize = 60;
    let text = one_line(text);
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Runs of white space, line ends among them, become one blank.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
