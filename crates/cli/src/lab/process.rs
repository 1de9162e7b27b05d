//! Contenders in processes of their own: only these have a peak and faults of their own.

use std::{
    env,
    ffi::OsStr,
    io::{self, Read as _},
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;

use crate::interrupt;

/// A child that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// What it printed, if that was piped to us.
    pub stdout: String,
    /// From before its start to after its end.
    pub wall: Duration,
    /// Of all its threads, and of its own children that it waited for.
    pub user: Duration,
    /// The same in the kernel.
    pub system: Duration,
    /// The most that the largest of these processes had in memory, in bytes. Linux lets it begin with what the
    /// process that starts the child had at most: measure nothing below that.
    pub peak_rss: u64,
    pub page_faults: u64,
    pub context_switches: u64,
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
    let start = Instant::now();
    let mut child = command.spawn()?;
    interrupt::pass_on_to(Some(child.id()));
    let mut bytes = Vec::new();
    // Its end is also the end of the pipe, unless somebody inherited that.
    let read = child.stdout.take().map(|mut stdout| stdout.read_to_end(&mut bytes)).transpose();
    let over = wait_for_end(child.id());
    let wall = start.elapsed();
    // Before it is reaped, since its id is then free for others.
    interrupt::pass_on_to(None);
    let waited = over.and_then(|()| reap(child.id()));
    let (status, usage) = waited?;
    read?;
    let time = |time: libc::timeval| {
        Duration::new(time.tv_sec.max(0).cast_unsigned(), (time.tv_usec.max(0) * 1000) as u32)
    };
    let count = |number: libc::c_long| number.max(0).cast_unsigned();
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    Ok(Ended {
        status,
        stdout: String::from_utf8_lossy(&bytes).into_owned(),
        wall,
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        peak_rss: count(usage.ru_maxrss) * unit,
        page_faults: count(usage.ru_minflt) + count(usage.ru_majflt),
        context_switches: count(usage.ru_nvcsw) + count(usage.ru_nivcsw),
    })
}

/// Runs it; it must go well and print one value as JSON. What went wrong instead is told in a line.
pub fn json<T: DeserializeOwned>(command: &mut Command) -> Result<T, String> {
    let ended = run(command, true).map_err(|error| format!("cannot start: {error}"))?;
    if !ended.status.success() {
        return Err(format!("ended with {}", ended.status));
    }
    serde_json::from_str(&ended.stdout).map_err(|error| format!("said {:?}: {error}", ended.stdout))
}

/// Until it has ended; it stays to be reaped.
fn wait_for_end(child: u32) -> io::Result<()> {
    // SAFETY: all zeros is a value of this type.
    let mut about = unsafe { std::mem::zeroed::<libc::siginfo_t>() };
    // SAFETY: `about` is there to be written to; the child is ours.
    unsettled(|| unsafe { libc::waitid(libc::P_PID, child, &mut about, libc::WEXITED | libc::WNOWAIT) })
}

/// Its status, and what it used.
fn reap(child: u32) -> io::Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    // SAFETY: all zeros is a value of this type.
    let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
    // SAFETY: both are there to be written to; the child is ours and has not been reaped.
    unsettled(|| unsafe { libc::wait4(child.cast_signed(), &mut status, 0, &mut usage) })?;
    Ok((ExitStatus::from_raw(status), usage))
}

/// Calls again where a signal came in between.
fn unsettled(mut call: impl FnMut() -> libc::c_int) -> io::Result<()> {
    loop {
        if call() >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_used() {
        let ended = run(Command::new("sh").args(["-c", "echo said; exit 3"]), true).unwrap();
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(3), "said\n"));
        assert!(ended.wall > Duration::ZERO && ended.peak_rss > 0 && ended.page_faults > 0);
    }

    #[test]
    fn one_value_or_a_line() {
        let value: u32 = json(Command::new("echo").arg("17")).unwrap();
        assert_eq!(value, 17);
        assert!(json::<u32>(Command::new("echo").arg("no number")).unwrap_err().contains("no number"));
        assert!(json::<u32>(&mut Command::new("false")).unwrap_err().contains("exit status: 1"));
        assert!(json::<u32>(&mut Command::new("/no/such/program")).unwrap_err().contains("cannot start"));
    }
}
