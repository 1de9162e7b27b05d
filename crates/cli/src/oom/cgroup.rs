//! A memory cgroup for one child, below that of this process or beside it. It is removed when it is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

/// The prefix of the directories' names, before the id of the process that made them.
const PREFIX: &str = "highwater-oom-";
/// How long to retry removing a cgroup, which fails until the kernel has finished the exit of its last process.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A memory cgroup.
pub struct MemoryCgroup {
    dir: PathBuf,
    /// The file that counts OOM kills.
    events: &'static str,
}

/// The file names of a cgroup version.
struct CgroupVersion {
    limit: &'static str,
    /// The limit of memory and swap together (version 1), or of swap alone (version 2).
    swap: &'static str,
    events: &'static str,
    is_v1: bool,
}

const V1: CgroupVersion = CgroupVersion {
    limit: "memory.limit_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
    events: "memory.oom_control",
    is_v1: true,
};
const V2: CgroupVersion =
    CgroupVersion { limit: "memory.max", swap: "memory.swap.max", events: "memory.events", is_v1: false };

impl MemoryCgroup {
    /// Makes a cgroup with a limit of `bytes`, and without swap if the kernel can limit it.
    pub fn make(bytes: usize) -> Result<Self, String> {
        let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let (current, version) = current_cgroup(Path::new("/sys/fs/cgroup"), &memberships)
            .ok_or("this process is in no memory cgroup that is mounted here")?;
        remove_stale(&current);
        // In version 2 a cgroup that has processes cannot have children with limits, but its parent may.
        let beside = if version.is_v1 { None } else { current.parent() };
        let mut last_error = String::new();
        for parent in [Some(current.as_path()), beside].into_iter().flatten() {
            match Self::make_in(parent, &version, bytes) {
                Ok(group) => return Ok(group),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    fn make_in(parent: &Path, version: &CgroupVersion, bytes: usize) -> Result<Self, String> {
        let dir = parent.join(format!("{PREFIX}{}", process::id()));
        fs::create_dir(&dir)
            .map_err(|error| format!("cannot make a cgroup in {}: {error}", parent.display()))?;
        let group = MemoryCgroup { dir, events: version.events };
        fs::write(group.dir.join(version.limit), bytes.to_string())
            .map_err(|error| format!("cannot limit a cgroup in {}: {error}", parent.display()))?;
        let swap = if version.is_v1 { bytes.to_string() } else { "0".to_owned() };
        // Not every kernel can limit swap; the error is ignored.
        let _ = fs::write(group.dir.join(version.swap), swap);
        Ok(group)
    }

    /// The file that moves a process into the cgroup.
    pub fn procs(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// The number of OOM kills in it.
    pub fn kills(&self) -> Option<u64> {
        kills(&fs::read_to_string(self.dir.join(self.events)).ok()?)
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        let end = Instant::now() + REMOVE_TIMEOUT;
        while fs::remove_dir(&self.dir).is_err() && self.dir.exists() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn kills(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The memory cgroup of this process.
fn current_cgroup(mount: &Path, memberships: &str) -> Option<(PathBuf, CgroupVersion)> {
    let cgroups = memberships.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let is_memory = controllers.split(',').any(|name| name == "memory");
        let (dir, version) = match controllers {
            "" => (mount.join(path), V2),
            _ if is_memory => (mount.join("memory").join(path), V1),
            _ => return None,
        };
        // The unified hierarchy may be mounted without the memory controller, beside the hierarchy of version 1.
        let exists = if version.is_v1 {
            dir.join(version.limit).exists()
        } else {
            fs::read_to_string(dir.join("cgroup.controllers"))
                .is_ok_and(|text| text.split(' ').any(|c| c.trim() == "memory"))
        };
        exists.then_some((dir, version))
    });
    cgroups.min_by_key(|(_, version)| !version.is_v1)
}

/// Removes cgroups that killed runs have left.
fn remove_stale(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if id.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_in_both_versions() {
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(kills("low 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(kills("low 0\n"), None);
    }

    #[test]
    fn the_cgroup_of_this_process_is_found() {
        let root = tempfile::tempdir().unwrap();
        let v1 = root.path().join("memory/jobs/7");
        fs::create_dir_all(&v1).unwrap();
        assert!(
            current_cgroup(root.path(), "4:memory:/jobs/7\n0::/\n").is_none(),
            "without a limit file it is not a memory cgroup"
        );
        fs::write(v1.join(V1.limit), "1").unwrap();
        assert_eq!(current_cgroup(root.path(), "4:memory:/jobs/7\n0::/\n").unwrap().0, v1);
        let v2 = root.path().join("slice");
        fs::create_dir_all(&v2).unwrap();
        fs::write(v2.join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert_eq!(current_cgroup(root.path(), "0::/slice\n").unwrap().0, v2);
        assert!(current_cgroup(root.path(), "nonsense\n3:cpu:/\n").is_none());
    }

    #[test]
    fn stale_cgroups_are_removed() {
        let root = tempfile::tempdir().unwrap();
        // No process has that id.
        let (old, live) = (format!("{PREFIX}4294967295"), format!("{PREFIX}{}", process::id()));
        for name in [&old, &live] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        remove_stale(root.path());
        assert!(!root.path().join(old).exists());
        assert!(!Path::new("/proc/self").exists() || root.path().join(live).exists());
    }
}
