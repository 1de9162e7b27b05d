//! Linux: what ranges of addresses there are, what is set for them, and what the kernel promises for them.

use super::Errno;
use super::imp::{
    checked, decimal, errno, file_identity, from_hex, lines_of, monotonic_ns, page_size, purge, read_file,
};
use super::raw;
use core::ffi::c_int;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use nix::sys::mman::{self, MapFlags, ProtFlags};

/// Reserves `len` bytes that are going to be made accessible as a whole and at once ([`commit`]), without a promise of
/// memory, aligned to a page.
///
/// A process that locks what it maps from now on (`mlockall(MCL_FUTURE)`) would have all of it paged in then, however
/// large it is; such a range is locked page by page as it is touched.
pub(crate) fn reserve_upfront(len: usize) -> Result<NonNull<u8>, Errno> {
    let len = NonZeroUsize::new(len).ok_or(Errno(libc::EINVAL))?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: without MAP_FIXED the kernel picks a range that overlaps nothing.
    let range = unsafe { mman::mmap_anonymous(None, len, ProtFlags::PROT_NONE, flags) }?;
    // SAFETY: a range of ours that is empty.
    unsafe {
        if is_locked(range.cast()) {
            libc::mlock2(range.as_ptr(), len.get(), libc::MLOCK_ONFAULT);
        }
    }
    Ok(range.cast())
}

/// Makes a whole range of [`reserve_upfront`] accessible.
///
/// # Safety
/// The range lies in a mapping of the caller's, and nothing refers to it.
pub(crate) unsafe fn commit_upfront(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe {
        // Other tools do not mind either, and memcheck takes long to make an inaccessible mapping writable.
        if super::under_valgrind() {
            return super::reserve_over(start, len, super::Protection::ReadWrite);
        }
        super::commit(start.as_ptr(), len)
    }
}

/// Whether the page at an address, which is not in use, is locked in memory; its contents may be dropped.
///
/// # Safety
/// The page lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn is_locked(page: NonNull<u8>) -> bool {
    // SAFETY: the caller's promise.
    let dropped = unsafe { libc::madvise(page.as_ptr().cast(), page_size(), libc::MADV_DONTNEED) };
    // Locked pages are what this advice is refused for.
    checked(dropped) == Err(Errno::EINVAL)
}

/// [`purge`] that takes locked pages as well; they stay locked, once they are there again.
///
/// # Safety
/// As for [`purge`].
pub(crate) unsafe fn purge_locked(start: *mut u8, len: usize) -> bool {
    // Linux 5.18 and later.
    const MADV_DONTNEED_LOCKED: c_int = 24;
    // SAFETY: the caller's promise.
    if unsafe { purge(start, len) } {
        return true;
    }
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: as above.
    let is_taken = unsafe { libc::madvise(start.cast(), len, MADV_DONTNEED_LOCKED) } == 0;
    nix::errno::Errno::set_raw(errno);
    is_taken
}

/// [`purge_locked`] where locked pages are not taken (before Linux 5.18) and nothing is to be mapped over, since the kernel
/// would page all of that in at once: unlocked for a moment, and locked page by page as it is touched afterwards.
///
/// # Safety
/// As for [`purge`]; the range is accessible.
pub(crate) unsafe fn purge_by_unlocking(start: NonNull<u8>, len: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        if !is_locked(start) || libc::munlock(start.as_ptr().cast(), len) != 0 {
            return false;
        }
        let is_taken = purge(start.as_ptr(), len);
        libc::mlock2(start.as_ptr().cast(), len, libc::MLOCK_ONFAULT);
        is_taken
    }
}

/// Whether a range has settings that a fresh mapping would not have: locked, registered with a userfaultfd, merged
/// (KSM), with a NUMA policy, or advised otherwise.
pub(crate) fn has_settings(start: NonNull<u8>, len: usize) -> bool {
    let (from, to) = (start.addr().get(), start.addr().get().saturating_add(len));
    let mut scratch = [0u8; 4096];
    let (mut is_ours, mut found) = (false, false);
    lines_of(c"/proc/self/smaps", &mut scratch, |line| {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            const SETTINGS: [&[u8]; 9] = [b"lo", b"um", b"uw", b"ui", b"mg", b"sr", b"rr", b"dc", b"wf"];
            found |= is_ours && flags.split(|&byte| byte == b' ').any(|flag| SETTINGS.contains(&flag));
        } else if let Some((begin, end)) = range_of(line) {
            is_ours = begin < to && from < end;
            // A policy is a mapping's, and stands in no line of it.
            found |= is_ours && has_policy(begin.max(from));
        }
        !found
    });
    found
}

