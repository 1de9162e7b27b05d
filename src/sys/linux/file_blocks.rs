//! Files that memory is mapped from: their blocks on disk, and mapping them.
//!
//! Contract: [`allocate_blocks`], [`write_back`] and [`map_file_over`] are signal-safe; errno is set by calls that fail.

use super::advice::set_dumpable;
use crate::sys::Errno;
use core::ffi::c_int;
use core::mem::MaybeUninit;

/// Allocates the blocks of `[offset, offset + len)` of a file, so that writing there cannot find the disk full. Signal-safe.
///
/// Blocks alone are not enough: when a page of them is first written, ext4 records that in its extent tree, which may have
/// to grow, and where no space is left for that the write is SIGBUS. So a little is left free.
pub(crate) fn allocate_blocks(fd: c_int, offset: usize, len: usize) -> Result<(), Errno> {
    const LEFT_FREE: u64 = 512 << 10;
    let needed = (len as u64).saturating_add(LEFT_FREE).saturating_add(len as u64 / 256);
    if free_on_disk(fd).is_some_and(|free| free < needed) {
        return Err(Errno::ENOSPC);
    }
    loop {
        match Errno::check(fallocate(fd, 0, offset as libc::off64_t, len as libc::off64_t)) {
            Err(Errno::EINTR) => continue,
            result => return result,
        }
    }
}

/// Deallocates the blocks of `[offset, offset + len)` of a file: it reads as zeros.
pub(crate) fn punch_hole(fd: c_int, offset: usize, len: usize) -> Result<(), Errno> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    Errno::check(fallocate(fd, mode, offset as libc::off64_t, len as libc::off64_t))
}

/// (Not libc's call, which is a cancellation point.)
#[cfg(target_pointer_width = "64")]
fn fallocate(fd: c_int, mode: c_int, offset: libc::off64_t, len: libc::off64_t) -> c_int {
    // SAFETY: the call accepts any numbers, and touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_fallocate, fd, mode, offset, len) as c_int }
}

/// Where an offset takes two registers, libc knows how.
#[cfg(not(target_pointer_width = "64"))]
fn fallocate(fd: c_int, mode: c_int, offset: libc::off64_t, len: libc::off64_t) -> c_int {
    // SAFETY: the call accepts any numbers, and touches no memory of this process.
    unsafe { libc::fallocate64(fd, mode, offset, len) }
}

/// Has the kernel write the dirty pages of `[offset, offset + len)` of a file to disk, and waits until they are clean if
/// `wait` says so. Signal-safe.
pub(crate) fn write_back(fd: c_int, offset: usize, len: usize, wait: bool) {
    const WAIT: u32 = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let flags = libc::SYNC_FILE_RANGE_WRITE | if wait { WAIT } else { 0 };
    let (offset, len) = (offset as libc::off64_t, len as libc::off64_t);
    // (Not libc's call, which is a cancellation point. Other processors have another order of arguments.)
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: the call accepts any numbers, and touches no memory of this process.
    let _ = unsafe { libc::syscall(libc::SYS_sync_file_range, fd, offset, len, flags) };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    // SAFETY: the call accepts any numbers, and touches no memory of this process.
    let _ = unsafe { libc::sync_file_range(fd, offset, len, flags) };
}

/// Maps a file over a range, inaccessible, kept out of forked children and of core dumps. A touch of it reads the pages
/// around as well if `reads_ahead` says so. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's, and no reference to its contents exists.
pub(crate) unsafe fn map_file_over(
    start: *mut u8,
    len: usize,
    fd: c_int,
    offset: usize,
    reads_ahead: bool,
) -> Result<(), Errno> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: MAP_FIXED replaces the given range alone, which belongs to the caller and is not referred to; the advice is
    // for that range.
    unsafe {
        if libc::mmap64(start.cast(), len, libc::PROT_NONE, flags, fd, offset as libc::off64_t)
            == libc::MAP_FAILED
        {
            return Err(Errno::last());
        }
        // (Should that be refused: a forked child replaces the range in any case.)
        libc::madvise(start.cast(), len, libc::MADV_DONTFORK);
        if !reads_ahead {
            libc::madvise(start.cast(), len, libc::MADV_RANDOM);
        }
        set_dumpable(start, len, false);
    }
    Ok(())
}

/// The figures of the file system of a file.
fn file_system(fd: c_int) -> Option<libc::statfs> {
    let mut facts = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `facts` is a statfs to write to, and has no invalid values.
    unsafe { (libc::fstatfs(fd, facts.as_mut_ptr()) == 0).then(|| facts.assume_init()) }
}

/// Bytes that every user may still write to the file system of a file; `None` where it does not say.
fn free_on_disk(fd: c_int) -> Option<u64> {
    let facts = file_system(fd).filter(|facts| facts.f_blocks > 0)?;
    Some((facts.f_bavail).saturating_mul(facts.f_bsize as u64))
}

/// Whether a file lives in memory.
pub(crate) fn is_in_memory(fd: c_int) -> bool {
    const RAMFS: u64 = 0x8584_58f6;
    let kind = file_system(fd).map_or(0, |facts| facts.f_type as u64);
    kind == libc::TMPFS_MAGIC as u64 || kind == RAMFS
}
