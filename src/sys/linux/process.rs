//! This process and its threads: numbers, limits, forks, and the memory of the machine by system calls.
//!
//! Contract: signal-safe, except for [`on_fork_in_child`], `around_forks` and [`physical_memory`]. Nothing is allocated.

use super::memory::page_size;
use crate::sys::Errno;
use core::mem::MaybeUninit;

/// An address that is this thread's alone, and its copy's in a forked child.
pub fn thread_address() -> usize {
    // SAFETY: returns the address of errno; nothing is read.
    unsafe { libc::__errno_location() }.addr()
}

/// The kernel's number of this thread.
pub fn thread_id() -> u32 {
    // SAFETY: gettid has no preconditions.
    (unsafe { libc::syscall(libc::SYS_gettid) }) as u32
}

/// Whether a thread of this process has the number. Only "no" is certain: numbers are used again.
pub(crate) fn thread_exists(thread: u32) -> bool {
    // Only "no such thread" is a no: where asking is not permitted the thread is assumed to exist.
    // SAFETY: signal 0 is not sent.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, 0) };
    result == 0 || Errno::last() != Errno::ESRCH
}

/// This thread's name, up to the first zero.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes at most 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

/// This process's number.
pub fn process_id() -> u32 {
    // SAFETY: getpid has no preconditions.
    (unsafe { libc::getpid() }) as u32
}

/// Has a function called in every forked child, before `fork` returns there.
pub(crate) fn on_fork_in_child(call: unsafe extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the functions that are passed here keep to what is allowed in the child of a process with threads.
    match unsafe { libc::pthread_atfork(None, None, Some(call)) } {
        0 => Ok(()),
        error => Err(Errno(error)),
    }
}

/// Has functions called around every fork: before it, and after it in the parent and in the child.
#[cfg(feature = "global-alloc")]
pub(crate) fn around_forks(
    before: unsafe extern "C" fn(),
    parent: unsafe extern "C" fn(),
    child: unsafe extern "C" fn(),
) -> Result<(), Errno> {
    // SAFETY: the functions that are passed here keep to what is allowed in a process with threads, and in its child.
    match unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) } {
        0 => Ok(()),
        error => Err(Errno(error)),
    }
}

/// Bytes of physical memory.
pub fn physical_memory() -> usize {
    // SAFETY: sysconf has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    usize::try_from(pages).unwrap_or(0).saturating_mul(page_size())
}

/// Bytes of free memory and free swap, the cheapest figures there are.
pub(crate) fn free_memory() -> Option<u64> {
    let mut facts = MaybeUninit::<libc::sysinfo>::zeroed();
    // SAFETY: `facts` is a sysinfo to write to, and has no invalid values.
    let facts = unsafe {
        if libc::sysinfo(facts.as_mut_ptr()) != 0 {
            return None;
        }
        facts.assume_init()
    };
    let unit = u64::from(facts.mem_unit.max(1));
    Some((facts.freeram as u64).wrapping_add(facts.freeswap as u64).saturating_mul(unit))
}

/// A resource that the system limits.
#[derive(Clone, Copy, Debug)]
pub enum Resource {
    /// `RLIMIT_AS`: address space.
    AddressSpace,
    /// `RLIMIT_DATA`: private writable memory.
    Data,
    /// `RLIMIT_FSIZE`: the length of a file.
    FileSize,
    /// `RLIMIT_MEMLOCK`: memory that may not be paged out.
    Locked,
}

/// The soft limit of a resource in bytes, `None` where there is none.
pub fn resource_limit(resource: Resource) -> Option<u64> {
    let resource = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Locked => libc::RLIMIT_MEMLOCK,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an rlimit to write to.
    let result = unsafe { libc::getrlimit(resource, &mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}
