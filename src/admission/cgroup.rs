//! The memory cgroups that this process is in: found once, outside of any signal.

use crate::fallible::{self, Exhausted};
use crate::sys::{PolledFile, decimal, pieces};
use std::path::Path;

/// A cgroup whose limit counts for this process: its own, or an ancestor.
pub(super) struct CgroupLevel {
    /// As `/proc/self/cgroup` names it.
    pub(super) path: String,
    usage: PolledFile,
    limit: PolledFile,
    stat: PolledFile,
    /// How often the limit was met.
    events: PolledFile,
    /// What stands before the hierarchical figures in `memory.stat`: `total_` in version 1.
    prefix: &'static str,
}

/// So many bytes of mapped files count as needed: programs and libraries that are running. The kernel would
/// rather kill than take those away.
const MAX_RUNNING: u64 = 16 << 20;

/// Bytes that count as used, and that the kernel reclaims before it kills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reclaimable {
    /// Clean pages of files, and caches of the kernel's own: there at once.
    pub(super) clean: u64,
    /// Pages of files that have to be written out first, or are just being so.
    pub(super) dirty: u64,
    /// The part of `dirty` that is just being written.
    pub(super) writeback: u64,
}

impl Reclaimable {
    pub(super) fn in_all(&self) -> u64 {
        self.clean.saturating_add(self.dirty)
    }

    /// From the text of `memory.stat`.
    fn parse(stat: &[u8], prefix: &str) -> Self {
        let figure = |name: &str| figure(stat, prefix, name).unwrap_or(0);
        let running = figure("mapped_file").max(figure("file_mapped")).min(MAX_RUNNING);
        let files = figure("inactive_file").saturating_add(figure("active_file")).saturating_sub(running);
        // (Version 1 and version 2 name them differently. Both count pages on their way to swap among those that are written.)
        let writeback = figure("writeback").max(figure("file_writeback")).min(files);
        let dirty = figure("dirty").max(figure("file_dirty")).saturating_add(writeback).min(files);
        let clean = files.saturating_sub(dirty).saturating_add(figure("slab_reclaimable"));
        Reclaimable { clean, dirty, writeback }
    }
}

impl CgroupLevel {
    /// Its limit, if it has one. Signal-safe, as all of these are.
    pub(super) fn limit(&self, buffer: &mut [u8]) -> Option<u64> {
        number(self.limit.read(buffer)?)
    }

    pub(super) fn usage(&self, buffer: &mut [u8]) -> Option<u64> {
        number(self.usage.read(buffer)?)
    }

    pub(super) fn reclaimable(&self, buffer: &mut [u8]) -> Option<Reclaimable> {
        Some(Reclaimable::parse(self.stat.read(buffer)?, self.prefix))
    }

    /// How often the limit was met.
    pub(super) fn failures(&self, buffer: &mut [u8]) -> Option<u64> {
        failures(self.events.read(buffer)?)
    }
}

/// From the text of `memory.failcnt` (version 1) or `memory.events` (version 2).
fn failures(text: &[u8]) -> Option<u64> {
    number(text).or_else(|| figure(text, "", "max"))
}

/// The number at the start of a file; `None` for `max` and for version 1's largest one.
fn number(text: &[u8]) -> Option<u64> {
    decimal(text).filter(|&value| value < 1 << 62)
}

/// The figure of a line like `total_active_file 4096`.
fn figure(stat: &[u8], prefix: &str, name: &str) -> Option<u64> {
    for line in pieces(stat, b'\n') {
        let label = line.strip_prefix(prefix.as_bytes()).and_then(|line| line.strip_prefix(name.as_bytes()));
        if let Some(value) = label.and_then(|rest| number(rest.strip_prefix(b" ")?)) {
            return Some(value);
        }
    }
    None
}

/// Where one version keeps its memory controller, and what its files are called.
struct CgroupFiles {
    usage: &'static str,
    limit: &'static str,
    events: &'static str,
    prefix: &'static str,
}

const V1: CgroupFiles = CgroupFiles {
    usage: "memory.usage_in_bytes",
    limit: "memory.limit_in_bytes",
    events: "memory.failcnt",
    prefix: "total_",
};
const V2: CgroupFiles =
    CgroupFiles { usage: "memory.current", limit: "memory.max", events: "memory.events", prefix: "" };

