//! `highwater oom`: run out of memory in many ways, and show how each ends.

pub mod args;
mod cause;
mod cells;
mod cgroup;
mod chart;
mod child;
mod confine;
mod fill;
mod matrix;
mod outcome;
mod plan;
mod progress;
mod table;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    time::{Duration, Instant},
};

use highwater::Engine;

use self::{
    args::OomArgs,
    cells::{LimitKind, OomSubject, guarantee, inapplicable},
    cgroup::MemoryCgroup,
    matrix::OomMatrix,
    outcome::{CellOutcome, Ending},
    plan::OomPlan,
    progress::OomProgress,
};
use crate::{
    failure::{Failure, INTERRUPTED},
    inject,
    interrupt::{self, SecondCtrlC},
    machine, output,
};

/// The time limit of a run.
const RUN_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How much is left free on the disk of a file that arenas spill into.
const DISK_RESERVE: u64 = 256 << 20;

/// Runs the subcommand.
pub fn run(args: &OomArgs) -> Result<ExitCode, Failure> {
    if let Some(plan) = &args.child {
        return fill::run(plan);
    }
    args.check()?;
    inject::requested()?;
    let spill_dir = spill_dir(args)?;
    // A second Ctrl-C is ignored, so that cgroups are removed.
    interrupt::install(SecondCtrlC::Ignore)?;
    let matrix = run_all(args, &spill_dir);
    let broken: Vec<_> = matrix.cells.iter().filter_map(CellOutcome::failure).collect();
    if let Some(file) = &args.svg {
        chart::draw(file, &matrix)
            .map_err(|error| Failure::runtime(format!("cannot draw {}: {error}", file.display())))?;
    }
    let text = if args.json {
        serde_json::to_string_pretty(&matrix).map_err(Failure::runtime)?
    } else {
        table::of(&matrix)
    };
    let status = output::print(&text, ExitCode::SUCCESS)?;
    if interrupt::requested() {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if broken.is_empty() { Ok(status) } else { Err(Failure::runtime(broken.join("; "))) }
}

fn spill_dir(args: &OomArgs) -> Result<PathBuf, Failure> {
    let dir = args.spill_dir.clone().unwrap_or_else(env::temp_dir);
    dir.canonicalize()
        .ok()
        .filter(|dir| dir.is_dir())
        .ok_or_else(|| Failure::refused(format!("--spill-dir {}: no such directory", dir.display())))
}

fn run_all(args: &OomArgs, spill_dir: &Path) -> OomMatrix {
    let mut matrix = OomMatrix {
        command: "oom",
        engine: highwater::engine().to_string(),
        size: args.size as u64,
        memory: args.memory as u64,
        tries: args.tries,
        timeout: args.timeout,
        partial: false,
        as_promised: true,
        cells: Vec::new(),
    };
    let cells = args.cells();
    let progress = OomProgress::new(cells.len());
    let end = Instant::now() + RUN_TIMEOUT;
    for (who, what) in cells {
        if interrupt::requested() || Instant::now() >= end {
            matrix.partial = true;
            break;
        }
        let timeout = args.child_timeout().min(end.saturating_duration_since(Instant::now()));
        match run_cell(args, who, what, timeout, spill_dir, &progress) {
            Some(outcome) => matrix.push(outcome),
            None => matrix.partial = true,
        }
        progress.next();
    }
    matrix
}

/// Runs one cell; `None` if Ctrl-C was pressed meanwhile.
fn run_cell(
    args: &OomArgs,
    who: OomSubject,
    what: LimitKind,
    timeout: Duration,
    spill_dir: &Path,
    progress: &OomProgress,
) -> Option<CellOutcome> {
    let without = |how, reason: String| Some(CellOutcome::without(who, what, how, reason));
    if let Some(reason) = inapplicable(who, what) {
        return without(Ending::NotApplicable, reason.to_owned());
    }
    if let Err(reason) = check_possible(args, who, what, spill_dir) {
        return without(Ending::CannotBeDoneHere, reason);
    }
    progress.show(who, what, 0);
    let group = match (what == LimitKind::Cgroup).then(|| MemoryCgroup::make(args.memory)).transpose() {
        Ok(group) => group,
        Err(reason) => return without(Ending::CannotBeDoneHere, reason),
    };
    let plan = OomPlan {
        who,
        what,
        size: args.size,
        memory: args.memory,
        tries: args.tries,
        seconds: args.timeout,
        parent: process::id(),
        cgroup: group.as_ref().map(MemoryCgroup::procs),
        spill_dir: spill_dir.to_owned(),
    };
    let mut output = match child::run(&plan, timeout, |bytes| progress.show(who, what, bytes)) {
        Ok(output) => output?,
        Err(reason) => return without(Ending::CannotBeDoneHere, reason),
    };
    output.oom_killed = group.and_then(|group| group.kills()).map(|kills| kills > 0);
    let guarantee = guarantee(who, what, highwater::engine() == Engine::Fault);
    Some(CellOutcome::of(who, what, guarantee, args.tries, &output))
}

/// Checks what can be known before a child is started.
fn check_possible(args: &OomArgs, who: OomSubject, what: LimitKind, spill_dir: &Path) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("only Linux has everything that keeps a child harmless".into());
    }
    if who == OomSubject::Spill && !matches!(what, LimitKind::Disk | LimitKind::Region) {
        check_spill_dir(spill_dir, args.size as u64)?;
    }
    if what == LimitKind::Overcommit { check_overcommit(args) } else { Ok(()) }
}

/// Checks that a file of this size fits in the directory, and that the directory is not in memory.
fn check_spill_dir(dir: &Path, bytes: u64) -> Result<(), String> {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::statfs::{TMPFS_MAGIC, statfs};

        let kind = statfs(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        if kind.filesystem_type() == TMPFS_MAGIC {
            return Err(format!("{} is in memory (choose another with --spill-dir)", dir.display()));
        }
    }
    match machine::free_disk(dir) {
        Some(free) if free < bytes.saturating_add(DISK_RESERVE) => {
            Err(format!("{} has too little space (choose another with --spill-dir)", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Checks that the kernel has a strict commit limit that --size exceeds.
fn check_overcommit(args: &OomArgs) -> Result<(), String> {
    let mode = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    if mode.trim() != "2" {
        let mode = if mode.is_empty() { "unknown" } else { mode.trim() };
        return Err(format!("vm.overcommit_memory is {mode}, not 2, and this command does not change it"));
    }
    if !args.limit.contains(&LimitKind::Overcommit) {
        return Err(
            "every process on this machine would be refused memory meanwhile; --limit overcommit runs it"
                .into(),
        );
    }
    let memory = machine::mem_info().ok_or("/proc/meminfo cannot be read")?;
    let (Some(limit), Some(committed)) = (memory.commit_limit, memory.committed) else {
        return Err("/proc/meminfo has no commit limit".into());
    };
    let left = limit.saturating_sub(committed);
    if left < args.size as u64 {
        return Ok(());
    }
    Err(format!("the kernel can still commit {}, which is more than --size", crate::size::human(left)))
}
