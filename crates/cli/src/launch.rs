//! Starting a program and waiting for it, with what the kernel counted.

use std::{
    io, mem,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, ChildStdout, Command, ExitStatus},
    time::{Duration, Instant},
};

/// The status of a wrapped command that is not there, as shells have it.
const NOT_FOUND: u8 = 127;
/// The same of one that cannot be run.
const NOT_RUN: u8 = 126;

/// A program that runs.
pub struct Started {
    child: Child,
    at: Instant,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    pub status: ExitStatus,
    /// From just before it was started to its end.
    pub wall: Duration,
    pub usage: Usage,
}

/// What the kernel counted for a process and all its descendants that were waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    /// The largest of them, in bytes.
    pub peak_resident: u64,
    /// Page faults without input, and with it.
    pub minor_faults: u64,
    pub major_faults: u64,
    /// How often one of them waited, and how often it was made to.
    pub voluntary: u64,
    pub involuntary: u64,
}

/// Starts a program.
pub fn start(command: &mut Command) -> io::Result<Started> {
    // With anything to do before `exec` the child is forked. Otherwise it would be the parent's memory that is given up by
    // `exec`, and its peak the least that the kernel says of the child.
    // SAFETY: the closure does nothing.
    unsafe { command.pre_exec(|| Ok(())) };
    let at = Instant::now();
    Ok(Started { child: command.spawn()?, at })
}

impl Started {
    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it prints, if that is piped to us.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end. `over` is called when it has ended and its number is not free for others yet.
    pub fn wait(self, over: impl FnOnce()) -> io::Result<Ended> {
        let is_over = self.until_over();
        let wall = self.at.elapsed();
        over();
        is_over?;
        let (mut status, mut usage) = (0, no_usage());
        loop {
            // SAFETY: both are written to by the call and nothing else, and are of its types.
            let done = unsafe { libc::wait4(self.pid(), &raw mut status, 0, &raw mut usage) };
            if done >= 0 {
                return Ok(Ended { status: ExitStatus::from_raw(status), wall, usage: Usage::of(&usage) });
            }
            interrupted()?;
        }
    }

    fn until_over(&self) -> io::Result<()> {
        loop {
            // SAFETY: a value of plain words, for which zero is good.
            let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
            let options = libc::WEXITED | libc::WNOWAIT;
            // SAFETY: the value is written to by the call and nothing else.
            if unsafe { libc::waitid(libc::P_PID, self.id(), &raw mut info, options) } == 0 {
                return Ok(());
            }
            interrupted()?;
        }
    }

    fn pid(&self) -> libc::pid_t {
        // Every number of a process is one.
        libc::pid_t::try_from(self.id()).unwrap_or_default()
    }
}

/// The last call's error, unless it was a signal that came meanwhile.
fn interrupted() -> io::Result<()> {
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}

fn no_usage() -> libc::rusage {
    // SAFETY: a value of plain words, for which zero is good.
    unsafe { mem::zeroed() }
}

impl Usage {
    fn of(usage: &libc::rusage) -> Self {
        let time = |time: libc::timeval| {
            let whole = Duration::from_secs(time.tv_sec.try_into().unwrap_or(0));
            whole + Duration::from_micros(time.tv_usec.try_into().unwrap_or(0))
        };
        let count = |count: libc::c_long| u64::try_from(count).unwrap_or(0);
        let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
        Self {
            user: time(usage.ru_utime),
            system: time(usage.ru_stime),
            peak_resident: count(usage.ru_maxrss) * unit,
            minor_faults: count(usage.ru_minflt),
            major_faults: count(usage.ru_majflt),
            voluntary: count(usage.ru_nvcsw),
            involuntary: count(usage.ru_nivcsw),
        }
    }
}

/// What a wrapper of a program exits with: its status, 128 and the signal if one killed it.
pub fn status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// The same if it could not be started.
pub fn status_of_start(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN }
}

/// `status 0`, `SIGKILL`.
pub fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => nix::sys::signal::Signal::try_from(signal)
            .map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().into()),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(script: &str) -> Ended {
        let started = start(Command::new("/bin/sh").args(["-c", script])).unwrap();
        let mut is_over = false;
        let ended = started.wait(|| is_over = true).unwrap();
        assert!(is_over);
        ended
    }

    #[test]
    fn statuses() {
        let ended = ended("exit 7");
        assert_eq!((status(ended.status), words(ended.status)), (7, "status 7".into()));
        let ended = self::ended("kill -9 $$");
        assert_eq!((status(ended.status), words(ended.status)), (137, "SIGKILL".into()));
        let error = start(&mut Command::new("/no/such/program")).err().unwrap();
        assert_eq!(status_of_start(&error), 127);
        let error = start(&mut Command::new("/")).err().unwrap();
        assert_eq!(status_of_start(&error), 126);
    }

    #[test]
    fn the_peak_is_not_the_parents() {
        // More than the tests beside this one have at a time, which a fork of this process begins with.
        let mut ballast = vec![1_u8; 512 << 20];
        ballast[..].fill(2);
        drop(std::hint::black_box(ballast));
        let usage = ended("exit 0").usage;
        assert!(usage.peak_resident > 0 && usage.minor_faults > 0);
        assert!(usage.peak_resident < 384 << 20, "{usage:?}");
    }
}
