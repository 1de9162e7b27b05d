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
