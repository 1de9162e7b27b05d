//! What the kernel says in `/proc` of this process and of the machine.
//!
//! Contract: signal-safe, but for [`max_mappings`]; nothing is allocated. What cannot be read is `None`, or an empty list.
//! Buffers are the caller's where they are large: `scratch` of 4 KiB is enough, and a line that is longer is skipped.

use super::clock::monotonic_ns;
use super::file::{RawFile, each_line, read_file};
use super::memory::page_size;
use crate::sys::figures::{Overcommit, ProcessSize};
use crate::sys::proc_text::{MapsEntry, MemInfo, decimal, hexadecimal, kib_field, pieces};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

fn read_number(path: &CStr, scratch: &mut [u8]) -> Option<u64> {
    decimal(read_file(path, scratch)?)
}

/// What this process has. With some 4 KiB of stack.
pub(crate) fn process_size() -> Option<ProcessSize> {
    // By lines: a process may be in so many groups that their numbers fill any buffer.
    let mut buffer = [0u8; 4096];
    let mut found = [None; 4];
    let mut is_admin = false;
    each_line(c"/proc/self/status", &mut buffer, |line| {
        let labels: [&[u8]; 4] = [b"VmSize", b"VmData", b"VmLck", b"VmRSS"];
        for (found, label) in found.iter_mut().zip(labels) {
            *found = found.or_else(|| kib_field(line, label));
        }
        if let Some(capabilities) = line.strip_prefix(b"CapEff:\t") {
            const SYS_ADMIN: u32 = 21;
            is_admin = hexadecimal(capabilities).is_some_and(|set| set >> SYS_ADMIN & 1 == 1);
        }
        true
    });
    // (Not asked of processes that do not have the capability.)
    is_admin = is_admin && in_initial_user_namespace();
    let [total, data, locked, resident] = found;
    Some(ProcessSize { total: total?, data: data?, locked: locked?, resident: resident?, is_admin })
}

/// Whether the users of this process are the machine's own. Root of a user namespace (a container without root's rights) has
/// every capability there, and the kernel asks for them in the initial one.
fn in_initial_user_namespace() -> bool {
    /// `PROC_USER_INIT_INO`: the number of the initial one.
    const INITIAL: u64 = 0xEFFF_FFFD;
    // (A kernel without other namespaces has no such file.)
    let identity = RawFile::open(c"/proc/self/ns/user").and_then(|file| file.identity());
    identity.is_none_or(|[_, number]| number == INITIAL)
}

/// The first three fields of `/proc/self/statm`, in bytes: the address space, what is resident, and what of that belongs to
/// files.
fn statm() -> Option<[u64; 3]> {
    let mut text = [0u8; 128];
    let mut pages = pieces(read_file(c"/proc/self/statm", &mut text)?, b' ');
    let mut fields = [0; 3];
    for field in &mut fields {
        *field = decimal(pages.next()?)?.saturating_mul(page_size() as u64);
    }
    Some(fields)
}

/// Bytes of this process that are resident and belong to no file.
pub(crate) fn resident_anonymous_bytes() -> Option<u64> {
    let [_, resident, shared] = statm()?;
    Some(resident.saturating_sub(shared))
}

/// The bytes of addresses that this process has mapped.
pub(in crate::sys) fn process_address_space() -> Option<usize> {
    let [size, ..] = statm()?;
    usize::try_from(size).ok()
}

/// The figures of `/proc/meminfo`.
pub fn mem_info(scratch: &mut [u8]) -> Option<MemInfo> {
    MemInfo::parse(read_file(c"/proc/meminfo", scratch)?)
}

