//! Contenders in processes of their own: only these have a peak and faults of their own.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::{self, Read as _, Seek as _},
    process::{Command, Stdio},
};

use serde::de::DeserializeOwned;

use crate::{interrupt, launch};

/// Of what a child says of its failure, in bytes.
const LONGEST: u64 = 64 << 10;

/// A child that has ended. Linux lets its peak begin with what a fork of this process has: measure nothing below that.
#[derive(Debug)]
pub struct Ended {
    pub how: launch::Ended,
    /// What it printed, if that was piped to us.
    pub stdout: String,
}

/// This very command again.
pub fn again<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(args).stdin(Stdio::null());
    Ok(command)
}

/// Runs it to its end, with its stdout piped to us if `piped`; a Ctrl-C is passed on to it.
pub fn run(command: &mut Command, piped: bool) -> io::Result<Ended> {
    if piped {
        command.stdout(Stdio::piped());
    }
    let mut started = launch::start(command)?;
    interrupt::pass_on_to(Some(started.id()));
    let mut bytes = Vec::new();
    // Its end is also the end of the pipe, unless somebody inherited that.
    let read = started.stdout().map(|mut stdout| stdout.read_to_end(&mut bytes)).transpose();
    let how = started.wait(|| interrupt::pass_on_to(None))?;
    read?;
    Ok(Ended { how, stdout: String::from_utf8_lossy(&bytes).into_owned() })
}

/// Runs it; it must go well and print one value as JSON. What went wrong instead is told in a line, with the last one
/// that it said of it.
pub fn json<T: DeserializeOwned>(command: &mut Command) -> Result<T, String> {
    // Without a place for that it goes where ours goes.
    let said = tempfile::tempfile().and_then(|file| Ok((file.try_clone()?, file))).ok();
    let said = said.map(|(end, file)| {
        command.stderr(end);
        file
    });
    let ended = run(command, true).map_err(|error| format!("cannot start: {error}"))?;
    if !ended.how.status.success() {
        let why = said.map(last_line).filter(|line| !line.is_empty());
        let why = why.map_or(String::new(), |line| format!(" ({line})"));
        return Err(format!("ended with {}{why}", ended.how.status));
    }
    serde_json::from_str(&ended.stdout).map_err(|error| format!("said {:?}: {error}", ended.stdout))
}

/// Without the `error: ` in front.
fn last_line(mut file: File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.take(LONGEST).read_to_end(&mut bytes));
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
    fn what_a_child_used() {
        let ended = run(Command::new("sh").args(["-c", "echo said; exit 3"]), true).unwrap();
        assert_eq!((ended.how.status.code(), ended.stdout.as_str()), (Some(3), "said\n"));
        let usage = ended.how.usage;
        assert!(ended.how.wall > Duration::ZERO && usage.peak_resident > 0);
        assert!(usage.minor_faults + usage.major_faults > 0);
    }

    #[test]
    fn one_value_or_a_line() {
        let value: u32 = json(Command::new("echo").arg("17")).unwrap();
        assert_eq!(value, 17);
        assert!(json::<u32>(Command::new("echo").arg("no number")).unwrap_err().contains("no number"));
        assert!(json::<u32>(&mut Command::new("false")).unwrap_err().contains("exit status: 1"));
        let why =
            json::<u32>(Command::new("sh").args(["-c", "echo first >&2; echo error: last >&2; exit 4"]));
        assert_eq!(why.unwrap_err(), "ended with exit status: 4 (last)");
        assert!(json::<u32>(&mut Command::new("/no/such/program")).unwrap_err().contains("cannot start"));
    }
}
