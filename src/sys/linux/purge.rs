//! Giving the pages of a range back to the system, while its addresses are kept.
//!
//! Contract: ranges begin at a page. What is private reads as zero afterwards, where the function returns true. errno is
//! preserved by [`purge`] and [`purge_locked`]. Nothing allocates, and all functions but [`has_settings`] are signal-safe.

use super::memory::page_size;
use super::procfs::each_smaps_line;
use crate::sys::proc_text::{MapsEntry, pieces};
use crate::sys::{Errno, preserve_errno};
use core::ffi::c_int;
use core::ptr::NonNull;

/// Whether the page at an address, which is not in use, is locked in memory; its contents may be dropped.
///
/// # Safety
/// The page lies in a mapping of the caller's, and no reference to its contents exists.
pub(crate) unsafe fn is_locked(page: NonNull<u8>) -> bool {
    // SAFETY: the page belongs to the caller, and its contents are not needed.
    let dropped = unsafe { libc::madvise(page.as_ptr().cast(), page_size(), libc::MADV_DONTNEED) };
    // Locked pages are what this advice is refused for.
    Errno::check(dropped) == Err(Errno::EINVAL)
}

/// Gives the pages of a range back, and returns whether the system took them: it does not take locked pages.
///
/// # Safety
/// The range lies in a mapping of the caller's, and no reference to its contents exists.
pub unsafe fn purge(start: *mut u8, len: usize) -> bool {
    // SAFETY: the range belongs to the caller, and its contents are not needed.
    preserve_errno(|| unsafe { libc::madvise(start.cast(), len, libc::MADV_DONTNEED) } == 0)
}

/// [`purge`] that gives locked pages back as well; they are locked again when they are touched.
///
/// # Safety
/// The range lies in a mapping of the caller's, and no reference to its contents exists.
pub(crate) unsafe fn purge_locked(start: *mut u8, len: usize) -> bool {
    // Linux 5.18 and later.
    const MADV_DONTNEED_LOCKED: c_int = 24;
    // SAFETY: the range belongs to the caller, and its contents are not needed.
    unsafe {
        purge(start, len) || preserve_errno(|| libc::madvise(start.cast(), len, MADV_DONTNEED_LOCKED) == 0)
    }
}

/// [`purge_locked`] for Linux before 5.18, where the range is not to be mapped afresh since the kernel would page all of
/// that in at once: unlocked for a moment, and locked page by page as it is touched afterwards.
///
/// # Safety
/// The range lies in a mapping of the caller's, is accessible, and no reference to its contents exists.
pub(crate) unsafe fn purge_by_unlocking(start: NonNull<u8>, len: usize) -> bool {
    // SAFETY: the range belongs to the caller, and its contents are not needed; locking changes none.
    unsafe {
        if !is_locked(start) || libc::munlock(start.as_ptr().cast(), len) != 0 {
            return false;
        }
        let is_taken = purge(start.as_ptr(), len);
        libc::mlock2(start.as_ptr().cast(), len, libc::MLOCK_ONFAULT);
        is_taken
    }
}

/// Whether a range has settings that a fresh mapping would not have: locked, registered with a userfaultfd, merged (KSM),
/// with a NUMA policy, or advised otherwise.
pub(crate) fn has_settings(start: NonNull<u8>, len: usize) -> bool {
    let (from, to) = (start.addr().get(), start.addr().get().saturating_add(len));
    let mut scratch = [0u8; 4096];
    let (mut overlaps, mut found) = (false, false);
    each_smaps_line(&mut scratch, |line| {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            const SETTINGS: [&[u8]; 9] = [b"lo", b"um", b"uw", b"ui", b"mg", b"sr", b"rr", b"dc", b"wf"];
            found |= overlaps && pieces(flags, b' ').any(|flag| SETTINGS.contains(&flag));
        } else if let Some(entry) = MapsEntry::parse(line) {
            overlaps = entry.start < to && from < entry.end;
            // The NUMA policy belongs to a mapping, and smaps does not show it.
            found |= overlaps && has_policy(entry.start.max(from));
        }
        !found
    });
    found
}

/// Whether a NUMA policy was set for the mapping at an address.
fn has_policy(address: usize) -> bool {
    const MPOL_F_ADDR: libc::c_ulong = 2;
    let (mut policy, no_nodes): (c_int, _) = (0, core::ptr::null_mut::<libc::c_ulong>());
    // SAFETY: writes the number of the policy to `policy`, and no set of nodes.
    let result = unsafe {
        libc::syscall(libc::SYS_get_mempolicy, &raw mut policy, no_nodes, 0usize, address, MPOL_F_ADDR)
    };
    result == 0 && policy != 0
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::has_settings;
    use crate::sys::{Protection, page_size, release, reserve};

    #[test]
    fn settings_are_found_wherever_they_are() {
        const LEN: usize = 1 << 20;
        let page = page_size();
        let fresh = || reserve(LEN, Protection::ReadWrite).expect("a mapping");
        let nodes: libc::c_ulong = 1;
        let set: [&dyn Fn(*mut libc::c_void) -> i64; 3] = [
            // SAFETY: locks a page of a mapping made here.
            &|at| unsafe { libc::mlock(at, page).into() },
            // SAFETY: advises a page of a mapping made here, and changes no contents.
            &|at| unsafe { libc::madvise(at, page, libc::MADV_MERGEABLE).into() },
            // SAFETY: sets the policy of a page of a mapping made here; reads one word of nodes.
            &|at| unsafe { libc::syscall(libc::SYS_mbind, at, page, 2, &raw const nodes, 64usize, 0usize) },
        ];
        for (which, set) in set.iter().enumerate() {
            let start = fresh();
            assert!(!has_settings(start, LEN), "{which}");
            // SAFETY: the middle of the mapping.
            let at = unsafe { start.add(LEN / 2) };
            if set(at.as_ptr().cast()) == 0 {
                assert!(has_settings(start, LEN), "{which}");
                assert!(!has_settings(start, LEN / 2), "{which}");
            }
            // SAFETY: a whole mapping made here, which is not used any more.
            unsafe { release(start, LEN) };
        }
    }
}
