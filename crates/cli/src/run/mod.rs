//! `highwater run`: any program on the malloc library, and what its heap did.

pub mod args;
mod records;
mod signals;
mod table;

use std::{
    env, fs, io,
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use self::{
    args::RunArgs,
    records::{Merged, ProcessRecord, Records},
};
use crate::{
    allocators::{self, MallocPolicy},
    failure::Failure,
    launch::{self, ProcessOutcome},
    output,
};

/// How long to wait for processes that are still running when the command has ended.
const GRACE: Duration = Duration::from_millis(100);

/// The report of a run, as JSON has it.
#[derive(Debug, Serialize)]
struct RunReport {
    command: &'static str,
    /// The command line that was run.
    program: Vec<String>,
    policy: MallocPolicy,
    library: String,
    /// What the program exited with, or which signal killed it.
    status: Option<i32>,
    signal: Option<i32>,
    ended: String,
    wall_ns: u64,
    /// Of the program and all its descendants that were waited for, as counted by the kernel.
    user_ns: u64,
    system_ns: u64,
    minor_faults: u64,
    major_faults: u64,
    peak_resident: u64,
    /// Records that could not be read.
    unreadable: usize,
    merged: Merged,
    processes: Vec<ProcessRecord>,
}

/// Runs the subcommand.
pub fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let policy = policy(args)?;
    let library = allocators::library(args.malloc_lib.as_deref())?;
    let [program, words @ ..] = args.command.as_slice() else {
        return Err(Failure::refused("nothing to run"));
    };
    if let Some(Some(file)) = &args.json {
        // The file is checked before anything runs.
        let opened = fs::OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| Failure::refused(format!("cannot write {}: {error}", file.display())))?;
    }
    // From here on a signal does not end this process, which would leave the directory behind.
    signals::install()?;
    let records = tempfile::Builder::new()
        .prefix("highwater-run-")
        .tempdir()
        .and_then(|dir| Ok((dir.path().canonicalize()?, dir)))
        .map_err(|error| Failure::runtime(format!("cannot make a directory for the records: {error}")))?;

    let mut command = Command::new(program);
    command.args(words).env("HIGHWATER_MALLOC", policy.as_str()).env("HIGHWATER_STATS", &records.0);
    allocators::preload(&mut command, &library);
    let sizes = [("HIGHWATER_RESERVE", args.reserve), ("HIGHWATER_LIMIT", args.limit)];
    command.envs(sizes.into_iter().filter_map(|(name, size)| Some((name, size?.to_string()))));
    command.envs(args.hardened.then_some(("HIGHWATER_HARDENED", "1")));
    command.envs(args.guards.map(|every| ("HIGHWATER_GUARDS", every.to_string())));

    let started = match launch::start(&mut command) {
        Ok(started) => started,
        Err(error) => {
            let message = format!("cannot run {}: {error}", program.display());
            return Err(Failure { status: launch::start_error_status(&error), message });
        }
    };
    signals::forward_to(Some(started.id()));
    let outcome = started.wait(|| signals::forward_to(None));
    let outcome =
        outcome.map_err(|error| Failure::runtime(format!("cannot wait for the command: {error}")))?;
    let records = read_records(&records.0)
        .map_err(|error| Failure::runtime(format!("cannot read the records of the run: {error}")))?;
    let report = report(args, policy, library.display().to_string(), &outcome, records);
    write_report(args, &report)?;
    Ok(ExitCode::from(launch::status(outcome.status)))
}

/// Reads the records, after the last processes of the run have had a short time to end as well.
fn read_records(dir: &Path) -> io::Result<Records> {
    let end = Instant::now() + GRACE;
    loop {
        let records = Records::read(dir)?;
        if records.merged().running == 0 || Instant::now() >= end {
            return Ok(records);
        }
        thread::sleep(GRACE / 20);
    }
}

/// The policy of the command line, or else of the environment.
fn policy(args: &RunArgs) -> Result<MallocPolicy, Failure> {
    if let Some(policy) = &args.policy {
        return Ok(policy.clone());
    }
    match env::var("HIGHWATER_MALLOC") {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|reason| Failure::refused(format!("HIGHWATER_MALLOC: {reason}")))
        }
        _ => Ok(MallocPolicy::general()),
    }
}

fn report(
    args: &RunArgs,
    policy: MallocPolicy,
    library: String,
    outcome: &ProcessOutcome,
    records: Records,
) -> RunReport {
    use std::os::unix::process::ExitStatusExt as _;

    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    RunReport {
        command: "run",
        program: args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        policy,
        library,
        status: outcome.status.code(),
        signal: outcome.status.signal(),
        ended: launch::describe(outcome.status),
        wall_ns: ns(outcome.wall),
        user_ns: ns(outcome.usage.user),
        system_ns: ns(outcome.usage.system),
        minor_faults: outcome.usage.minor_faults,
        major_faults: outcome.usage.major_faults,
        peak_resident: outcome.usage.peak_resident,
        unreadable: records.unreadable,
        merged: records.merged(),
        processes: records.processes,
    }
}

/// Writes the report to stderr, since stdout belongs to the command, or to a file.
fn write_report(args: &RunArgs, report: &RunReport) -> Result<(), Failure> {
    let Some(file) = &args.json else {
        output::note(&table::of(report));
        return Ok(());
    };
    let text = serde_json::to_string_pretty(report).map_err(Failure::runtime)?;
    let Some(file) = file else {
        output::note(&text);
        return Ok(());
    };
    fs::write(file, text + "\n")
        .map_err(|error| Failure::runtime(format!("cannot write {}: {error}", file.display())))
}
