//! A bench as a process of its own, which is stopped when it takes too long.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};

use super::sections::Measured;
use crate::{
    failure::{Failure, INTERRUPTED},
    interrupt,
    lab::{Findings, chart::Picture, process},
};

/// Between two looks.
const TICK: Duration = Duration::from_millis(20);
/// What one that was told to stop gets to write down what it has.
const GRACE: Duration = Duration::from_secs(20);

/// Runs it and reads what it found.
pub fn run(words: &[String], limit: Duration) -> Result<Measured, Failure> {
    let line = format!("highwater {}", words.join(" "));
    let cannot = |why: &dyn std::fmt::Display| Failure::during(format!("{line}: {why}"));
    let dir = tempfile::tempdir().map_err(|error| cannot(&error))?;
    let mut child = process::again(words)
        .and_then(|mut command| {
            command.arg("--charts").arg(dir.path()).arg("--json").stdout(Stdio::piped()).spawn()
        })
        .map_err(|error| cannot(&error))?;
    interrupt::pass_on_to(Some(child.id()));
    let reader = child.stdout.take().map(|mut stdout| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes)
        })
    });
    let stopped = wait(&mut child, limit);
    interrupt::pass_on_to(None);
    let status = child.wait().map_err(|error| cannot(&error))?;
    let bytes = reader.and_then(|reader| reader.join().ok()).and_then(Result::ok).unwrap_or_default();
    match status.code() {
        Some(0) => {}
        // With a part of the result, or with nothing.
        Some(code) if code == i32::from(INTERRUPTED) && !bytes.is_empty() => {}
        Some(code) if code == i32::from(INTERRUPTED) && stopped => {
            return Err(cannot(&"stopped after its time, before there was anything to show"));
        }
        Some(code) if code == i32::from(INTERRUPTED) => return Err(Failure::interrupted()),
        _ => return Err(cannot(&format!("ended with {status}"))),
    }
    let mut findings: Findings = serde_json::from_slice(&bytes).map_err(|error| cannot(&error))?;
    findings.command = line.clone();
    for name in &findings.charts {
        findings.pictures.push(picture(dir.path(), name).map_err(|error| cannot(&error))?);
    }
    Ok(Measured { findings, stopped })
}

/// Until it has ended, by itself or because its time was up; it stays to be reaped, so its number is its own.
fn wait(child: &mut Child, limit: Duration) -> bool {
    let start = Instant::now();
    let id = Pid::from_raw(child.id().cast_signed());
    let mut stopped = false;
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while matches!(waitid(Id::Pid(id), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)) {
        if !stopped && start.elapsed() >= limit && !interrupt::requested() {
            stopped = true;
            let _ = kill(id, Signal::SIGINT);
        }
        if start.elapsed() >= limit + GRACE {
            let _ = child.kill();
        }
        thread::sleep(TICK);
    }
    stopped
}

fn picture(dir: &Path, name: &str) -> std::io::Result<Picture> {
    let svg = fs::read_to_string(dir.join(name))?;
    Ok(Picture { name: name.trim_end_matches(".svg").to_owned(), title: String::new(), svg })
}
