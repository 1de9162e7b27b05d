//! Memory of the global allocator, and purging, which it cannot do.

use crate::sys::Errno;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// The default reserve: it may have to be backed by memory, so it is modest.
pub(crate) const DEFAULT_RESERVE: usize = if cfg!(miri) { 4 << 20 } else { 1 << 30 };

/// Whether memory that is not committed costs nothing and refuses access: it does not.
pub(crate) const HAS_PROTECTION: bool = false;

/// The page size in bytes; a grain without meaning to the system.
pub fn page_size() -> usize {
    4096
}

/// What a fresh range allows; here always everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing until it is committed.
    None,
    /// Everything.
    ReadWrite,
}

/// The allocation behind a range. It is larger by two pages: with a page's alignment the allocator would write zeros to all
/// of it instead of mapping fresh memory.
fn layout(len: usize) -> Result<Layout, Errno> {
    let padded = len.checked_add(2 * page_size()).ok_or(Errno::ENOMEM)?;
    Layout::from_size_align(padded, align_of::<usize>()).map_err(|_| Errno::ENOMEM)
}

/// Reserves `len` bytes, aligned to a page. The allocation's own address stands in the word before them.
pub fn reserve(len: usize, _protection: Protection) -> Result<NonNull<u8>, Errno> {
    // SAFETY: the layout is not empty, and has space for the padding, the word before the range and the range.
    unsafe {
        let start = NonNull::new(alloc_zeroed(layout(len)?)).ok_or(Errno::ENOMEM)?;
        let past_word = start.as_ptr().add(size_of::<usize>());
        let range = past_word.add(past_word.align_offset(page_size()));
        range.cast::<*mut u8>().sub(1).write(start.as_ptr());
        Ok(NonNull::new_unchecked(range))
    }
}

/// [`reserve`]: everything is accessible.
pub(crate) fn reserve_upfront(len: usize) -> Result<NonNull<u8>, Errno> {
    reserve(len, Protection::ReadWrite)
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn commit_upfront(_start: NonNull<u8>, _len: usize) -> Result<(), Errno> {
    Ok(())
}

/// Zeros a range.
///
/// # Safety
/// The range lies in a reserved range of the caller's, and no reference to its contents exists.
pub(crate) unsafe fn reserve_over(
    start: NonNull<u8>,
    len: usize,
    _protection: Protection,
) -> Result<(), Errno> {
    // SAFETY: the range is writable memory of the caller's and not referred to.
    unsafe { start.write_bytes(0, len) };
    Ok(())
}

/// Deallocates a range.
///
/// # Safety
/// The range was reserved with this length, and no reference to it exists.
pub(crate) unsafe fn release(start: NonNull<u8>, len: usize) {
    let Ok(layout) = layout(len) else { return };
    // SAFETY: `reserve` wrote the allocation's address there, and allocated it with this layout.
    unsafe { dealloc(start.cast::<*mut u8>().sub(1).read(), layout) };
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub unsafe fn commit(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Ok(())
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub unsafe fn protect(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Ok(())
}

/// Not supported.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn populate(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Whether a page is locked in memory: never.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn is_locked(_page: NonNull<u8>) -> bool {
    false
}

/// Nothing is given back.
///
/// # Safety
/// None is needed.
pub unsafe fn purge(_start: *mut u8, _len: usize) -> bool {
    false
}

/// Nothing is given back.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn purge_locked(_start: *mut u8, _len: usize) -> bool {
    false
}

/// Nothing is given back.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn purge_by_unlocking(_start: NonNull<u8>, _len: usize) -> bool {
    false
}

/// Whether a range has settings that a fresh mapping would not have: not known here.
pub(crate) fn has_settings(_start: NonNull<u8>, _len: usize) -> bool {
    false
}
