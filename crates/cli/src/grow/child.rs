//! A run in a process of its own.

use std::{env, ffi::OsString};

use super::{args::Allocator, report::Run};
use crate::{
    failure::{Failure, INTERRUPTED},
    lab::process,
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
    let measure = OsString::from(format!("--measure={}", allocator.name()));
    let args = subcommand.into_iter().chain([measure]).chain(words);
    let mut command = process::again(args).map_err(cannot)?;
    let process::Ended { how, stdout } = process::run(&mut command, true).map_err(cannot)?;

    let status = how.status;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if matches!(code, Some(0 | INTERRUPTED))
        && let Ok(run) = serde_json::from_str::<Run>(&stdout)
    {
        return Ok(Ended::Well(Box::new(run)));
    }
    Ok(Ended::Badly { status: code.filter(|&code| code != 0), reason: format!("ended with {status}") })
}
