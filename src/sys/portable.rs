//! Every other system: zeroed memory of the global allocator, which large systems page in when it is
//! touched. Committing is bookkeeping here and guards protect nothing; the check is still made against
//! the frontier, so limits, statistics and refusals are the same everywhere.

use super::Errno;
use core::ffi::{CStr, c_int};
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// The default reserve: it may have to be backed by memory, so it is modest.
pub(crate) const DEFAULT_RESERVE: usize = if cfg!(miri) { 4 << 20 } else { 1 << 30 };

/// See the other file.
pub(crate) const HAS_PROTECTION: bool = false;

/// The page size in bytes; a grain without meaning to the system.
pub(crate) fn page_size() -> usize {
    4096
}

/// What a fresh range allows; here always everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Nothing until it is committed.
    None,
    /// Everything.
    ReadWrite,
}

/// The allocation behind a range: a page more, because asking the allocator for a page's alignment would
/// make it write zeroes to all of it instead of taking fresh memory.
fn layout(len: usize) -> Result<Layout, Errno> {
    let padded = len.checked_add(2 * page_size()).ok_or(Errno::ENOMEM)?;
    Layout::from_size_align(padded, align_of::<usize>()).map_err(|_| Errno::ENOMEM)
}

/// Reserves `len` bytes, aligned to a page. The allocation's own address stands in the word before them.
pub(crate) fn reserve(len: usize, _access: Protection) -> Result<NonNull<u8>, Errno> {
    // SAFETY: the layout is not empty; it holds the padding, the word before the range and the range.
    unsafe {
        let start = NonNull::new(alloc_zeroed(layout(len)?)).ok_or(Errno::ENOMEM)?;
        let past_word = start.as_ptr().add(size_of::<usize>());
        let range = past_word.add(past_word.align_offset(page_size()));
        range.cast::<*mut u8>().sub(1).write(start.as_ptr());
        Ok(NonNull::new_unchecked(range))
    }
}

/// The same: everything is accessible.
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

/// Never.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn is_locked(_page: NonNull<u8>) -> bool {
    false
}

/// Nothing is taken.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn purge_locked(_start: *mut u8, _len: usize) -> bool {
    false
}

/// The same.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn purge_by_unlocking(_start: NonNull<u8>, _len: usize) -> bool {
    false
}

/// Not known here.
pub(crate) fn has_settings(_start: NonNull<u8>, _len: usize) -> bool {
    false
}

/// Zeroes a range.
///
/// # Safety
/// The range lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn reserve_over(start: NonNull<u8>, len: usize, _access: Protection) -> Result<(), Errno> {
    // SAFETY: the range is the caller's own writable memory.
    unsafe { start.write_bytes(0, len) };
    Ok(())
}

/// Gives a range back to the allocator.
///
/// # Safety
/// The range was reserved with this length, and nothing refers to it any more.
pub(crate) unsafe fn release(start: NonNull<u8>, len: usize) {
    let Ok(layout) = layout(len) else { return };
    // SAFETY: `reserve` left the allocation's address there and used this layout.
    unsafe { dealloc(start.cast::<*mut u8>().sub(1).read(), layout) };
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn commit(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Ok(())
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn protect(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Ok(())
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn populate(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// There is no such thing.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn install_guard(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// There is no such thing.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn remove_guard(_start: *mut u8, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Never.
pub(crate) fn supports_guards() -> bool {
    false
}

/// Nothing is taken.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn purge(_start: *mut u8, _len: usize) -> bool {
    false
}

/// An address that is this thread's alone.
pub(crate) fn thread_address() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| core::ptr::from_ref(here).addr())
}

/// Sleeps for a moment.
pub(crate) fn sleep_ns(nanoseconds: u32) {
    std::thread::sleep(core::time::Duration::from_nanos(nanoseconds.into()));
}

/// There are no mappings.
pub(crate) fn max_mappings() -> usize {
    usize::MAX
}

/// Not known here.
pub(crate) fn thread_name() -> [u8; 16] {
    [0; 16]
}

/// Not known here.
pub(crate) fn image_of(_pc: usize, _buffer: &mut [u8], _path: &mut [u8]) -> Option<(usize, usize)> {
    None
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn advise_huge(_start: NonNull<u8>, _len: usize, _wanted: bool) {}

/// Never.
pub(crate) fn huge_pages_on_advice() -> bool {
    false
}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn set_dumpable(_start: *mut u8, _len: usize, _wanted: bool) {}

/// Nothing to do.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn set_name(_start: NonNull<u8>, _len: usize, _name: &CStr) {}

/// There are no such mappings.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn map_file_over(
    _start: *mut u8,
    _len: usize,
    _fd: c_int,
    _offset: usize,
) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Not known here.
pub(crate) fn file_identity(_fd: c_int) -> Option<[u64; 2]> {
    None
}

/// Not known here.
pub(crate) fn resident_anonymous_bytes() -> Option<u64> {
    None
}

/// Nothing interrupts here that matters.
pub(crate) fn block_async_signals() -> u64 {
    0
}

/// Nothing to do.
pub(crate) fn restore_signal_mask(_mask: u64) {}

/// There are no such files.
pub(crate) fn allocate_blocks(_fd: c_int, _offset: usize, _len: usize) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}

