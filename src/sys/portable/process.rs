//! This process and its threads, time and limits, as far as std knows them.

use super::memory::DEFAULT_RESERVE;

/// An address that is this thread's alone.
pub fn thread_address() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| core::ptr::from_ref(here).addr())
}

/// A number of this thread.
pub fn thread_id() -> u32 {
    static NEXT: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(1);
    thread_local!(static ID: u32 = NEXT.fetch_add(1, core::sync::atomic::Ordering::Relaxed));
    ID.with(|id| *id)
}

/// Whether a thread exists: not known here, so it may.
pub(crate) fn thread_exists(_thread: u32) -> bool {
    true
}

/// This thread's name: not known here.
pub fn thread_name() -> [u8; 16] {
    [0; 16]
}

/// This process's number.
pub fn process_id() -> u32 {
    std::process::id()
}

/// A number of this memory: the process's.
pub(crate) fn memory_id() -> u32 {
    process_id().max(1)
}

/// The thread that goes on in a copy of this memory: not known here.
pub(crate) fn survivor_address() -> usize {
    0
}

/// Whether the process runs under valgrind: it does not matter here, since nothing faults.
pub(crate) fn under_valgrind() -> bool {
    false
}

/// Nanoseconds since the first call.
pub fn monotonic_ns() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
}

/// Sleeps.
pub fn sleep_ns(nanoseconds: u32) {
    std::thread::sleep(core::time::Duration::from_nanos(nanoseconds.into()));
}

/// Bytes of physical memory: not known here, so the default reserve stands for it.
pub fn physical_memory() -> usize {
    DEFAULT_RESERVE
}

/// Bytes of free memory: not known here.
pub(crate) fn free_memory() -> Option<u64> {
    None
}

/// A resource that the system limits.
#[derive(Clone, Copy, Debug)]
pub enum Resource {
    /// Address space.
    AddressSpace,
    /// Private writable memory.
    Data,
    /// The length of a file.
    FileSize,
    /// Memory that may not be paged out.
    Locked,
}

/// The limit of a resource: not known here.
pub fn resource_limit(_resource: Resource) -> Option<u64> {
    None
}
