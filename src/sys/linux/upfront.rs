//! Ranges that are committed as a whole and at once, and paged in by the kernel.
//!
//! Contract: sizes are whole pages, ranges begin at a page. Called outside of signals; errno is set where a call fails.

use super::memory::{Protection, commit, reserve_over};
use super::purge::is_locked;
use super::valgrind::under_valgrind;
use crate::sys::Errno;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use nix::sys::mman::{self, MapFlags, ProtFlags};

/// Reserves `len` bytes, aligned to a page, that are going to be committed as a whole and at once ([`commit_upfront`]), and
/// are not charged for that.
///
/// A process that locks what it maps from now on (`mlockall(MCL_FUTURE)`) would have all of it paged in then, however large
/// it is; such a range is locked page by page as it is touched.
pub(crate) fn reserve_upfront(len: usize) -> Result<NonNull<u8>, Errno> {
    let len = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: without MAP_FIXED the kernel picks a range that overlaps nothing.
    let range = unsafe { mman::mmap_anonymous(None, len, ProtFlags::PROT_NONE, flags) }?;
    // SAFETY: the range was mapped just now, so it has no contents and no references.
    unsafe {
        if is_locked(range.cast()) {
            libc::mlock2(range.as_ptr(), len.get(), libc::MLOCK_ONFAULT);
        }
    }
    Ok(range.cast())
}

/// Commits a whole range of [`reserve_upfront`].
///
/// # Safety
/// The range lies in a mapping of the caller's, and no reference to its contents exists.
pub(crate) unsafe fn commit_upfront(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the range belongs to the caller and is not referred to.
    unsafe {
        // memcheck takes long to make an inaccessible mapping writable, and the other tools do not mind a new one.
        if under_valgrind() {
            return reserve_over(start, len, Protection::ReadWrite);
        }
        commit(start.as_ptr(), len)
    }
}