/// Whether a NUMA policy was set for the mapping at an address.
fn has_policy(address: usize) -> bool {
    const MPOL_F_ADDR: libc::c_ulong = 2;
    let (mut policy, no_nodes): (c_int, _) = (0, core::ptr::null_mut::<libc::c_ulong>());
    // SAFETY: writes the policy's number, and no set of nodes.
    let asked = unsafe {
        libc::syscall(libc::SYS_get_mempolicy, &raw mut policy, no_nodes, 0usize, address, MPOL_F_ADDR)
    };
    asked == 0 && policy != 0
}

/// Whether the kernel promises no more memory than there is (`vm.overcommit_memory=2`). It is asked once a second at
/// most: the setting of a machine is hardly ever changed, and regions are made all the time.
pub(crate) fn overcommit_is_strict() -> bool {
    const PERIOD_NS: u64 = 1_000_000_000;
    let (answer, now) = (STRICT.load(Relaxed), monotonic_ns());
    if answer != 0 && now.wrapping_sub(answer >> 1) < PERIOD_NS {
        return answer & 1 == 1;
    }
    let mut text = [0u8; 16];
    let len = read_file(c"/proc/sys/vm/overcommit_memory", &mut text).unwrap_or(0);
    let is_strict = text.get(..len).and_then(decimal) == Some(2);
    STRICT.store(now << 1 | u64::from(is_strict), Relaxed);
    is_strict
}

/// The last answer of [`overcommit_is_strict`]; it is asked if it never was. For calls that give memory back, which a program
/// may make in a sandbox that opens no files: every region asks when it is made.
pub(crate) fn overcommit_was_strict() -> bool {
    match STRICT.load(Relaxed) {
        0 => overcommit_is_strict(),
        answer => answer & 1 == 1,
    }
}

/// When [`overcommit_is_strict`] asked last, doubled, and the answer in the lowest bit; 0 is never.
static STRICT: AtomicU64 = AtomicU64::new(0);

/// Whether this process's users are the machine's own. Root of a user namespace (a container without root's rights) has
/// every capability there, and the kernel asks for them in the first one. Signal-safe.
pub(super) fn in_initial_user_namespace() -> bool {
    /// `PROC_USER_INIT_INO`: that one's number.
    const FIRST: u64 = 0xEFFF_FFFD;
    // SAFETY: the path is a string, and the descriptor is closed by nobody else.
    let identity = unsafe {
        let fd = raw::open(c"/proc/self/ns/user");
        if fd < 0 {
            // This kernel has no others, or does not tell.
            return true;
        }
        let identity = file_identity(fd);
        raw::close(fd);
        identity
    };
    identity.is_none_or(|[_, number]| number == FIRST)
}

/// Calls a function with the start and the end of each mapping, in order. Signal-safe.
pub(super) fn each_mapping(scratch: &mut [u8], mut call: impl FnMut(usize, usize)) {
    lines_of(c"/proc/self/maps", scratch, |line| {
        if let Some((start, end)) = range_of(line) {
            call(start, end);
        }
        true
    });
}

/// The range that a line of `/proc/self/maps` begins with.
fn range_of(line: &[u8]) -> Option<(usize, usize)> {
    let range = line.split(|&byte| byte == b' ').next()?;
    let mut ends = range.split(|&byte| byte == b'-').map(from_hex);
    Some((ends.next()??, ends.next()??))
}

/// The bytes of the largest gap between mappings, below the end of what the kernel hands out by itself. Signal-safe.
pub(crate) fn largest_gap(scratch: &mut [u8]) -> Option<u64> {
    let least = read_file(c"/proc/sys/vm/mmap_min_addr", scratch)?;
    let least = decimal(scratch.get(..least)?)? as usize;
    let mut gaps = super::evidence::GapScan::between(least, super::address_space());
    let mut is_known = false;
    each_mapping(scratch, |start, end| {
        is_known = true;
        gaps.range(start, end);
    });
    is_known.then(|| gaps.largest() as u64)
}

