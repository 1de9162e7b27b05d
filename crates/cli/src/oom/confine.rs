//! The child's limits: those that keep it harmless, and the one that it is to meet.

use std::{env, fs, path::PathBuf, process};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::{
    cells::{What, Who},
    plan::Plan,
};
use crate::guard::page_size;

/// Address space beyond what is asked for, for arenas' reservations and whatever a process needs.
const BACKSTOP: u64 = 1 << 30;

/// Sets them, and says where a file may be put now.
pub fn confine(plan: &Plan) -> Result<PathBuf, String> {
    die_with(plan.parent)?;
    // A core dump of what is expected is of use to nobody.
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_CPU, plan.seconds + 1)?;
    let dir = match plan.what {
        What::Disk => small_disk(plan)?,
        _ => plan.spill_dir.clone(),
    };
    if let Some(procs) = &plan.cgroup {
        fs::write(procs, process::id().to_string())
            .map_err(|error| format!("cannot enter {}: {error}", procs.display()))?;
    }
    let used = Used::now().ok_or("/proc/self/statm cannot be read")?;
    let memory = plan.memory as u64;
    let backstop = (plan.size as u64).saturating_mul(4).saturating_add(BACKSTOP);
    lower(
        Resource::RLIMIT_AS,
        used.address_space + if plan.what == What::RlimitAs { memory } else { backstop },
    )?;
    if plan.what == What::RlimitData {
        lower(Resource::RLIMIT_DATA, used.data + memory)?;
    }
    Ok(dir)
}

/// Lowers a limit, for good; one that is lower already stays.
fn lower(resource: Resource, most: u64) -> Result<(), String> {
    let cannot = |error| format!("cannot limit {resource:?}: {error}");
    let (_, hard) = getrlimit(resource).map_err(cannot)?;
    // rlim_t is signed on some systems.
    let most = rlim_t::try_from(most).unwrap_or(rlim_t::MAX).min(hard);
    setrlimit(resource, most, most).map_err(cannot)
}

/// What the process has of what is limited, in bytes.
struct Used {
    address_space: u64,
    data: u64,
}

impl Used {
    fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/statm").ok()?;
        let mut pages = text.split_whitespace().map(|pages| pages.parse::<u64>().ok());
        let (size, data) = (pages.next()??, pages.nth(4)??);
        let page = page_size() as u64;
        Some(Used { address_space: size * page, data: data * page })
    }
}

#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> Result<(), String> {
    use nix::sys::{prctl, signal::Signal};

    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| format!("cannot die with the parent: {error}"))?;
    // It may have died before.
    if std::os::unix::process::parent_id() == parent { Ok(()) } else { process::exit(1) }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: u32) -> Result<(), String> {
    Err("only Linux lets a process die with its parent".into())
}

/// A file system of `memory` bytes that only this process sees, and that ends with it.
#[cfg(target_os = "linux")]
fn small_disk(plan: &Plan) -> Result<PathBuf, String> {
    use nix::{
        mount::{MsFlags, mount},
        sched::{CloneFlags, unshare},
    };

    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|error| format!("cannot have a mount namespace (it takes root): {error}"))?;
    // What is mounted here must not be seen outside.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(|error| format!("cannot keep mounts private: {error}"))?;
    let root = env::temp_dir();
    let options = format!("size={},mode=0700", plan.memory);
    mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
        .map_err(|error| format!("cannot mount a tmpfs: {error}"))?;
    if plan.who != Who::Spill {
        return Ok(root);
    }
    // A directory in memory is refused there, with good reason; what stands on one is not recognised.
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
fn small_disk(_plan: &Plan) -> Result<PathBuf, String> {
    Err("only Linux has mount namespaces".into())
}
