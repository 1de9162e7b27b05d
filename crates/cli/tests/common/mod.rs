//! What the end-to-end tests share.
#![allow(dead_code)]

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::Write as _,
    os::fd::FromRawFd as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The command, nothing on stdin.
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

/// Says that the running test cannot run here, and why: to descriptor 2 directly, because the harness
/// swallows what a passing test prints, and to the file named by `HIGHWATER_SKIPS`. Return afterwards.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIP {}: {reason}\n", thread.name().unwrap_or("?"));
    // SAFETY: descriptor 2 is open for as long as the process lives, and is not closed here.
    let mut stderr = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(2) });
    let _ = stderr.write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("HIGHWATER_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("HIGHWATER_SKIPS can be written");
    }
}

/// Whether this build reports touches of guards; skips the running test otherwise.
pub fn has_faults() -> bool {
    let has = highwater::engine() == highwater::Engine::Fault;
    if !has {
        skip("the explicit engine has no faults");
    }
    has
}

/// What it said on stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What it said on stdout.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// It must have gone well.
#[track_caller]
pub fn succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// `grow … --json`, which must go well and print one JSON value.
#[track_caller]
pub fn grow_json<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Value {
    let output = highwater().arg("grow").arg("--json").args(args).output().expect("the command starts");
    succeeds(&output);
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON value")
}

/// It must be refused with status 2 and a line on stderr that contains `why`; gives that line.
#[track_caller]
pub fn is_refused<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, why: &str) -> String {
    refused(&grow(args), why)
}

/// The same of a run that is over.
#[track_caller]
pub fn refused(output: &Output, why: &str) -> String {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "one line:\n{said}");
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains(why), "{why:?} in {said}");
    assert!(output.stdout.is_empty(), "nothing on stdout");
    said
}

/// A number that must be there.
#[track_caller]
pub fn number(value: &Value, key: &str) -> f64 {
    let number = value[key].as_f64().unwrap_or_else(|| panic!("{key} is a number in {value}"));
    assert!(number.is_finite());
    number
}

/// A number that must be there and more than nothing.
#[track_caller]
pub fn positive(value: &Value, key: &str) -> f64 {
    let number = number(value, key);
    assert!(number > 0.0, "{key} is {number} in {value}");
    number
}