/// The overcommit policy of the kernel, and what it counts.
pub(crate) fn overcommit(scratch: &mut [u8]) -> Option<Overcommit> {
    let mode = read_number(c"/proc/sys/vm/overcommit_memory", scratch)?;
    let mut kib = |path| read_number(path, scratch).unwrap_or(0).saturating_mul(1024);
    let user_reserve = kib(c"/proc/sys/vm/user_reserve_kbytes");
    let admin_reserve = kib(c"/proc/sys/vm/admin_reserve_kbytes");
    let memory = mem_info(scratch)?;
    Some(Overcommit {
        mode,
        commit_limit: memory.commit_limit?,
        committed: memory.committed?,
        total: memory.total.saturating_add(memory.swap_total),
        user_reserve,
        admin_reserve,
    })
}

/// Whether the kernel charges no more memory than there is (`vm.overcommit_memory=2`). It is read once a second at most:
/// the setting is hardly ever changed, and regions are made all the time.
pub(crate) fn overcommit_is_strict() -> bool {
    const PERIOD_NS: u64 = 1_000_000_000;
    let (answer, now) = (STRICT.load(Relaxed), monotonic_ns());
    if answer != 0 && now.wrapping_sub(answer >> 1) < PERIOD_NS {
        return answer & 1 == 1;
    }
    let mut text = [0u8; 16];
    let is_strict = read_number(c"/proc/sys/vm/overcommit_memory", &mut text) == Some(2);
    STRICT.store(now << 1 | u64::from(is_strict), Relaxed);
    is_strict
}

/// The last answer of [`overcommit_is_strict`], which is called if there is none yet. For calls that give memory back: a
/// program may make them in a sandbox that opens no files, and every region reads the mode when it is made.
pub(crate) fn overcommit_was_strict() -> bool {
    match STRICT.load(Relaxed) {
        0 => overcommit_is_strict(),
        answer => answer & 1 == 1,
    }
}

/// When [`overcommit_is_strict`] read the mode last, doubled, and the answer in the lowest bit; 0 is never.
static STRICT: AtomicU64 = AtomicU64::new(0);

/// How long programs waited for memory, in the kernel's words: `some avg10=0.00 avg60=…`.
pub(crate) fn memory_pressure(scratch: &mut [u8]) -> Option<&str> {
    let line = read_file(c"/proc/pressure/memory", scratch)?;
    let line = pieces(line, b'\n').next()?;
    core::str::from_utf8(line).ok()
}

