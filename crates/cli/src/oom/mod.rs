//! `highwater oom`: run out of memory in every way, and show how that ends.

pub mod args;
mod cells;
mod chart;
mod child;
mod confine;
mod fill;
mod group;
mod matrix;
mod naming;
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
    cells::{What, Who, inapplicable, promise},
    group::Group,
    matrix::Matrix,
    outcome::{How, Outcome},
    plan::Plan,
    progress::Progress,
};
use crate::{
    failure::{Failure, INTERRUPTED},
    inject,
    interrupt::{self, Second},
    machine, output,
};

/// The longest a run may take.
const WHOLE: Duration = Duration::from_secs(15 * 60);
/// What is left free on the disk of a file that arenas spill into.
const SPARE: u64 = 256 << 20;

/// Does what the command line says.
pub fn run(args: &OomArgs) -> Result<ExitCode, Failure> {
    if let Some(plan) = &args.child {
        return fill::run(plan);
    }
    args.check()?;
    inject::asked()?;
    let spill_dir = spill_dir(args)?;
    // A second Ctrl-C has nothing to add: what was made is being removed.
    interrupt::install(Second::IsIgnored)?;
    let matrix = all(args, &spill_dir);
    let broken: Vec<_> = matrix.cells.iter().filter_map(Outcome::failure).collect();
    if let Some(file) = &args.svg {
        chart::draw(file, &matrix)
            .map_err(|error| Failure::during(format!("cannot draw {}: {error}", file.display())))?;
    }
    let text = if args.json {
        serde_json::to_string_pretty(&matrix).map_err(Failure::during)?
    } else {
        table::of(&matrix)
    };
    let status = output::print(&text, ExitCode::SUCCESS)?;
    if interrupt::requested() {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if broken.is_empty() { Ok(status) } else { Err(Failure::during(broken.join("; "))) }
}

fn spill_dir(args: &OomArgs) -> Result<PathBuf, Failure> {
    let dir = args.spill_dir.clone().unwrap_or_else(env::temp_dir);
    dir.canonicalize()
        .ok()
        .filter(|dir| dir.is_dir())
        .ok_or_else(|| Failure::asked(format!("--spill-dir {}: no such directory", dir.display())))
}

fn all(args: &OomArgs, spill_dir: &Path) -> Matrix {
    let mut matrix = Matrix {
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
    let progress = Progress::new(cells.len());
    let end = Instant::now() + WHOLE;
    for (who, what) in cells {
        if interrupt::requested() || Instant::now() >= end {
            matrix.partial = true;
            break;
        }
        let patience = args.patience().min(end.saturating_duration_since(Instant::now()));
        match one(args, who, what, patience, spill_dir, &progress) {
            Some(outcome) => matrix.push(outcome),
            None => matrix.partial = true,
        }
        progress.next();
    }
    matrix
}

/// One cell; `None` if Ctrl-C was pressed meanwhile.
fn one(
    args: &OomArgs,
    who: Who,
    what: What,
    patience: Duration,
    spill_dir: &Path,
    progress: &Progress,
) -> Option<Outcome> {
    let without = |how, reason: String| Some(Outcome::without(who, what, how, reason));
    if let Some(why) = inapplicable(who, what) {
        return without(How::NotApplicable, why.to_owned());
    }
    if let Err(why) = possible(args, who, what, spill_dir) {
        return without(How::CannotBeDoneHere, why);
    }
    progress.show(who, what, 0);
    let group = match (what == What::Cgroup).then(|| Group::make(args.memory)).transpose() {
        Ok(group) => group,
        Err(why) => return without(How::CannotBeDoneHere, why),
    };
    let plan = Plan {
        who,
        what,
        size: args.size,
        memory: args.memory,
        tries: args.tries,
        seconds: args.timeout,
        parent: process::id(),
        cgroup: group.as_ref().map(Group::procs),
        spill_dir: spill_dir.to_owned(),
    };
    let mut ended = match child::run(&plan, patience, |bytes| progress.show(who, what, bytes)) {
        Ok(ended) => ended?,
        Err(why) => return without(How::CannotBeDoneHere, why),
    };
    ended.oom_killed = group.and_then(|group| group.kills()).map(|kills| kills > 0);
    let promise = promise(who, what, highwater::engine() == Engine::Fault);
    Some(Outcome::of(who, what, promise, args.tries, &ended))
}

/// What can be known before a child is started.
fn possible(args: &OomArgs, who: Who, what: What, spill_dir: &Path) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("only Linux has all that keeps a child harmless".into());
    }
    if who == Who::Spill && !matches!(what, What::Disk | What::Region) {
        on_a_disk(spill_dir, args.size as u64)?;
    }
    if what == What::Overcommit { strict(args) } else { Ok(()) }
}

/// Whether a file of so many bytes has room there, and is not in memory again.
fn on_a_disk(dir: &Path, bytes: u64) -> Result<(), String> {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::statfs::{TMPFS_MAGIC, statfs};

        let kind = statfs(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        if kind.filesystem_type() == TMPFS_MAGIC {
            return Err(format!("{} is in memory (--spill-dir names another)", dir.display()));
        }
    }
    match machine::free_disk(dir) {
        Some(free) if free < bytes.saturating_add(SPARE) => {
            Err(format!("{} has too little room (--spill-dir names another)", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Whether the kernel keeps to what it can promise, and the end of that can be met.
fn strict(args: &OomArgs) -> Result<(), String> {
    let mode = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    if mode.trim() != "2" {
        let mode = if mode.is_empty() { "unknown" } else { mode.trim() };
        return Err(format!("vm.overcommit_memory is {mode}, not 2, and is not changed"));
    }
    if !args.limit.contains(&What::Overcommit) {
        return Err("everybody on this machine would be refused meanwhile; --limit overcommit does it".into());
    }
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |name| machine::field(&meminfo, name).ok_or("/proc/meminfo cannot be read");
    let left = field("CommitLimit")?.saturating_sub(field("Committed_AS")?);
    if left < args.size as u64 {
        return Ok(());
    }
    Err(format!("{} can still be promised, which is more than --size", crate::size::human(left)))
}
