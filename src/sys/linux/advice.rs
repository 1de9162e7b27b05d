//! What is set for the pages of a range: guards, huge pages, core dumps, forks, names; and which of them are resident.
//!
//! Contract: ranges begin at a page. Advice that the kernel does not know or refuses changes nothing; where that matters the
//! error is returned. No contents change, but for [`install_guard`], which drops them. Signal-safe, except for
//! [`supports_guards`], [`advise_huge`], [`dont_fork`] and [`set_name`].

use super::file::read_file;
use super::memory::{Protection, page_size, release, reserve};
use crate::sys::Errno;
use core::ffi::{CStr, c_int};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use nix::sys::mman::{self, MmapAdvise};

/// Marks the pages of a range as guards and drops their contents: every access faults until they are unmarked, whatever
/// the protection says, and no mapping is split. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's, and no reference to its contents exists.
pub(crate) unsafe fn install_guard(start: *mut u8, len: usize) -> Result<(), Errno> {
    // Linux 6.13 and later.
    const MADV_GUARD_INSTALL: c_int = 102;
    // SAFETY: the range belongs to the caller and is not referred to.
    Errno::check(unsafe { libc::madvise(start.cast(), len, MADV_GUARD_INSTALL) })
}

/// Removes the marks of [`install_guard`]; pages without one stay as they are. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn remove_guard(start: *mut u8, len: usize) -> Result<(), Errno> {
    const MADV_GUARD_REMOVE: c_int = 103;
    // SAFETY: the range belongs to the caller, and pages with contents are left alone.
    Errno::check(unsafe { libc::madvise(start.cast(), len, MADV_GUARD_REMOVE) })
}

/// Whether [`install_guard`] works, found out once by trying: a call that succeeds may still have been ignored (by an
/// emulator), so the page is read afterwards.
pub(crate) fn supports_guards() -> bool {
    static ANSWER: AtomicUsize = AtomicUsize::new(0);
    const KNOWN: usize = 2;
    let answer = ANSWER.load(Relaxed);
    if answer >= KNOWN {
        return answer > KNOWN;
    }
    // Where no page can be mapped it is not known yet: installing a guard shows it.
    let Some(works) = try_guard() else { return true };
    ANSWER.store(KNOWN + usize::from(works), Relaxed);
    works
}

fn try_guard() -> Option<bool> {
    const MADV_POPULATE_READ: c_int = 22;
    let page = page_size();
    let start = reserve(page, Protection::ReadWrite).ok()?;
    // SAFETY: the page was mapped just now, and no reference to it exists.
    unsafe {
        // A program that locks all it maps has locked this page too, and a locked page takes no guard.
        libc::munlock(start.as_ptr().cast(), page);
        let works = install_guard(start.as_ptr(), page).is_ok()
            && Errno::check(libc::madvise(start.as_ptr().cast(), page, MADV_POPULATE_READ))
                == Err(Errno::EFAULT);
        release(start, page);
        Some(works)
    }
}

/// Asks for huge pages in a range, or forbids them. Best effort.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn advise_huge(start: NonNull<u8>, len: usize, wanted: bool) {
    let advice = if wanted { MmapAdvise::MADV_HUGEPAGE } else { MmapAdvise::MADV_NOHUGEPAGE };
    // SAFETY: the range belongs to the caller, and the advice changes no contents.
    let _ = unsafe { mman::madvise(start.cast(), len, advice) };
}

/// Whether a range that is advised so gets huge pages when it is touched, as far as the system's setting says; read once.
pub(crate) fn huge_pages_on_advice() -> bool {
    static ANSWER: AtomicUsize = AtomicUsize::new(UNKNOWN);
    const UNKNOWN: usize = 2;
    match ANSWER.load(Relaxed) {
        UNKNOWN => {
            let mut text = [0u8; 64];
            let text =
                read_file(c"/sys/kernel/mm/transparent_hugepage/enabled", &mut text).unwrap_or_default();
            let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
            let answer = has(b"[always]") || has(b"[madvise]");
            ANSWER.store(usize::from(answer), Relaxed);
            answer
        }
        answer => answer == 1,
    }
}

/// Includes a range in core dumps, or excludes it: a debugger's dump would write the whole reserve. Best effort.
/// Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn set_dumpable(start: *mut u8, len: usize, wanted: bool) {
    let advice = if wanted { libc::MADV_DODUMP } else { libc::MADV_DONTDUMP };
    // SAFETY: the range belongs to the caller, and the advice changes no contents.
    unsafe { libc::madvise(start.cast(), len, advice) };
}

/// Keeps a range out of forked children.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn dont_fork(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the range belongs to the caller, and the advice changes no contents in this process.
    Ok(unsafe { mman::madvise(start.cast(), len, MmapAdvise::MADV_DONTFORK) }?)
}

/// Names a range in `/proc/self/maps` where the kernel can (`CONFIG_ANON_VMA_NAME`). Best effort.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn set_name(start: NonNull<u8>, len: usize, name: &CStr) {
    const PR_SET_VMA: c_int = 0x53_56_4d_41;
    const PR_SET_VMA_ANON_NAME: libc::c_ulong = 0;
    static UNSUPPORTED: AtomicBool = AtomicBool::new(false);
    if UNSUPPORTED.load(Relaxed) {
        return;
    }
    let (start, len) = (start.addr().get() as libc::c_ulong, len as libc::c_ulong);
    // SAFETY: the kernel copies the name; a range or a name that it does not accept is refused.
    let result = unsafe { libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, len, name.as_ptr()) };
    // The name has valid characters only, so it is the call that this kernel does not know.
    if Errno::check(result) == Err(Errno::EINVAL) {
        UNSUPPORTED.store(true, Relaxed);
    }
}

/// How many of the pages of a range are resident. Signal-safe; one thread at a time.
///
/// # Safety
/// The range lies in a mapping of the caller's and begins at a page.
pub(crate) unsafe fn resident_pages(start: *mut u8, len: usize, scratch: &mut [u8]) -> usize {
    let page = page_size();
    let mut resident = 0usize;
    let mut at = 0;
    while at < len {
        let chunk = scratch.len().saturating_mul(page).min(len.wrapping_sub(at));
        if chunk == 0 {
            return resident;
        }
        // SAFETY: the answer takes one byte per page, and `chunk` has at most `scratch.len()` pages.
        if unsafe { libc::mincore(start.wrapping_add(at).cast(), chunk, scratch.as_mut_ptr()) } != 0 {
            return resident;
        }
        let pages = scratch.get(..chunk.div_ceil(page)).unwrap_or_default();
        resident = resident.wrapping_add(pages.iter().filter(|&&page| page & 1 == 1).count());
        at = at.wrapping_add(chunk);
    }
    resident
}
