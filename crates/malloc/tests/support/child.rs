//! Children that may die, or never end.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ended {
    what: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// It ended as it should, and said nothing on standard error.
    #[track_caller]
    pub fn assert_quiet(&self) -> &Self {
        self.assert_success();
        assert!(self.stderr.is_empty(), "it said something: {self:#?}");
        self
    }

    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        assert!(self.status.success(), "it failed: {self:#?}");
        self
    }

    /// It ended by a signal and said so on standard error, in one line.
    #[track_caller]
    pub fn assert_died(&self, signal: i32, words: &str) -> &Self {
        assert_eq!(self.status.signal(), Some(signal), "it ended otherwise: {self:#?}");
        let said = self.stderr.trim_end_matches('\n');
        assert!(said.contains(words), "{words:?} in {self:#?}");
        assert!(!said.contains('\n'), "more than one line: {self:#?}");
        self
    }
}

/// Runs a command to its end, at most a minute, and keeps what it said.
pub fn run(command: Command) -> Ended {
    run_within(command, Duration::from_secs(60))
}

/// [`run`] with another limit. A command that takes longer is ended with all its children, and the test fails.
#[track_caller]
pub fn run_within(mut command: Command, at_most: Duration) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // What dies on purpose leaves no file of its memory behind.
    limit(&mut command, libc::RLIMIT_CORE, 0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, at_most);
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let what = format!("{command:?}");
    let Some(status) = status else { panic!("{what} did not end in time\n{stdout}\n{stderr}") };
    Ended { what, status, stdout, stderr }
}

fn wait(child: &mut Child, at_most: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + at_most;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: a process group that this child leads, and that is there as long as it was not waited for.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    let _ = child.wait();
    None
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.expect("the output is piped").read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs a command that must succeed, and gives what it said on standard output.
#[track_caller]
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Limits a resource of a command that is started later.
pub fn limit(command: &mut Command, resource: libc::__rlimit_resource_t, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    let set = move || {
        // SAFETY: the structure is initialised.
        match unsafe { libc::setrlimit(resource, &limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: setrlimit is signal-safe, and nothing is allocated.
    unsafe { command.pre_exec(set) };
}
