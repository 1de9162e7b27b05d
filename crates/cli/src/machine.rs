//! What the machine has, and what this process uses of it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use highwater::internal::sys::MemInfo;
use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        statvfs::statvfs,
        time::TimeSpec,
    },
    time::{ClockId, clock_gettime},
};

/// How much memory can be used, and what limits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Available {
    /// Bytes that can be allocated without reclaiming memory that is in use.
    pub bytes: u64,
    /// `the machine` or `the memory cgroup`.
    pub source: &'static str,
}

/// The figures of `/proc/meminfo`. `None` where the system has no such file.
pub fn mem_info() -> Option<MemInfo> {
    MemInfo::parse(&fs::read("/proc/meminfo").ok()?)
}

/// The memory this process can use. `None` where the system does not report it.
pub fn available() -> Option<Available> {
    let machine = Available { bytes: mem_info()?.available?, source: "the machine" };
    let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = cgroup(Path::new("/sys/fs/cgroup"), &memberships)
        .map(|bytes| Available { bytes, source: "the memory cgroup" });
    Some(group.filter(|group| group.bytes < machine.bytes).unwrap_or(machine))
}

/// Free bytes of the file system that holds `dir`.
pub fn free_disk(dir: &Path) -> Option<u64> {
    let stat = statvfs(dir).ok()?;
    // Both are u64 here and u32 elsewhere.
    #[allow(clippy::useless_conversion)]
    Some(u64::from(stat.blocks_available()).saturating_mul(u64::from(stat.fragment_size())))
}

/// The peak of this process's resident memory, in bytes.
///
/// Not `ru_maxrss` where `/proc` exists: on Linux that value survives `exec`, so a child would report its
/// parent's peak.
pub fn peak_rss() -> Option<u64> {
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        return field(&status, "VmHWM");
    }
    let peak = u64::try_from(getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss()).ok()?;
    Some(if cfg!(target_vendor = "apple") { peak } else { peak * 1024 })
}

/// This process's resident memory now, in bytes.
pub fn rss() -> Option<u64> {
    ProcessMemory::of(Path::new("/proc/self")).map(|memory| memory.resident)
}

/// The memory of a process by its `statm`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessMemory {
    pub address_space: u64,
    pub resident: u64,
}

impl ProcessMemory {
    /// Of a process by its directory: `/proc/self`, `/proc/PID`.
    pub fn of(process: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(process.join("statm")).ok()?, page_size() as u64)
    }

    fn parse(statm: &str, page: u64) -> Option<Self> {
        let mut sizes = statm.split_whitespace().map(|pages| pages.parse::<u64>().ok()?.checked_mul(page));
        Some(Self { address_space: sizes.next()??, resident: sizes.next()?? })
    }
}

/// The page size in bytes.
pub fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page).unwrap_or(4096)
}

/// What `RLIMIT_DATA` counts of this process, in bytes. (The sixth field of `statm` is not it: it includes the stack.)
pub fn data_bytes() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmData")
}

/// Page faults the kernel has served for this process so far.
pub fn page_faults() -> u64 {
    getrusage(UsageWho::RUSAGE_SELF)
        .map_or(0, |usage| (usage.minor_page_faults() + usage.major_page_faults()).max(0).cast_unsigned())
}

/// The processor time this thread has used, in nanoseconds: unlike wall time, it does not count other programs.
pub fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap_or_else(|_| TimeSpec::new(0, 0));
    Duration::from(time).as_nanos() as u64
}

/// The value of a line `Name:   123 kB` of a file in `/proc`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The bytes left by the tightest memory cgroup above this process.
fn cgroup(mount: &Path, memberships: &str) -> Option<u64> {
    memberships
        .lines()
        .filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            if controllers.is_empty() {
                let mixed = mount.join("unified");
                let root = if mixed.is_dir() { mixed } else { mount.to_owned() };
                tightest(&root, path, ["memory.max", "memory.current", "inactive_file"])
            } else if controllers.split(',').any(|name| name == "memory") {
                let files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
                tightest(&mount.join("memory"), path, files)
            } else {
                None
            }
        })
        .min()
}

/// A limit binds every group below it, so every level from the process's own up to the root is read. In a
/// container the path may be the host's; levels that do not exist are skipped.
fn tightest(root: &Path, path: &str, [limit, usage, cache]: [&str; 3]) -> Option<u64> {
    let number = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    let own = root.join(path.trim_start_matches('/'));
    own.ancestors()
        .take_while(|level| level.starts_with(root))
        .filter_map(|level| {
            let left = number(level.join(limit))?.saturating_sub(number(level.join(usage))?);
            // Clean file pages are charged, but the kernel reclaims them when memory is needed.
            let stat = fs::read_to_string(level.join("memory.stat")).unwrap_or_default();
            let cached = stat.lines().find_map(|line| line.strip_prefix(cache)?.trim().parse::<u64>().ok());
            Some(left.saturating_add(cached.unwrap_or(0)))
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(dir: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(dir).unwrap();
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
    }

    #[test]
    fn fields_of_proc_files() {
        let text = "MemTotal:  100 kB\nMemAvailable:   12 kB\nBroken: kB\n";
        assert_eq!(field(text, "MemAvailable"), Some(12 * 1024));
        assert_eq!(field(text, "Mem"), None);
        assert_eq!(field(text, "Broken"), None);
    }

    #[test]
    fn sizes_of_statm_are_pages() {
        let memory = ProcessMemory::parse("1000 25 10 1 0 100 0\n", 4096);
        assert_eq!(memory, Some(ProcessMemory { address_space: 1000 * 4096, resident: 25 * 4096 }));
        assert_eq!(ProcessMemory::parse("1000\n", 4096), None);
    }

    #[test]
    fn the_tightest_level_of_v2_counts() {
        let root = tempfile::tempdir().unwrap();
        level(&root.path().join("a"), &[("memory.max", "1000\n"), ("memory.current", "300\n")]);
        level(&root.path().join("a/b"), &[("memory.max", "max\n"), ("memory.current", "10\n")]);
        assert_eq!(cgroup(root.path(), "0::/a/b\n"), Some(700));
        level(&root.path().join("a"), &[("memory.stat", "anon 5\ninactive_file 50\n")]);
        assert_eq!(cgroup(root.path(), "0::/a/b\n"), Some(750));
    }

    #[test]
    fn a_v1_group_and_a_path_of_the_host() {
        let root = tempfile::tempdir().unwrap();
        let files = [("memory.limit_in_bytes", "500"), ("memory.usage_in_bytes", "600")];
        level(&root.path().join("memory"), &files);
        assert_eq!(cgroup(root.path(), "9:cpu:/\n4:memory:/not/here\n0::/\n"), Some(0));
    }

    #[test]
    fn without_a_cgroup_there_is_no_limit() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(cgroup(root.path(), "0::/\nnonsense\n"), None);
        assert_eq!(cgroup(root.path(), ""), None);
    }

    #[test]
    fn this_process_has_figures_of_its_own() {
        assert!(peak_rss().is_none_or(|bytes| bytes > 0));
        assert!(free_disk(Path::new("/no/such/place")).is_none());
    }
}
