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
    records::{Merged, Process, Records},
};
use crate::{
    allocators::{self, Policy},
    failure::Failure,
    launch::{self, Ended},
    output,
};

/// How long those that still run when the command has ended are waited for.
const MOMENT: Duration = Duration::from_millis(100);

/// What is told of a run.
#[derive(Debug, Serialize)]
struct Told {
    command: &'static str,
    /// As it was given.
    program: Vec<String>,
    policy: Policy,
    library: String,
    /// What the program exited with, or which signal killed it.
    status: Option<i32>,
    signal: Option<i32>,
    ended: String,
    wall_ns: u64,
    /// Of the program and of all that it waited for, as the kernel has it.
    user_ns: u64,
    system_ns: u64,
    minor_faults: u64,
    major_faults: u64,
    peak_resident: u64,
    /// Records that could not be read.
    unreadable: usize,
    merged: Merged,
    processes: Vec<Process>,
}

/// Does what the command line says.
pub fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let policy = policy(args)?;
    let library = allocators::library(args.malloc_lib.as_deref())?;
    let [program, words @ ..] = args.command.as_slice() else {
        return Err(Failure::asked("nothing to run"));
    };
    if let Some(Some(file)) = &args.json {
        // Before anything runs.
        let opened = fs::OpenOptions::new().create(true).append(true).open(file);
        opened.map_err(|error| Failure::asked(format!("cannot write {}: {error}", file.display())))?;
    }
    // From here on a signal does not end this process, which would leave the directory.
    signals::install()?;
    let records = tempfile::Builder::new()
        .prefix("highwater-run-")
        .tempdir()
        .and_then(|dir| Ok((dir.path().canonicalize()?, dir)))
        .map_err(|error| Failure::during(format!("cannot make a directory for the records: {error}")))?;

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
            return Err(Failure { status: launch::status_of_start(&error), message });
        }
    };
    signals::pass_on_to(Some(started.id()));
    let ended = started.wait(|| signals::pass_on_to(None));
    let ended = ended.map_err(|error| Failure::during(format!("cannot wait for the command: {error}")))?;
    let records = settled(&records.0)
        .map_err(|error| Failure::during(format!("cannot read the records of the run: {error}")))?;
    let told = told(args, policy, library.display().to_string(), &ended, records);
    tell(args, &told)?;
    Ok(ExitCode::from(launch::status(ended.status)))
}

/// The records, when the last processes of the run have had a moment to end as well.
fn settled(dir: &Path) -> io::Result<Records> {
    let end = Instant::now() + MOMENT;
    loop {
        let records = Records::read(dir)?;
        if records.merged().running == 0 || Instant::now() >= end {
            return Ok(records);
        }
        thread::sleep(MOMENT / 20);
    }
}

/// What was asked for, or what the environment says.
fn policy(args: &RunArgs) -> Result<Policy, Failure> {
    if let Some(policy) = &args.policy {
        return Ok(policy.clone());
    }
    match env::var("HIGHWATER_MALLOC") {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|why| Failure::asked(format!("HIGHWATER_MALLOC: {why}")))
        }
        _ => Ok(Policy::general()),
    }
}

fn told(args: &RunArgs, policy: Policy, library: String, ended: &Ended, records: Records) -> Told {
    use std::os::unix::process::ExitStatusExt as _;

    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Told {
        command: "run",
        program: args.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        policy,
        library,
        status: ended.status.code(),
        signal: ended.status.signal(),
        ended: launch::words(ended.status),
        wall_ns: ns(ended.wall),
        user_ns: ns(ended.usage.user),
        system_ns: ns(ended.usage.system),
        minor_faults: ended.usage.minor_faults,
        major_faults: ended.usage.major_faults,
        peak_resident: ended.usage.peak_resident,
        unreadable: records.unreadable,
        merged: records.merged(),
        processes: records.processes,
    }
}

/// On stderr, since stdout is the command's.
fn tell(args: &RunArgs, told: &Told) -> Result<(), Failure> {
    let Some(file) = &args.json else {
        output::note(&table::of(told));
        return Ok(());
    };
    let text = serde_json::to_string_pretty(told).map_err(Failure::during)?;
    let Some(file) = file else {
        output::note(&text);
        return Ok(());
    };
    fs::write(file, text + "\n")
        .map_err(|error| Failure::during(format!("cannot write {}: {error}", file.display())))
}
