//! Limits on the resources of a child.

use super::maps::statm;
use libc::rlim_t;

/// Sets the soft and the hard limit of a resource; returns it.
macro_rules! set_limit {
    ($resource:expr, $bytes:expr) => {{
        let bytes: usize = $bytes;
        let limit = libc::rlimit { rlim_cur: bytes as rlim_t, rlim_max: bytes as rlim_t };
        // SAFETY: the structure is initialised.
        assert_eq!(unsafe { libc::setrlimit($resource, &limit) }, 0);
        bytes
    }};
}

/// Allows the process so many bytes of address space more than it has now; returns the limit.
pub fn limit_address_space(more: usize) -> usize {
    set_limit!(libc::RLIMIT_AS, statm(0) + more)
}

/// Allows the process so many bytes of private memory more than it has now; returns the limit.
pub fn limit_data(more: usize) -> usize {
    set_limit!(libc::RLIMIT_DATA, statm(5) + more)
}

/// Allows files of so many bytes.
pub fn limit_file_size(bytes: usize) {
    set_limit!(libc::RLIMIT_FSIZE, bytes);
}

/// [`limit_data`] that [`lift_limits`] can lift again.
pub fn limit_data_softly(more: usize) -> usize {
    let bytes = statm(5) + more;
    set_softly(libc::RLIMIT_DATA as i32, bytes);
    bytes
}

/// Allows the process so much private memory in all, until [`lift_limits`]. (Linux takes 0 for no limit.)
pub fn limit_data_to(bytes: usize) {
    set_softly(libc::RLIMIT_DATA as i32, bytes);
}

/// Sets the soft limits on memory to the hard ones. Signal-safe.
pub fn lift_limits() {
    set_softly(libc::RLIMIT_DATA as i32, usize::MAX);
    set_softly(libc::RLIMIT_AS as i32, usize::MAX);
}

fn set_softly(resource: i32, bytes: usize) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a structure of ours.
    unsafe {
        assert_eq!(libc::getrlimit(resource as _, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max.min(bytes as rlim_t);
        assert_eq!(libc::setrlimit(resource as _, &limit), 0);
    }
}

/// How many mappings a process may have, if that many can be made here.
pub fn mapping_limit() -> Option<usize> {
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    most.trim().parse().ok().filter(|&most| most <= 200_000)
}

/// Splits mappings until the kernel has no more of them than `most`.
pub fn use_up_mappings(most: usize) {
    let page = super::raw::page();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: fresh mappings overlap nothing, and every second page of ours changes its protection.
    unsafe {
        let len = (most + 1000) * 2 * page;
        let start = libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(start, libc::MAP_FAILED);
        let mut at = start;
        while libc::mprotect(at, page, libc::PROT_READ) == 0 {
            at = at.byte_add(2 * page);
        }
    }
}

/// Maps all addresses that are free, but for one gap of `gap` bytes, which is returned, and what is smaller.
pub fn use_up_addresses(gap: usize) -> usize {
    let mut size = 1usize << 47;
    let mut last = std::ptr::null_mut();
    while size >= gap {
        match map(size) {
            Some(start) => last = start,
            None => size /= 2,
        }
    }
    // SAFETY: the mapping is ours and empty.
    assert_eq!(unsafe { libc::munmap(last, gap) }, 0);
    gap
}

/// Maps addresses until about `left` bytes of them are free.
pub fn leave_addresses(space: usize, left: usize) {
    let mut size = space / 2;
    while size >= 1 << 30 {
        if statm(0) + size + left > space || map(size).is_none() {
            size /= 2;
        }
    }
}

/// Inaccessible addresses, which are never given back.
fn map(size: usize) -> Option<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh mapping overlaps nothing.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0) };
    (start != libc::MAP_FAILED).then_some(start)
}

/// From now on the kernel does not know this `madvise`, as an older one; false where that cannot be had.
pub fn forbid_advice(advice: u32) -> bool {
    let op = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |at| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let equal = |value, jf| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, jf, value);
    let leave = |value| op(libc::BPF_RET | libc::BPF_K, 0, 0, value);
    let mut program = [
        load(0),
        equal(libc::SYS_madvise as u32, 3),
        // The low half of the third argument.
        load(16 + 2 * 8),
        equal(advice, 1),
        leave(libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        leave(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program is valid for the call, which copies it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program, 0, 0) == 0
    }
}
