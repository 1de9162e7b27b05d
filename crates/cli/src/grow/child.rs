//! A run in a process of its own.

use std::{
    env,
    ffi::OsString,
    io::Read as _,
    process::{Command, Stdio},
};

use super::{args::Allocator, report::Run};
use crate::{
    failure::{Failure, INTERRUPTED},
    interrupt,
};

/// How a run in a process of its own went.
pub enum Ended {
    /// With a result, if only of a part.
    Well(Box<Run>),
    /// Without; a process that chose its status has said why on stderr.
    Badly {
        /// What it exited with, if nothing killed it.
        status: Option<u8>,
        /// The same for people.
        reason: String,
    },
}

/// This very command again, measuring one of them. Only a process of its own has a peak of its own.
pub fn measure(allocator: Allocator) -> Result<Ended, Failure> {
    let cannot = |error| Failure::during(format!("cannot measure {}: {error}", allocator.name()));
    let mut words = env::args_os().skip(1);
    // The subcommand comes first; behind a `--` an option would be a path.
    let subcommand: Option<OsString> = words.next();
    let mut child = Command::new(env::current_exe().map_err(cannot)?)
        .args(subcommand)
        .arg(format!("--measure={}", allocator.name()))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    interrupt::pass_on_to(Some(child.id()));
    let mut text = String::new();
    let read = child.stdout.take().map(|mut stdout| stdout.read_to_string(&mut text)).transpose();
    interrupt::pass_on_to(None);
    let status = child.wait().map_err(cannot)?;
    read.map_err(cannot)?;

    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if matches!(code, Some(0 | INTERRUPTED))
        && let Ok(run) = serde_json::from_str::<Run>(&text)
    {
        return Ok(Ended::Well(Box::new(run)));
    }
    Ok(Ended::Badly { status: code.filter(|&code| code != 0), reason: format!("ended with {status}") })
}
