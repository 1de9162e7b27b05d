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
