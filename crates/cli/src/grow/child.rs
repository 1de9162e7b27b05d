//! Runs a measurement in a separate process.

use std::{env, ffi::OsString};

use super::{args::CandidateKind, report::GrowRun};
use crate::{
    failure::{Failure, INTERRUPTED},
    lab::process,
};

/// The outcome of a run in a separate process.
pub enum ChildOutcome {
    /// It printed a result, which may be partial.
    Completed(Box<GrowRun>),
    /// It printed no result; a process that exited by itself has printed the reason on stderr.
    Failed {
        /// Its exit status, if no signal killed it.
        status: Option<u8>,
        /// The status in words.
        reason: String,
    },
}

/// Runs this command again to measure one candidate. A separate process has its own peak memory.
pub fn measure(allocator: CandidateKind) -> Result<ChildOutcome, Failure> {
    let cannot = |error| Failure::runtime(format!("cannot measure {}: {error}", allocator.name()));
    let mut arguments = env::args_os().skip(1);
    // The option goes right after the subcommand; after a `--` it would be a path.
    let subcommand: Option<OsString> = arguments.next();
    let measure = OsString::from(format!("--measure={}", allocator.name()));
    let args = subcommand.into_iter().chain([measure]).chain(arguments);
    let mut command = process::this_command(args).map_err(cannot)?;
    let process::ChildOutput { outcome, stdout } = process::run(&mut command, true).map_err(cannot)?;

    let status = outcome.status;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if matches!(code, Some(0 | INTERRUPTED))
        && let Ok(run) = serde_json::from_str::<GrowRun>(&stdout)
    {
        return Ok(ChildOutcome::Completed(Box::new(run)));
    }
    Ok(ChildOutcome::Failed {
        status: code.filter(|&code| code != 0),
        reason: format!("ended with {status}"),
    })
}
