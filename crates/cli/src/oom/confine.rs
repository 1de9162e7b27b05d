//! Sets the child's limits: those that keep it harmless, and the one it is to reach.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::{
    cells::{LimitKind, OomSubject},
    plan::OomPlan,
};
use crate::machine::{self, ProcessMemory};

/// Address space beyond what is requested, for the reservations of arenas and other needs of a process.
const BACKSTOP: u64 = 1 << 30;

/// Sets the limits. Returns the directory for files.
pub fn confine(plan: &OomPlan) -> Result<PathBuf, String> {
    die_with(plan.parent)?;
    // An expected crash needs no core dump.
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_CPU, plan.seconds + 1)?;
    let dir = match plan.what {
        LimitKind::Disk => small_disk(plan)?,
        _ => plan.spill_dir.clone(),
    };
    if let Some(procs) = &plan.cgroup {
        fs::write(procs, process::id().to_string())
            .map_err(|error| format!("cannot enter {}: {error}", procs.display()))?;
    }
    let used = ProcessMemory::of(Path::new("/proc/self")).ok_or("/proc/self/statm cannot be read")?;
    let memory = plan.memory as u64;
    let backstop = (plan.size as u64).saturating_mul(4).saturating_add(BACKSTOP);
    lower(
        Resource::RLIMIT_AS,
        used.address_space + if plan.what == LimitKind::RlimitAs { memory } else { backstop },
    )?;
    if plan.what == LimitKind::RlimitData {
        let data = machine::data_bytes().ok_or("/proc/self/status cannot be read")?;
        lower(Resource::RLIMIT_DATA, data + memory)?;
    }
    Ok(dir)
}

/// Lowers a soft and hard limit; a limit that is lower already stays.
fn lower(resource: Resource, limit: u64) -> Result<(), String> {
    let cannot = |error| format!("cannot limit {resource:?}: {error}");
    let (_, hard) = getrlimit(resource).map_err(cannot)?;
    // rlim_t is signed on some systems.
    let limit = rlim_t::try_from(limit).unwrap_or(rlim_t::MAX).min(hard);
    setrlimit(resource, limit, limit).map_err(cannot)
}

#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> Result<(), String> {
    use nix::sys::{prctl, signal::Signal};

    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("cannot die with the parent: {error}"))?;
    // The parent may have died before the call.
    if std::os::unix::process::parent_id() == parent { Ok(()) } else { process::exit(1) }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: u32) -> Result<(), String> {
    Err("only Linux can end a process when its parent dies".into())
}

/// Mounts a file system of `memory` bytes that only this process sees, and that is removed when it ends.
#[cfg(target_os = "linux")]
fn small_disk(plan: &OomPlan) -> Result<PathBuf, String> {
    use nix::{
        mount::{MsFlags, mount},
        sched::{CloneFlags, unshare},
    };

    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("cannot create a mount namespace (this needs root): {error}"))?;
    // Mounts must not propagate out of the namespace.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(|error| format!("cannot keep mounts private: {error}"))?;
    let root = env::temp_dir();
    let options = format!("size={},mode=0700", plan.memory);
    mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|error| format!("cannot mount a tmpfs: {error}"))?;
    if plan.who != OomSubject::Spill {
        return Ok(root);
    }
    // The library refuses to spill to a tmpfs, since that is memory; it does not recognise an overlay on one.
    let names = ["lower", "upper", "work", "merged"];
    for name in names {
        fs::create_dir(root.join(name)).map_err(|error| format!("cannot make a directory: {error}"))?;
    }
    let [lower, upper, work, merged] = names.map(|name| root.join(name));
    let show = |path: &PathBuf| path.display().to_string();
    let options = format!("lowerdir={},upperdir={},workdir={}", show(&lower), show(&upper), show(&work));
    mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|error| format!("cannot mount an overlay: {error}"))?;
    Ok(merged)
}

#[cfg(not(target_os = "linux"))]
fn small_disk(_plan: &OomPlan) -> Result<PathBuf, String> {
    Err("only Linux has mount namespaces".into())
}
