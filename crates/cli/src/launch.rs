//! Starts a program and waits for it, with the resource usage the kernel counted.

use std::{
    io, mem,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, ChildStdout, Command, ExitStatus},
    time::{Duration, Instant},
};

/// The status for a command that does not exist, as in shells.
const NOT_FOUND: u8 = 127;
/// The status for a command that cannot be run, as in shells.
const CANNOT_RUN: u8 = 126;

/// A program that is running.
pub struct RunningChild {
    child: Child,
    started_at: Instant,
}

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub struct ProcessOutcome {
    pub status: ExitStatus,
    /// From just before it was started to its end.
    pub wall: Duration,
    pub usage: ResourceUsage,
}

/// What the kernel counted for a process and all its descendants that were waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    pub user: Duration,
    pub system: Duration,
    /// The peak resident memory of the largest of them, in bytes.
    pub peak_resident: u64,
    /// Page faults without and with input from a disk.
    pub minor_faults: u64,
    pub major_faults: u64,
    /// Context switches: voluntary, because it waited, and involuntary.
    pub voluntary: u64,
    pub involuntary: u64,
}

/// Starts a program.
pub fn start(command: &mut Command) -> io::Result<RunningChild> {
    // With a `pre_exec` closure the child is forked. A vforked child would share the parent's memory until `exec`, and the
    // kernel would count the parent's peak as the child's.
    // SAFETY: the closure does nothing, so it does nothing that is forbidden between fork and exec.
    unsafe { command.pre_exec(|| Ok(())) };
    let started_at = Instant::now();
    Ok(RunningChild { child: command.spawn()?, started_at })
}

impl RunningChild {
    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its stdout, if that is a pipe to this process.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until it ends. `on_exit` is called when it has ended and before its process id can be reused.
    pub fn wait(self, on_exit: impl FnOnce()) -> io::Result<ProcessOutcome> {
        let exited = self.wait_for_exit();
        let wall = self.started_at.elapsed();
        on_exit();
        exited?;
        let (mut status, mut usage) = (0, no_usage());
        loop {
            // SAFETY: the call writes to `status` and `usage`, two locals of the types it expects.
            let done = unsafe { libc::wait4(self.pid(), &raw mut status, 0, &raw mut usage) };
            if done >= 0 {
                return Ok(ProcessOutcome {
                    status: ExitStatus::from_raw(status),
                    wall,
                    usage: ResourceUsage::of(&usage),
                });
            }
            retry_if_interrupted()?;
        }
    }

    fn wait_for_exit(&self) -> io::Result<()> {
        loop {
            // SAFETY: `siginfo_t` consists of integers and pointers, for which all zeros is a valid value.
            let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
            let options = libc::WEXITED | libc::WNOWAIT;
            // SAFETY: the call writes to `info`, a local of the type it expects.
            if unsafe { libc::waitid(libc::P_PID, self.id(), &raw mut info, options) } == 0 {
                return Ok(());
            }
            retry_if_interrupted()?;
        }
    }

    fn pid(&self) -> libc::pid_t {
        // Every process id fits.
        libc::pid_t::try_from(self.id()).unwrap_or_default()
    }
}

/// The error of the last system call, unless a signal interrupted it.
fn retry_if_interrupted() -> io::Result<()> {
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}

fn no_usage() -> libc::rusage {
    // SAFETY: `rusage` consists of integers, for which all zeros is a valid value.
    unsafe { mem::zeroed() }
}

impl ResourceUsage {
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

/// What a wrapper of a program exits with: the program's status, or 128 + the signal that killed it.
pub fn status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// What a wrapper exits with if the program could not be started.
pub fn start_error_status(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN }
}

/// An exit status in words: `status 0`, `SIGKILL`.
pub fn describe(status: ExitStatus) -> String {
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

    fn run_script(script: &str) -> ProcessOutcome {
        let started = start(Command::new("/bin/sh").args(["-c", script])).unwrap();
        let mut exited = false;
        let outcome = started.wait(|| exited = true).unwrap();
        assert!(exited);
        outcome
    }

    #[test]
    fn statuses() {
        let outcome = run_script("exit 7");
        assert_eq!((status(outcome.status), describe(outcome.status)), (7, "status 7".into()));
        let outcome = run_script("kill -9 $$");
        assert_eq!((status(outcome.status), describe(outcome.status)), (137, "SIGKILL".into()));
        let error = start(&mut Command::new("/no/such/program")).err().unwrap();
        assert_eq!(start_error_status(&error), 127);
        let error = start(&mut Command::new("/")).err().unwrap();
        assert_eq!(start_error_status(&error), 126);
    }

    #[test]
    fn the_peak_is_not_that_of_the_parent() {
        // More than the other tests of this process have at a time, which a fork of it starts with.
        let mut ballast = vec![1_u8; 512 << 20];
        ballast[..].fill(2);
        drop(std::hint::black_box(ballast));
        let usage = run_script("exit 0").usage;
        assert!(usage.peak_resident > 0 && usage.minor_faults > 0);
        assert!(usage.peak_resident < 384 << 20, "{usage:?}");
    }
}
