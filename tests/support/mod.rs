//! What the integration tests share: skipping, children that may die, and building other packages.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

#[cfg(target_os = "linux")]
pub mod cgroup;
pub mod files;
pub mod guards;
pub mod limits;
pub mod maps;
#[cfg(target_os = "linux")]
pub mod neighbour;
pub mod oom;
pub mod raw;

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

mod skip;
pub use skip::skip;

/// Whether this build grows by fault; skips the running test otherwise.
pub fn has_faults() -> bool {
    let has = highwater::engine() == highwater::Engine::Fault;
    if !has {
        skip("the explicit engine has no faults");
    }
    has
}

/// Whether this build reserves inaccessible address space, as Linux does; skips the running test otherwise.
pub fn reserves() -> bool {
    let reserves = !cfg!(highwater_portable);
    if !reserves {
        skip("portable memory is accessible from the start and belongs to the global allocator");
    }
    reserves
}

/// Whether the running kernel is older than this one.
#[cfg(target_os = "linux")]
pub fn before_linux(version: (u32, u32)) -> bool {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = text.split(['.', '-']).map(|number| number.trim().parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < version
}

/// The variable that names the case which a child runs.
pub const CASE: &str = "HIGHWATER_TEST_CASE";

/// The arguments that have a test binary run its entry point of child processes.
pub const CHILD_ARGS: [&str; 5] = ["child_entry", "--exact", "--ignored", "--nocapture", "--test-threads=1"];

/// A function that runs in a child, and the name that it is started by, which is unique in its binary.
pub type Case = (&'static str, fn());

/// How a child ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The number of the signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    #[track_caller]
    pub fn assert_success(&self) {
        assert!(self.status.success(), "the child failed: {self:#?}");
    }

    #[track_caller]
    pub fn assert_signal(&self, signal: i32) {
        assert_eq!(self.signal(), Some(signal), "the child ended otherwise: {self:#?}");
    }
}

/// Runs one case of this test binary in a child process: the binary's ignored test `child_entry`, which calls
/// [`child_main`]. A child that takes longer than two minutes is killed, and the test fails.
pub fn child(case: &str) -> Ended {
    child_with(case, |_| {})
}

/// [`child`] with changes to the command: limits, environment.
pub fn child_with(case: &str, change: impl FnOnce(&mut Command)) -> Ended {
    let mut command = case_command(case);
    change(&mut command);
    run(command)
}

/// Starts one case of this test binary and does not wait for it.
pub fn spawn_case(case: &str, change: impl FnOnce(&mut Command)) -> Child {
    let mut command = case_command(case);
    change(&mut command);
    command.spawn().expect("the command starts")
}

fn case_command(case: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test binary has a path"));
    command.args(CHILD_ARGS).env(CASE, case);
    command
}

/// Runs a command to its end, at most two minutes, and keeps what it said.
pub fn run(mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, Duration::from_secs(120));
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else { panic!("{command:?} did not end in time\n{stdout}\n{stderr}") };
    Ended { status, stdout, stderr }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.expect("the output is piped").read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, at_most: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + at_most;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// The body of a binary's `child_entry`, given the cases of its modules: in a child it runs the case that the child was
/// started for and exits with 0 when that returns. In a run that includes ignored tests it does nothing.
pub fn child_main(modules: &[&[Case]]) {
    let Ok(case) = std::env::var(CASE) else { return };
    let mut found = modules.iter().copied().flatten().filter(|(name, _)| *name == case);
    let (_, run) = found.next().unwrap_or_else(|| panic!("no case {case}"));
    assert!(found.next().is_none(), "there are two cases {case}");
    run();
    std::process::exit(0);
}

/// Builds a package's artefacts with `cargo build` once per test run, and returns the directory they are
/// in: a workspace test run builds neither dynamic libraries nor other packages' binaries.
pub fn build_once(arguments: &'static [&'static str]) -> PathBuf {
    static DONE: OnceLock<std::sync::Mutex<Vec<&'static [&'static str]>>> = OnceLock::new();
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/for-tests");
    let release = arguments.contains(&"--release");
    let mut done = DONE.get_or_init(Default::default).lock().unwrap();
    if !done.contains(&arguments) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg("build").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.env("CARGO_TARGET_DIR", &target);
        let output = cargo.output().expect("cargo starts");
        assert!(output.status.success(), "{cargo:?}\n{}", String::from_utf8_lossy(&output.stderr));
        done.push(arguments);
    }
    target.join(if release { "release" } else { "debug" })
}
