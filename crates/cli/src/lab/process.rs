//! Runs contenders in separate processes, so that peak memory and faults are their own.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Seek as _},
    process::{Command, Stdio},
};

use serde::de::DeserializeOwned;

use crate::{interrupt, launch};

/// How many bytes of a child's stderr are read at most.
const MAX_STDERR: u64 = 64 << 10;

/// A child that has ended. On Linux its peak starts with the memory of a fork of this process: smaller peaks cannot be
/// measured.
#[derive(Debug)]
pub struct ChildOutput {
    pub outcome: launch::ProcessOutcome,
    /// What it printed, if its stdout was a pipe to this process.
    pub stdout: String,
}

/// A command that runs this executable again.
pub fn this_command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(args).stdin(Stdio::null());
    Ok(command)
}

/// Runs it to its end, with its stdout piped to this process if `piped`; Ctrl-C is forwarded to it.
pub fn run(command: &mut Command, piped: bool) -> io::Result<ChildOutput> {
    if piped {
        command.stdout(Stdio::piped());
    }
    let mut started = launch::start(command)?;
    interrupt::forward_to(Some(started.id()));
    let mut bytes = Vec::new();
    // The pipe ends with the child, unless another process inherited it.
    let read = started.stdout().map(|mut stdout| stdout.read_to_end(&mut bytes)).transpose();
    let outcome = started.wait(|| interrupt::forward_to(None))?;
    read?;
    Ok(ChildOutput { outcome, stdout: String::from_utf8_lossy(&bytes).into_owned() })
}

/// Runs it; it must succeed and print one JSON value. An error is one line, with the last line the child wrote to stderr.
pub fn json<T: DeserializeOwned>(command: &mut Command) -> Result<T, String> {
    // Without a temporary file its stderr is that of this process.
    let stderr = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file))).ok();
    let stderr = stderr.map(|(end, file)| {
        command.stderr(end);
        file
    });
    let output = run(command, true).map_err(|error| format!("cannot start: {error}"))?;
    if !output.outcome.status.success() {
        let line = stderr.map(last_line).filter(|line| !line.is_empty());
        let line = line.map_or(String::new(), |line| format!(" ({line})"));
        return Err(format!("ended with {}{line}", output.outcome.status));
    }
    serde_json::from_str(&output.stdout).map_err(|error| format!("printed {:?}: {error}", output.stdout))
}

/// The last line of the file, without `error: ` in front.
fn last_line(mut file: File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.take(MAX_STDERR).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).filter(|_| read.is_ok());
    let last = last.unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_usage_of_a_child() {
        let output = run(Command::new("sh").args(["-c", "echo said; exit 3"]), true).unwrap();
        assert_eq!((output.outcome.status.code(), output.stdout.as_str()), (Some(3), "said\n"));
        let usage = output.outcome.usage;
        assert!(output.outcome.wall > Duration::ZERO && usage.peak_resident > 0);
        assert!(usage.minor_faults + usage.major_faults > 0);
    }

    #[test]
    fn a_child_prints_one_value_or_fails_in_a_line() {
        let value: u32 = json(Command::new("echo").arg("17")).unwrap();
        assert_eq!(value, 17);
        assert!(json::<u32>(Command::new("echo").arg("no number")).unwrap_err().contains("no number"));
        assert!(json::<u32>(&mut Command::new("false")).unwrap_err().contains("exit status: 1"));
        let error =
            json::<u32>(Command::new("sh").args(["-c", "echo first >&2; echo error: last >&2; exit 4"]));
        assert_eq!(error.unwrap_err(), "ended with exit status: 4 (last)");
        assert!(json::<u32>(&mut Command::new("/no/such/program")).unwrap_err().contains("cannot start"));
    }
}
