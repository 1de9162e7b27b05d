//! Helpers of the end-to-end tests.
#![allow(dead_code)]

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Runs a command and interrupts it by Ctrl-C when `is_time` returns true for a line of progress. Checks its status and
/// returns its stdout.
pub fn interrupted(command: &mut Command, mut is_time: impl FnMut(&str) -> bool) -> String {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert!(progress.read_line(&mut line).unwrap() > 0, "it prints its progress");
        if is_time(&line) {
            break;
        }
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let (mut result, mut rest) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut result).unwrap();
    progress.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{line}{rest}");
    result
}

/// Whether a line of progress says that a run is done.
pub fn has_run(line: &str) -> bool {
    !line.contains(": 0 of")
}

/// The command, without input.
pub fn highwater() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.stdin(Stdio::null());
    command
}

/// `highwater grow …`, to its end.
pub fn grow<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    highwater().arg("grow").args(args).output().expect("the command starts")
}

/// `highwater guard …`, to its end.
pub fn guard<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    highwater().arg("guard").args(args).output().expect("the command starts")
}

#[path = "../../../../tests/support/skip.rs"]
mod skip;
pub use skip::skip;

/// Whether this build reports touches of guards; skips the running test otherwise.
pub fn has_faults() -> bool {
    let has = highwater::engine() == highwater::Engine::Fault;
    if !has {
        skip("the explicit engine has no faults");
    }
    has
}

/// Its stderr as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Its stdout as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that it succeeded.
#[track_caller]
pub fn succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// Runs `grow … --json`, which must succeed and print one JSON value.
#[track_caller]
pub fn grow_json<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Value {
    let output = highwater().arg("grow").arg("--json").args(args).output().expect("the command starts");
    succeeds(&output);
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON value")
}

/// Runs `grow`, which must be refused with a line on stderr that contains `expected`; returns that line.
#[track_caller]
pub fn is_refused<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, expected: &str) -> String {
    refused(&grow(args), expected)
}

/// Checks that a command was refused: status 2, and one line on stderr that contains `expected`; returns that line.
#[track_caller]
pub fn refused(output: &Output, expected: &str) -> String {
    let error = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_eq!(error.lines().count(), 1, "one line:\n{error}");
    assert!(error.starts_with("error: "), "{error}");
    assert!(error.contains(expected), "{expected:?} in {error}");
    assert!(output.stdout.is_empty(), "nothing on stdout");
    error
}

/// A number in a JSON object, which must exist.
#[track_caller]
pub fn number(value: &Value, key: &str) -> f64 {
    let number = value[key].as_f64().unwrap_or_else(|| panic!("{key} is a number in {value}"));
    assert!(number.is_finite());
    number
}

/// A positive number in a JSON object, which must exist.
#[track_caller]
pub fn positive(value: &Value, key: &str) -> f64 {
    let number = number(value, key);
    assert!(number > 0.0, "{key} is {number} in {value}");
    number
}

/// Builds `libhighwater_malloc.so` where the command looks for it in a checkout, once per test run: a test run itself does
/// not build it.
pub fn malloc_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let executable = Path::new(env!("CARGO_BIN_EXE_highwater"));
        let target = executable.ancestors().nth(2).expect("an executable is in the directory of its profile");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--profile", "malloc", "-p", "highwater-malloc"]);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        cargo.current_dir(root).env("CARGO_TARGET_DIR", target).stdin(Stdio::null());
        let output = cargo.output().expect("cargo starts");
        assert!(output.status.success(), "{cargo:?}\n{}", stderr(&output));
        target.join("malloc/libhighwater_malloc.so")
    })
}

/// The command with this project's malloc library, and without variables about preloading in its environment.
pub fn preloading() -> Command {
    let library = malloc_library();
    let mut command = highwater();
    for variable in ["LD_PRELOAD", "HIGHWATER_MALLOC", "HIGHWATER_PEERS"] {
        command.env_remove(variable);
    }
    command.env("HIGHWATER_MALLOC_LIB", library);
    command
}

/// Compiles a C program for a test; without a C compiler this is `None`, and the test is skipped.
pub fn compiled(dir: &Path, name: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let (file, program) = (dir.join(format!("{name}.c")), dir.join(name));
    std::fs::write(&file, source).expect("the directory of a test can be written to");
    let output = match Command::new("gcc").args(flags).arg("-o").arg(&program).arg(&file).output() {
        Ok(output) => output,
        Err(_) => {
            skip("no gcc here");
            return None;
        }
    };
    assert!(output.status.success(), "{}", stderr(&output));
    Some(program)
}
