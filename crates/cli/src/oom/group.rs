//! A memory cgroup for one child, below the one of this process or beside it. Removed when it is dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

/// What directories of ours are called, with the id of the process behind it.
const PREFIX: &str = "highwater-oom-";
/// A cgroup cannot be removed while its last process is being taken apart.
const PATIENCE: Duration = Duration::from_secs(5);

/// One that was made.
pub struct Group {
    dir: PathBuf,
    /// Where the kills are counted.
    events: &'static str,
}

/// What the files of a version are called.
struct Version {
    limit: &'static str,
    /// The same with swap counted (version 1), or swap alone (version 2).
    swap: &'static str,
    events: &'static str,
    is_first: bool,
}

const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
    events: "memory.oom_control",
    is_first: true,
};
const V2: Version =
    Version { limit: "memory.max", swap: "memory.swap.max", events: "memory.events", is_first: false };

impl Group {
    /// One with room for so many bytes, and no swap where that can be said.
    pub fn make(bytes: usize) -> Result<Self, String> {
        let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let (own, version) = own(Path::new("/sys/fs/cgroup"), &memberships)
            .ok_or("this process is in no memory cgroup that is mounted here")?;
        sweep(&own);
        // In version 2 a cgroup with processes has no children with limits; its parent may have.
        let beside = if version.is_first { None } else { own.parent() };
        let mut why = String::new();
        for above in [Some(own.as_path()), beside].into_iter().flatten() {
            match Self::below(above, &version, bytes) {
                Ok(group) => return Ok(group),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn below(above: &Path, version: &Version, bytes: usize) -> Result<Self, String> {
        let dir = above.join(format!("{PREFIX}{}", process::id()));
        fs::create_dir(&dir)
            .map_err(|error| format!("cannot make a cgroup in {}: {error}", above.display()))?;
        let group = Group { dir, events: version.events };
        fs::write(group.dir.join(version.limit), bytes.to_string())
            .map_err(|error| format!("cannot limit a cgroup in {}: {error}", above.display()))?;
        let swap = if version.is_first { bytes.to_string() } else { "0".to_owned() };
        // Not every kernel counts swap; without swap there is nothing to be counted.
        let _ = fs::write(group.dir.join(version.swap), swap);
        Ok(group)
    }

    /// The file that takes a process in.
    pub fn procs(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// How many processes the OOM killer has killed in it.
    pub fn kills(&self) -> Option<u64> {
        kills(&fs::read_to_string(self.dir.join(self.events)).ok()?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let end = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.dir).is_err() && self.dir.exists() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn kills(events: &str) -> Option<u64> {
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The memory cgroup of this process.
fn own(mount: &Path, memberships: &str) -> Option<(PathBuf, Version)> {
    let found = memberships.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        let is_memory = controllers.split(',').any(|name| name == "memory");
        let (dir, version) = match controllers {
            "" => (mount.join(path), V2),
            _ if is_memory => (mount.join("memory").join(path), V1),
            _ => return None,
        };
        // The unified hierarchy may be there without the memory controller, beside the one of version 1.
        let is_there = if version.is_first {
            dir.join(version.limit).exists()
        } else {
            fs::read_to_string(dir.join("cgroup.controllers"))
                .is_ok_and(|text| text.split(' ').any(|c| c.trim() == "memory"))
        };
        is_there.then_some((dir, version))
    });
    found.min_by_key(|(_, version)| !version.is_first)
}

/// Removes what runs that were killed have left behind.
fn sweep(above: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
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
    fn the_own_one_is_found() {
        let root = tempfile::tempdir().unwrap();
        let v1 = root.path().join("memory/jobs/7");
        fs::create_dir_all(&v1).unwrap();
        assert!(own(root.path(), "4:memory:/jobs/7\n0::/\n").is_none(), "without a limit it is none");
        fs::write(v1.join(V1.limit), "1").unwrap();
        assert_eq!(own(root.path(), "4:memory:/jobs/7\n0::/\n").unwrap().0, v1);
        let v2 = root.path().join("slice");
        fs::create_dir_all(&v2).unwrap();
        fs::write(v2.join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert_eq!(own(root.path(), "0::/slice\n").unwrap().0, v2);
        assert!(own(root.path(), "nonsense\n3:cpu:/\n").is_none());
    }

    #[test]
    fn what_was_left_behind_is_removed() {
        let root = tempfile::tempdir().unwrap();
        // No process has that id.
        let (old, live) = (format!("{PREFIX}4294967295"), format!("{PREFIX}{}", process::id()));
        for name in [&old, &live] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        sweep(root.path());
        assert!(!root.path().join(old).exists());
        assert!(!Path::new("/proc/self").exists() || root.path().join(live).exists());
    }
}
