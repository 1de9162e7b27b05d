//! Runs a bench in a separate process, and stops it at its time limit.

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

use super::measurement::SectionResult;
use crate::{
    failure::{Failure, INTERRUPTED},
    interrupt,
    lab::{Findings, chart::Picture, process},
};

/// The interval of checks.
const TICK: Duration = Duration::from_millis(20);
/// How long a bench that was stopped may take to write its result.
const GRACE: Duration = Duration::from_secs(20);

/// Runs a bench and reads its findings.
pub fn run(arguments: &[String], limit: Duration) -> Result<SectionResult, Failure> {
    let line = format!("highwater {}", arguments.join(" "));
    let cannot = |why: &dyn std::fmt::Display| Failure::runtime(format!("{line}: {why}"));
    let dir = tempfile::tempdir().map_err(|error| cannot(&error))?;
    let mut child = process::this_command(arguments)
        .and_then(|mut command| {
            command.arg("--charts").arg(dir.path()).arg("--json").stdout(Stdio::piped()).spawn()
        })
        .map_err(|error| cannot(&error))?;
    interrupt::forward_to(Some(child.id()));
    let reader = child.stdout.take().map(|mut stdout| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes)
        })
    });
    let stopped = wait(&mut child, limit);
    interrupt::forward_to(None);
    let status = child.wait().map_err(|error| cannot(&error))?;
    let bytes = reader.and_then(|reader| reader.join().ok()).and_then(Result::ok).unwrap_or_default();
    match status.code() {
        Some(0) => {}
        // Interrupted with a part of the result.
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
    Ok(SectionResult { findings, stopped })
}

/// Waits until the child has ended, and stops it at the time limit. It is not reaped yet, so its id is not reused.
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
