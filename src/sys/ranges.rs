//! Linux: what ranges of addresses there are, what is set for them, and what the kernel promises for them.

use super::Errno;
use super::imp::{checked, decimal, empty, errno, from_hex, lines_of, monotonic_ns, page_size, read_file};
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

/// Whether the page at an address, which is not in use, is locked in memory; its contents may be dropped.
///
/// # Safety
/// The page lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn is_locked(page: NonNull<u8>) -> bool {
    // SAFETY: the caller's promise.
    let dropped = unsafe { libc::madvise(page.as_ptr().cast(), page_size(), libc::MADV_DONTNEED) };
    // Locked pages are what this advice is refused for.
    checked(dropped) == Err(super::NOT_SUPPORTED)
}

/// [`empty`] that takes locked pages as well; they stay locked, once they are there again.
///
/// # Safety
/// As for [`empty`].
pub(crate) unsafe fn discard(start: *mut u8, len: usize) -> bool {
    // Linux 5.18 and later.
    const MADV_DONTNEED_LOCKED: c_int = 24;
    // SAFETY: the caller's promise.
    if unsafe { empty(start, len) } {
        return true;
    }
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: as above.
    let is_taken = unsafe { libc::madvise(start.cast(), len, MADV_DONTNEED_LOCKED) } == 0;
    nix::errno::Errno::set_raw(errno);
    is_taken
}

/// Whether a range has settings that a fresh mapping would not have: locked, registered with a userfaultfd, merged
/// (KSM), with a NUMA policy, or advised otherwise.
pub(crate) fn has_settings(start: NonNull<u8>, len: usize) -> bool {
    let (from, to) = (start.addr().get(), start.addr().get().saturating_add(len));
    let mut policy: c_int = 0;
    const MPOL_F_ADDR: libc::c_ulong = 2;
    let place = core::ptr::null_mut::<libc::c_ulong>();
    // SAFETY: writes the policy's number, and no set of nodes.
    let asked = unsafe {
        libc::syscall(libc::SYS_get_mempolicy, &raw mut policy, place, 0usize, start.as_ptr(), MPOL_F_ADDR)
    };
    if asked == 0 && policy != 0 {
        return true;
    }
    let mut scratch = [0u8; 4096];
    let (mut is_ours, mut found) = (false, false);
    lines_of(c"/proc/self/smaps", &mut scratch, |line| {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            const SETTINGS: [&[u8]; 9] = [b"lo", b"um", b"uw", b"ui", b"mg", b"sr", b"rr", b"dc", b"wf"];
            found |= is_ours && flags.split(|&byte| byte == b' ').any(|flag| SETTINGS.contains(&flag));
        } else if let Some((begin, end)) = range_of(line) {
            is_ours = begin < to && from < end;
        }
        !found
    });
    found
}

/// Whether the kernel promises no more memory than there is (`vm.overcommit_memory=2`). It is asked once a second at
/// most: the setting of a machine is hardly ever changed, and regions are made all the time.
pub(crate) fn promises_are_strict() -> bool {
    const PERIOD_NS: u64 = 1_000_000_000;
    // When it was asked last, doubled, and the answer in the lowest bit; 0 is never.
    static ANSWER: AtomicU64 = AtomicU64::new(0);
    let (answer, now) = (ANSWER.load(Relaxed), monotonic_ns());
    if answer != 0 && now.wrapping_sub(answer >> 1) < PERIOD_NS {
        return answer & 1 == 1;
    }
    let mut text = [0u8; 16];
    let len = read_file(c"/proc/sys/vm/overcommit_memory", &mut text).unwrap_or(0);
    let is_strict = text.get(..len).and_then(decimal) == Some(2);
    ANSWER.store(now << 1 | u64::from(is_strict), Relaxed);
    is_strict
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
    let mut gaps = super::evidence::Gaps::between(least, super::address_space());
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
pub(super) fn process_addresses() -> Option<usize> {
    let mut text = [0u8; 128];
    let len = read_file(c"/proc/self/statm", &mut text)?;
    Some((decimal(text.get(..len)?)? as usize).saturating_mul(page_size()))
}