/// Calls a function with each mapping of this process, in the order of addresses, until it returns false.
pub fn each_mapping(scratch: &mut [u8], mut call: impl FnMut(&MapsEntry<'_>) -> bool) {
    each_line(c"/proc/self/maps", scratch, |line| match MapsEntry::parse(line) {
        Some(entry) => call(&entry),
        None => true,
    });
}

/// Calls a function with each line of `/proc/self/smaps`, until it returns false.
pub(super) fn each_smaps_line(scratch: &mut [u8], line: impl FnMut(&[u8]) -> bool) {
    each_line(c"/proc/self/smaps", scratch, line);
}

/// How many mappings there are, and how many there may be.
pub(crate) fn mappings(scratch: &mut [u8]) -> Option<(u64, u64)> {
    let max = read_number(c"/proc/sys/vm/max_map_count", scratch)?;
    let mut count = 0u64;
    // By lines, not by entries: one whose name does not fit into the buffer counts as well.
    each_line(c"/proc/self/maps", scratch, |_| {
        count = count.wrapping_add(1);
        true
    });
    Some((count, max))
}

/// How many mappings a process may have.
pub(crate) fn max_mappings() -> usize {
    read_number(c"/proc/sys/vm/max_map_count", &mut [0; 32]).map_or(65_530, |max| max as usize)
}

/// The bytes of the largest gap between mappings, below `end`.
pub(in crate::sys) fn largest_gap(end: usize, scratch: &mut [u8]) -> Option<u64> {
    let min = read_number(c"/proc/sys/vm/mmap_min_addr", scratch)? as usize;
    let mut gaps = GapScan::between(min, end);
    let mut is_known = false;
    each_mapping(scratch, |entry| {
        is_known = true;
        gaps.range(entry.start, entry.end);
        true
    });
    is_known.then(|| gaps.largest() as u64)
}

/// The largest stretch below `end` that no range covers; the ranges come in order.
struct GapScan {
    end: usize,
    at: usize,
    largest: usize,
}

impl GapScan {
    const fn between(start: usize, end: usize) -> Self {
        GapScan { end, at: start, largest: 0 }
    }

    /// A range that is mapped.
    fn range(&mut self, start: usize, end: usize) {
        self.largest = self.largest.max(start.min(self.end).saturating_sub(self.at));
        self.at = self.at.max(end);
    }

    fn largest(mut self) -> usize {
        self.range(self.end, self.end);
        self.largest
    }
}

/// The file that the code at `pc` was loaded from, and how far behind the start of its first mapping that is: the arguments
/// of a symbolizer. The path is written to `path`, cut where it is too long.
pub(crate) fn image_of(pc: usize, scratch: &mut [u8], path: &mut [u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    let mut base = 0;
    let mut found = None;
    each_mapping(scratch, |entry| {
        let name = if entry.name.starts_with(b"/") { entry.name } else { b"" };
        let kept = name.get(..name.len().min(path.len())).unwrap_or_default();
        if !name.is_empty() && path.get(..len) != Some(kept) {
            len = kept.len();
            path.iter_mut().zip(kept).for_each(|(to, byte)| *to = *byte);
            base = entry.start;
        }
        if entry.contains(pc) {
            found = (!name.is_empty()).then(|| (len, pc.wrapping_sub(base)));
            return false;
        }
        true
    });
    found
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    #[test]
    fn the_largest_gap_is_found_wherever_it_is() {
        let largest = |ranges: &[(usize, usize)]| {
            let mut gaps = GapScan::between(10, 1000);
            ranges.iter().for_each(|&(start, end)| gaps.range(start, end));
            gaps.largest()
        };
        assert_eq!(largest(&[]), 990);
        assert_eq!(largest(&[(10, 1000)]), 0);
        assert_eq!(largest(&[(10, 500), (520, 1000)]), 20);
        assert_eq!(largest(&[(100, 500), (520, 990)]), 90);
        assert_eq!(largest(&[(0, 500), (500, 700)]), 300);
        // Above the end nothing counts: the kernel does not go there by itself.
        assert_eq!(largest(&[(0, 950), (5000, 6000)]), 50);
    }

    const HERE: &str = "sys::imp::procfs::tests::root_of_its_own_namespace_is_no_administrator";
    const INSIDE: &str = "HIGHWATER_TEST_NAMESPACE";

    #[test]
    fn root_of_its_own_namespace_is_no_administrator() {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("a line");
        let capabilities = u64::from_str_radix(capabilities.trim(), 16).expect("a number");
        let is_admin = process_size().expect("it is known").is_admin;
        if std::env::var_os(INSIDE).is_some() {
            assert_ne!(capabilities >> 21 & 1, 0, "it has what it looks like");
            assert!(!is_admin && !in_initial_user_namespace());
            return;
        }
        // (These tests may be running in a container of that kind.)
        assert_eq!(is_admin, in_initial_user_namespace() && capabilities >> 21 & 1 == 1);
        let mut inside = std::process::Command::new(std::env::current_exe().expect("it is known"));
        inside.args(["--exact", HERE]).env(INSIDE, "1");
        // SAFETY: getuid has no preconditions.
        let map = format!("0 {} 1", unsafe { libc::getuid() });
        // The capabilities would be gone with exec unless the user were root inside.
        // SAFETY: the closure makes system calls and uses stack memory only.
        unsafe {
            inside.pre_exec(move || {
                if libc::unshare(libc::CLONE_NEWUSER) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                let fd = libc::open(c"/proc/self/uid_map".as_ptr(), libc::O_WRONLY);
                match libc::write(fd, map.as_ptr().cast(), map.len()) {
                    ..0 => Err(std::io::Error::last_os_error()),
                    _ => Ok(()),
                }
            });
        }
        match inside.output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
            }
            Err(error) => eprintln!("skipped: a user namespace is not allowed: {error}"),
        }
    }
}