/// Nanoseconds since the first call.
pub(crate) fn monotonic_ns() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

/// A number of this thread.
pub(crate) fn thread_id() -> u32 {
    static NEXT: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(1);
    thread_local!(static ID: u32 = NEXT.fetch_add(1, core::sync::atomic::Ordering::Relaxed));
    ID.with(|id| *id)
}

/// Not known here, so it may.
pub(crate) fn thread_exists(_thread: u32) -> bool {
    true
}

/// Bytes of physical memory: not known here, so the default reserve stands for it.
pub(crate) fn physical_memory() -> usize {
    DEFAULT_RESERVE
}

/// A resource that the system limits.
#[derive(Clone, Copy)]
pub(crate) enum Resource {
    /// Address space.
    AddressSpace,
    /// Private writable memory.
    Data,
    /// The length of a file.
    #[expect(dead_code, reason = "there are no file-backed regions here")]
    FileSize,
    /// Memory that may not be paged out.
    Locked,
}

/// Not known here.
pub(crate) fn resource_limit(_resource: Resource) -> Option<u64> {
    None
}

/// Not known here.
pub(crate) fn process_size() -> Option<super::ProcessSize> {
    None
}

/// Not known here.
pub(crate) fn mappings(_scratch: &mut [u8]) -> Option<(u64, u64)> {
    None
}

/// Not known here.
pub(crate) fn overcommit(_scratch: &mut [u8]) -> Option<super::Overcommit> {
    None
}

/// Not known here.
pub(super) fn process_address_space() -> Option<usize> {
    None
}

/// Not known here.
pub(super) fn each_mapping(_scratch: &mut [u8], _call: impl FnMut(usize, usize)) {}

/// Not known here.
pub(crate) fn largest_gap(_scratch: &mut [u8]) -> Option<u64> {
    None
}

/// Not known here.
pub(crate) fn overcommit_is_strict() -> bool {
    false
}

/// Not known here.
pub(crate) fn overcommit_was_strict() -> bool {
    false
}

/// Not known here.
pub(crate) fn machine_memory(_scratch: &mut [u8]) -> Option<super::MachineMemory> {
    None
}

/// Not known here.
pub(crate) fn memory_pressure(_scratch: &mut [u8]) -> Option<&str> {
    None
}

/// There are no such files.
pub(crate) struct PolledFile(core::convert::Infallible);

impl PolledFile {
    /// Never.
    pub(crate) fn open(_path: std::ffi::CString) -> Option<Self> {
        None
    }

    /// Never.
    pub(crate) fn read<'a>(&self, _to: &'a mut [u8]) -> Option<&'a [u8]> {
        match self.0 {}
    }
}

/// Not known here.
pub(crate) fn free_memory() -> Option<u64> {
    None
}

/// Not known here: nothing counts as present.
///
/// # Safety
/// None is needed.
pub(crate) unsafe fn resident_pages(_start: *mut u8, _len: usize, _scratch: &mut [u8]) -> usize {
    0
}

/// The bytes of a line like `MemTotal:      1234 kB`: there are none.
pub(crate) fn kib_after(_text: &[u8], _label: &[u8]) -> Option<u64> {
    None
}

/// Not known here: reports go to standard error.
pub(crate) fn raw_fd(_file: &std::fs::File) -> Option<c_int> {
    None
}

/// This process's number.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Writes to standard error, whatever the descriptor.
pub(crate) fn write_all(_fd: c_int, text: &[u8]) -> bool {
    use std::io::Write;
    std::io::stderr().write_all(text).is_ok()
}
