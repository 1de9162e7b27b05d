//! Memory cgroups for children, where this process may make some.

use super::skip;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// What one version calls its files.
#[derive(Clone, Copy)]
struct Version {
    limit: &'static str,
    /// With swap (version 1), or swap alone (version 2), and what to write there.
    swap: &'static str,
    usage: &'static str,
}

const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
    usage: "memory.usage_in_bytes",
};
const V2: Version = Version { limit: "memory.max", swap: "memory.swap.max", usage: "memory.current" };

/// A memory cgroup that is removed when this is dropped.
pub struct Cgroup {
    dir: PathBuf,
    /// As `/proc/self/cgroup` names it.
    path: String,
    version: Version,
}

impl Cgroup {
    /// A cgroup with a limit, below one of those that this process is in; skips the running test otherwise.
    pub fn with_limit(bytes: usize) -> Option<Self> {
        let made = if super::reserves() { own() } else { return None };
        let Some((own, path, version)) = made else {
            skip("no memory cgroup is mounted");
            return None;
        };
        // A cgroup of version 2 with processes in it can have no children with limits. Its parent may.
        let mut at = Some((own.as_path(), Path::new(&path)));
        while let Some((dir, path)) = at {
            if let Some(cgroup) = Self::below(dir, path, version)
                && cgroup.limit(bytes)
                && cgroup.admits()
            {
                return Some(cgroup);
            }
            at = dir.parent().zip(path.parent()).filter(|(dir, _)| dir.join("cgroup.procs").exists());
        }
        skip("this process may not make memory cgroups with limits");
        None
    }

    fn below(dir: &Path, path: &Path, version: Version) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("highwater-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let (dir, path) = (dir.join(&name), path.join(&name).display().to_string());
        fs::create_dir(&dir).ok()?;
        Some(Cgroup { dir, path, version })
    }

    fn limit(&self, bytes: usize) -> bool {
        let limited = fs::write(self.dir.join(self.version.limit), bytes.to_string()).is_ok();
        let swap = if self.version.swap == V1.swap { bytes } else { 0 };
        let _ = fs::write(self.dir.join(self.version.swap), swap.to_string());
        limited
    }

    /// Whether a process can be put in.
    fn admits(&self) -> bool {
        let mut command = Command::new("true");
        self.join(&mut command);
        command.status().is_ok_and(|status| status.success())
    }

    /// A cgroup below this one, without a limit of its own.
    pub fn child(&self) -> Option<Self> {
        let child = Self::below(&self.dir, Path::new(&self.path), self.version);
        let child = child.filter(Cgroup::admits);
        if child.is_none() {
            skip("a memory cgroup cannot have another one below it");
        }
        child
    }

    /// As reports should name it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the bytes in use stand.
    pub fn usage_file(&self) -> PathBuf {
        self.dir.join(self.version.usage)
    }

    /// The bytes in use.
    pub fn usage(&self) -> usize {
        let text = fs::read_to_string(self.usage_file()).unwrap();
        text.trim().parse().unwrap()
    }

    /// Whether memory may be swapped out instead of being refused.
    pub fn may_swap(&self) -> bool {
        let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
        swaps.lines().count() > 1 && !self.dir.join(self.version.swap).exists()
    }

    /// Has a command put itself into this cgroup.
    pub fn join(&self, command: &mut Command) {
        let file = self.dir.join("cgroup.procs");
        let file = std::ffi::CString::new(file.as_os_str().as_bytes()).unwrap();
        let join = move || {
            // SAFETY: between fork and exec, system calls only; the path was made before.
            let written = unsafe {
                let fd = libc::open(file.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                libc::write(fd, c"0".as_ptr().cast(), 1)
            };
            if written == 1 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: as above.
        unsafe { command.pre_exec(join) };
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that was waited for may still be listed for a moment.
        for _ in 0..500 {
            match fs::remove_dir(&self.dir) {
                Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => return,
            }
        }
    }
}

/// The memory cgroup that this process is in: its directory and its path, at the usual mount points.
fn own() -> Option<(PathBuf, String, Version)> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let found = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|name| name == "memory").then_some((path, V1))
    });
    let unified = || text.lines().find_map(|line| Some((line.strip_prefix("0::")?, V2)));
    let (path, version) = found.or_else(unified)?;
    let mount = if version.limit == V1.limit { "/sys/fs/cgroup/memory" } else { "/sys/fs/cgroup" };
    let dir = Path::new(mount).join(path.trim_start_matches('/'));
    dir.join("cgroup.procs").exists().then(|| (dir, path.to_owned(), version))
}
