//! The memory cgroups that this process is in: found once, outside of any signal.

use crate::sys::Probe;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

/// A cgroup whose limit counts for this process: its own, or an ancestor.
pub(super) struct Level {
    /// As `/proc/self/cgroup` names it.
    pub(super) path: String,
    pub(super) usage: Probe,
    pub(super) limit: Probe,
    pub(super) stat: Probe,
    /// How often the limit was met.
    pub(super) events: Probe,
    /// What stands before the hierarchical figures in `memory.stat`: `total_` in version 1.
    pub(super) prefix: &'static str,
}

/// Where one version keeps its memory controller, and what its files are called.
struct Version {
    usage: &'static str,
    limit: &'static str,
    events: &'static str,
    prefix: &'static str,
}

const V1: Version = Version {
    usage: "memory.usage_in_bytes",
    limit: "memory.limit_in_bytes",
    events: "memory.failcnt",
    prefix: "total_",
};
const V2: Version =
    Version { usage: "memory.current", limit: "memory.max", events: "memory.events", prefix: "" };

/// The cgroups of this process, its own first.
pub(super) fn levels() -> Vec<Level> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    find(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

fn find(cgroups: &str, mounts: &str) -> Vec<Level> {
    let mut levels = Vec::new();
    for line in cgroups.lines() {
        // `4:memory:/jobs/7`, or `0::/jobs/7` for version 2.
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let version = match (number, controllers) {
            ("0", "") => V2,
            (_, controllers) if controllers.split(',').any(|name| name == "memory") => V1,
            _ => continue,
        };
        let kind = if version.prefix.is_empty() { "cgroup2" } else { "cgroup" };
        let Some((mount, root)) = mounts.lines().find_map(|line| mount_of(line, kind)) else { continue };
        climb(&mount, &root, path, &version, &mut levels);
    }
    levels
}

/// The mount point and the root of a cgroup file system with the memory controller, from a line of
/// `/proc/self/mountinfo`: `35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`.
fn mount_of(line: &str, kind: &str) -> Option<(PathBuf, PathBuf)> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    if right.next()? != kind {
        return None;
    }
    let options = right.nth(1)?;
    if kind == "cgroup" && !options.split(',').any(|option| option == "memory") {
        return None;
    }
    let mut left = left.split(' ').skip(3);
    let (root, mount) = (left.next()?, left.next()?);
    Some((unescape(mount), unescape(root)))
}

/// Spaces and the like stand as `\040` in that file.
fn unescape(text: &str) -> PathBuf {
    PathBuf::from(text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
}

/// From a cgroup to the root of what is mounted, every level with a limit of its own.
fn climb(mount: &Path, root: &Path, path: &str, version: &Version, levels: &mut Vec<Level>) {
    // In a container only a part of the tree may be mounted, and the path may begin above it.
    let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(path));
    let inside = inside.strip_prefix("/").unwrap_or(inside);
    let inside = if inside.starts_with("..") { Path::new("") } else { inside };
    let mut at = inside.to_path_buf();
    loop {
        let dir = mount.join(&at);
        let probe = |name: &str| {
            Probe::open(CString::new(dir.join(name).into_os_string().into_encoded_bytes()).ok()?)
        };
        if let (Some(usage), Some(limit), Some(events), Some(stat)) =
            (probe(version.usage), probe(version.limit), probe(version.events), probe("memory.stat"))
        {
            // A handful of bytes per process, for ever: causes lend it out.
            let path = format!("/{}", at.display());
            levels.push(Level { path, usage, limit, stat, events, prefix: version.prefix });
        }
        if !at.pop() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_recognised_by_kind_and_controller() {
        let memory = "35 31 0:32 /a /sys/fs/cgroup/mem\\040ory rw,relatime - cgroup cgroup rw,memory";
        let (mount, root) = mount_of(memory, "cgroup").unwrap();
        assert_eq!((mount.to_str(), root.to_str()), (Some("/sys/fs/cgroup/mem ory"), Some("/a")));
        assert!(mount_of(memory, "cgroup2").is_none());
        assert!(mount_of("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "cgroup").is_none());
        let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mount_of(unified, "cgroup2").unwrap().0, Path::new("/sys/fs/cgroup/unified"));
    }

    #[test]
    fn nonsense_has_no_levels() {
        assert!(find("", "").is_empty());
        assert!(find("0::/x\n4:memory:/y\nx", "nothing\n1 2 3").is_empty());
    }
}
