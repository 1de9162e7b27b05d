//! Virtual memory: reserving addresses, committing and protecting pages.
//!
//! Contract: sizes are whole pages, ranges begin at a page. Every function sets errno where it fails. [`page_size`],
//! [`commit`], [`protect`], [`populate`], [`reserve_if_free`] and [`replace_with_reserved`] are signal-safe; the others are
//! called outside of signals only.

use super::valgrind::under_helgrind;
use crate::sys::Errno;
use core::ffi::c_int;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use nix::sys::mman::{self, MapFlags, MmapAdvise, ProtFlags};

/// The default reserve.
pub(crate) const DEFAULT_RESERVE: usize =
    if cfg!(target_pointer_width = "64") { 64 << 30 } else { 256 << 20 };

/// Whether memory that is not committed costs nothing and refuses access: guards and growth by fault need that.
pub(crate) const HAS_PROTECTION: bool = true;

/// The page size in bytes. Signal-safe.
pub fn page_size() -> usize {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    match PAGE.load(Relaxed) {
        0 => {
            // SAFETY: sysconf has no preconditions.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let page = usize::try_from(page).unwrap_or(4096);
            PAGE.store(page, Relaxed);
            page
        }
        page => page,
    }
}

/// What a fresh range allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// `PROT_NONE`: not charged until it is committed.
    None,
    /// Read and write from the start, with `MAP_NORESERVE`: without it the kernel's heuristic refuses a writable range
    /// larger than the machine.
    ReadWrite,
}

impl Protection {
    /// Whether a range is made writable by a second call.
    fn is_late(self) -> bool {
        self == Protection::ReadWrite && under_helgrind()
    }

    fn flags(self) -> (ProtFlags, MapFlags) {
        // No MAP_NORESERVE on inaccessible ranges: they are not charged anyway, and without the flag a commit that
        // cannot be honoured is ENOMEM instead of an invitation to the OOM killer.
        match self {
            Protection::None => (ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE),
            Protection::ReadWrite => (
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            ),
        }
    }
}

/// Reserves `len` bytes of address space, aligned to a page.
pub fn reserve(len: usize, protection: Protection) -> Result<NonNull<u8>, Errno> {
    let len = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
    let (protection, flags) = protection.flags();
    // SAFETY: without MAP_FIXED the kernel picks a range that overlaps nothing.
    let range = unsafe { mman::mmap_anonymous(None, len, protection, flags) }?;
    Ok(range.cast())
}

/// Maps `[start, start + len)` afresh: the pages, their charge, name and advice are gone.
///
/// # Safety
/// The range lies in a mapping of the caller's, and no reference to its contents exists.
pub(crate) unsafe fn reserve_over(
    start: NonNull<u8>,
    len: usize,
    protection: Protection,
) -> Result<(), Errno> {
    let Some(len) = NonZeroUsize::new(len) else { return Ok(()) };
    let is_late = protection.is_late();
    let (protection, flags) = protection.flags();
    let protection = if is_late { ProtFlags::PROT_NONE } else { protection };
    // SAFETY: MAP_FIXED replaces the given range alone, which belongs to the caller and is not referred to; it is that
    // range that is committed.
    unsafe {
        mman::mmap_anonymous(Some(start.addr()), len, protection, flags | MapFlags::MAP_FIXED)?;
        if is_late { commit(start.as_ptr(), len.get()) } else { Ok(()) }
    }
}

/// Releases a range to the system.
///
/// # Safety
/// The range is a whole mapping of the caller's, and no reference to it exists.
pub(crate) unsafe fn release(start: NonNull<u8>, len: usize) {
    // At the limit of mappings, a part of a mapping that the kernel has joined with others cannot be unmapped. Then its
    // addresses are lost, and its memory is purged.
    // SAFETY: the mapping belongs to the caller and is not referred to.
    unsafe {
        if mman::munmap(start.cast(), len).is_err() {
            let _ = mman::madvise(start.cast(), len, MmapAdvise::MADV_DONTNEED);
        }
    }
}

/// Makes `[start, start + len)` readable and writable; idempotent. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub unsafe fn commit(start: *mut u8, len: usize) -> Result<(), Errno> {
    // SAFETY: the range belongs to the caller, and more access invalidates no reference.
    Errno::check(unsafe { libc::mprotect(start.cast(), len, libc::PROT_READ | libc::PROT_WRITE) })
}

/// Makes `[start, start + len)` inaccessible; its contents are kept. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's, and no reference to its contents exists.
pub unsafe fn protect(start: *mut u8, len: usize) -> Result<(), Errno> {
    // SAFETY: the range belongs to the caller and is not referred to.
    Errno::check(unsafe { libc::mprotect(start.cast(), len, libc::PROT_NONE) })
}

/// Makes the pages of a committed range present, as if they were written to. It matters for speed only: a page that is not
/// populated is paged in when it is touched. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn populate(start: *mut u8, len: usize) -> Result<(), Errno> {
    // Linux 5.14 and later.
    const MADV_POPULATE_WRITE: c_int = 23;
    // SAFETY: the range belongs to the caller, and the advice changes no contents.
    Errno::check(unsafe { libc::madvise(start.cast(), len, MADV_POPULATE_WRITE) })
}

/// Makes `[start, start + len)` inaccessible if nothing is mapped there. Best effort. Signal-safe.
pub(crate) fn reserve_if_free(start: *mut u8, len: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE replaces no existing mapping.
    unsafe { libc::mmap(start.cast(), len, libc::PROT_NONE, flags, -1, 0) };
}

/// Replaces whatever is mapped at `[start, start + len)` with a fresh inaccessible range. Best effort. Signal-safe.
///
/// # Safety
/// The range belongs to the caller, and no reference to its contents exists.
pub(crate) unsafe fn replace_with_reserved(start: *mut u8, len: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: MAP_FIXED replaces the given range alone, which belongs to the caller and is not referred to.
    unsafe { libc::mmap(start.cast(), len, libc::PROT_NONE, flags, -1, 0) };
}

/// Whether the kernel would map a page at an address. Signal-safe.
pub(in crate::sys) fn address_exists(address: u64) -> bool {
    let Ok(address) = usize::try_from(address) else { return false };
    let (start, len) = (core::ptr::without_provenance_mut(address), page_size());
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: MAP_FIXED_NOREPLACE replaces no existing mapping, and what is unmapped was mapped just now.
    unsafe {
        let mapped = libc::mmap(start, len, libc::PROT_NONE, flags, -1, 0);
        if mapped == libc::MAP_FAILED {
            return Errno::last() == Errno::EEXIST;
        }
        libc::munmap(mapped, len);
        // (A kernel before 4.17 takes the address for a hint and maps another one.)
        mapped.addr() == address
    }
}