/// The cgroups of this process, its own first.
pub(super) fn levels() -> Result<Vec<CgroupLevel>, Exhausted> {
    // (The portable calls read no such files, and under Miri's isolation even opening one ends the program.)
    if cfg!(highwater_portable) {
        return Ok(Vec::new());
    }
    let (cgroups, mounts) = (fallible::read("/proc/self/cgroup")?, fallible::read("/proc/self/mountinfo")?);
    find(&cgroups, &mounts)
}

fn find(cgroups: &[u8], mounts: &[u8]) -> Result<Vec<CgroupLevel>, Exhausted> {
    let mut levels = Vec::new();
    for line in pieces(cgroups, b'\n') {
        // `4:memory:/jobs/7`, or `0::/jobs/7` for version 2.
        let mut parts = pieces(line, b':');
        let (Some(number), Some(controllers)) = (parts.next(), parts.next()) else { continue };
        let version = match (number, controllers) {
            (b"0", b"") => V2,
            (_, controllers) if has(controllers, b"memory") => V1,
            _ => continue,
        };
        // (The path may have colons in it.)
        let Ok(path) = core::str::from_utf8(parts.rest().unwrap_or_default()) else { continue };
        let kind: &[u8] = if version.prefix.is_empty() { b"cgroup2" } else { b"cgroup" };
        for line in pieces(mounts, b'\n') {
            if let Some((mount, root)) = mount_of(line, kind) {
                climb(&unescaped(mount)?, &unescaped(root)?, path, &version, &mut levels)?;
                break;
            }
        }
    }
    Ok(levels)
}

/// Whether a list with commas has this name in it.
fn has(list: &[u8], name: &[u8]) -> bool {
    pieces(list, b',').any(|listed| listed == name)
}

/// The mount point and the root of a cgroup file system with the memory controller, from a line of
/// `/proc/self/mountinfo`: `35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`.
fn mount_of<'m>(line: &'m [u8], kind: &[u8]) -> Option<(&'m [u8], &'m [u8])> {
    let mut fields = pieces(line, b' ');
    // The numbers of the mount, of its parent and of the device.
    for _ in 0..3 {
        fields.next()?;
    }
    let (root, mount) = (fields.next()?, fields.next()?);
    // The options of the mount, and any number of further fields up to the dash.
    while fields.next()? != b"-" {}
    if fields.next()? != kind {
        return None;
    }
    let (_source, options) = (fields.next()?, fields.next()?);
    (kind != b"cgroup" || has(options, b"memory")).then_some((mount, root))
}