/// Whether the kernel would map a page at an address. Signal-safe.
pub(super) fn address_exists(address: u64) -> bool {
    let Ok(address) = usize::try_from(address) else { return false };
    let (start, len) = (core::ptr::without_provenance_mut(address), page_size());
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: what is mapped there already is not replaced; what is mapped now is nobody's.
    unsafe {
        let mapped = libc::mmap(start, len, libc::PROT_NONE, flags, -1, 0);
        if mapped == libc::MAP_FAILED {
            return errno() == Errno(libc::EEXIST);
        }
        libc::munmap(mapped, len);
        // (What takes the address for a wish maps another.)
        mapped.addr() == address
    }
}

/// The bytes of addresses that this process has mapped. Signal-safe.
pub(super) fn process_address_space() -> Option<usize> {
    let mut text = [0u8; 128];
    let len = read_file(c"/proc/self/statm", &mut text)?;
    Some((decimal(text.get(..len)?)? as usize).saturating_mul(page_size()))
}

#[cfg(all(test, not(miri)))]
mod tests {
    use std::os::unix::process::CommandExt;

    #[test]
    fn settings_are_found_wherever_they_are() {
        const LEN: usize = 1 << 20;
        let page = super::page_size();
        let fresh = || super::super::reserve(LEN, super::super::Protection::ReadWrite).expect("a mapping");
        let nodes: libc::c_ulong = 1;
        let set: [&dyn Fn(*mut libc::c_void) -> i64; 3] = [
            // SAFETY: what is set changes no contents; the pages are a mapping's of ours.
            &|at| unsafe { libc::mlock(at, page).into() },
            // SAFETY: as above.
            &|at| unsafe { libc::madvise(at, page, libc::MADV_MERGEABLE).into() },
            // SAFETY: as above.
            &|at| unsafe { libc::syscall(libc::SYS_mbind, at, page, 2, &raw const nodes, 64usize, 0usize) },
        ];
        for (which, set) in set.iter().enumerate() {
            let start = fresh();
            assert!(!super::has_settings(start, LEN), "{which}");
            // SAFETY: in the range.
            let at = unsafe { start.add(LEN / 2) };
            if set(at.as_ptr().cast()) == 0 {
                assert!(super::has_settings(start, LEN), "{which}");
                assert!(!super::has_settings(start, LEN / 2), "{which}");
            }
            // SAFETY: a whole mapping of ours that nobody uses.
            unsafe { super::super::release(start, LEN) };
        }
    }

    const HERE: &str = "sys::ranges::tests::root_of_its_own_namespace_is_no_administrator";
    const INSIDE: &str = "HIGHWATER_TEST_NAMESPACE";

    #[test]
    fn root_of_its_own_namespace_is_no_administrator() {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("a line");
        let capabilities = u64::from_str_radix(capabilities.trim(), 16).expect("a number");
        let is_admin = super::super::process_size().expect("it is known").is_admin;
        if std::env::var_os(INSIDE).is_some() {
            assert_ne!(capabilities >> 21 & 1, 0, "it has what it looks like");
            assert!(!is_admin && !super::super::in_initial_user_namespace());
            return;
        }
        // (These tests may be running in a container of that kind.)
        assert_eq!(is_admin, super::super::in_initial_user_namespace() && capabilities >> 21 & 1 == 1);
        let mut inside = std::process::Command::new(std::env::current_exe().expect("it is known"));
        inside.args(["--exact", HERE]).env(INSIDE, "1");
        // SAFETY: getuid has no preconditions.
        let map = format!("0 {} 1", unsafe { libc::getuid() });
        // The capabilities would be gone with exec unless the user were root inside.
        // SAFETY: system calls and stack memory only.
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
        match inside.status() {
            Ok(status) => assert!(status.success(), "{status}"),
            Err(error) => eprintln!("skipped: a user namespace is not allowed: {error}"),
        }
    }
}