/// Spaces and the like stand as `\040` in that file: three octal digits.
fn unescaped(text: &[u8]) -> Result<String, Exhausted> {
    let mut bytes = fallible::joined(&[text])?;
    let (mut from, mut len) = (0, 0);
    while let Some(&byte) = bytes.get(from) {
        let digits = (byte == b'\\').then(|| bytes.get(from + 1..from + 4)).flatten();
        let code = digits.and_then(|digits| u8::from_str_radix(core::str::from_utf8(digits).ok()?, 8).ok());
        (bytes[len], from) = (code.unwrap_or(byte), from + if code.is_some() { 4 } else { 1 });
        len += 1;
    }
    bytes.truncate(len);
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// From a cgroup to the root of what is mounted, every level with a limit of its own.
fn climb(
    mount: &str,
    root: &str,
    path: &str,
    version: &CgroupFiles,
    levels: &mut Vec<CgroupLevel>,
) -> Result<(), Exhausted> {
    // In a container only a part of the tree may be mounted, and the path may begin above it.
    let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(path));
    let inside = inside.strip_prefix("/").unwrap_or(inside);
    let mut at = Some(if inside.starts_with("..") { Path::new("") } else { inside });
    while let Some(level) = at {
        let directory = level.to_str().unwrap_or_default();
        let probe = |name: &str| -> Result<Option<PolledFile>, Exhausted> {
            let path = [mount, "/", directory, "/", name].map(str::as_bytes);
            Ok(fallible::c_string(&path)?.and_then(PolledFile::open))
        };
        let probes =
            (probe(version.usage)?, probe(version.limit)?, probe(version.events)?, probe("memory.stat")?);
        if let (Some(usage), Some(limit), Some(events), Some(stat)) = probes {
            // Never freed: causes refer to the path.
            let path =
                String::from_utf8(fallible::joined(&[b"/", directory.as_bytes()])?).unwrap_or_default();
            fallible::push(levels, CgroupLevel { path, usage, limit, stat, events, prefix: version.prefix })?;
        }
        at = level.parent();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_recognised_by_kind_and_controller() {
        let memory = b"35 31 0:32 /a /sys/fs/cgroup/mem\\040ory rw,relatime - cgroup cgroup rw,memory";
        let (mount, root) = mount_of(memory, b"cgroup").unwrap();
        assert_eq!((&*unescaped(mount).unwrap(), root), ("/sys/fs/cgroup/mem ory", b"/a".as_slice()));
        assert_eq!(unescaped(b"a\\134b\\011\\\\04").unwrap(), "a\\b\t\\\\04");
        assert!(mount_of(memory, b"cgroup2").is_none());
        assert!(mount_of(b"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", b"cgroup").is_none());
        let unified = b"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mount_of(unified, b"cgroup2").unwrap().0, b"/sys/fs/cgroup/unified");
    }

    #[test]
    fn figures_are_read_as_the_kernel_writes_them() {
        assert_eq!(number(b"1048576\n"), Some(1 << 20));
        assert_eq!(number(b"max\n"), None);
        assert_eq!(number(b"9223372036854771712\n"), None);
        assert_eq!(number(b""), None);
        let stat = b"cache 7\nactive_file 1\ntotal_active_file 4096\ntotal_dirty 12\n";
        assert_eq!(figure(stat, "total_", "active_file"), Some(4096));
        assert_eq!(figure(stat, "", "active_file"), Some(1));
        assert_eq!(figure(stat, "", "file"), None);
        assert_eq!(failures(b"17\n"), Some(17));
        assert_eq!(failures(b"low 0\nhigh 3\nmax 17\noom 1\noom_kill 0\n"), Some(17));
    }

    #[test]
    fn what_is_to_be_written_out_is_told_from_what_is_clean() {
        const MIB: u64 = 1 << 20;
        // CgroupFiles 1: what counts is the figure of all below, as the limit is.
        let text = |mapped: u64, dirty: u64, writeback: u64, files: u64| {
            format!(
                "cache 1\nmapped_file 1\ndirty 1\nwriteback 1\ninactive_file 1\nactive_file 1\n\
                 total_mapped_file {mapped}\ntotal_dirty {dirty}\ntotal_writeback {writeback}\n\
                 total_inactive_file {files}\ntotal_active_file 0\ntotal_unevictable 0\n"
            )
        };
        let v1 = |mapped, dirty, writeback, files| {
            Reclaimable::parse(text(mapped, dirty, writeback, files).as_bytes(), V1.prefix)
        };
        let some = v1(0, 60 * MIB, 10 * MIB, 100 * MIB);
        assert_eq!(some, Reclaimable { clean: 30 * MIB, dirty: 70 * MIB, writeback: 10 * MIB });
        assert_eq!(some.in_all(), 100 * MIB);
        // What runs is needed; never more than that much of it.
        assert_eq!(v1(3 * MIB, 0, 0, 100 * MIB).in_all(), 97 * MIB);
        assert_eq!(v1(90 * MIB, 0, 0, 100 * MIB).in_all(), 84 * MIB);
        // Counters of several processors, read one after the other, need not agree.
        let odd = v1(0, 90 * MIB, 20 * MIB, 100 * MIB);
        assert_eq!(odd, Reclaimable { clean: 0, dirty: 100 * MIB, writeback: 20 * MIB });
        assert_eq!(v1(0, 8, 200 * MIB, 0), Reclaimable::default());
        let v2 = b"anon 5242880\nfile 9437184\nkernel 1\nfile_mapped 1048576\nfile_dirty 2097152\n\
            file_writeback 1048576\ninactive_anon 0\nactive_anon 0\ninactive_file 6291456\n\
            active_file 3145728\nslab_reclaimable 524288\nslab_unreclaimable 7\n";
        let v2 = Reclaimable::parse(v2, V2.prefix);
        assert_eq!(v2, Reclaimable { clean: 5 * MIB + MIB / 2, dirty: 3 * MIB, writeback: MIB });
    }

    #[test]
    fn nonsense_has_no_levels() {
        assert!(find(b"", b"").unwrap().is_empty());
        assert!(find(b"0::/x\n4:memory:/y\nx", b"nothing\n1 2 3").unwrap().is_empty());
    }
}
