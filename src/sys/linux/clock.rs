//! The monotonic clock, and sleeping.
//!
//! Contract: signal-safe, and no cancellation points.

use crate::sys::preserve_errno;

/// Nanoseconds on the monotonic clock.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// Sleeps for less than a second, or less where a signal arrives. errno is preserved.
pub fn sleep_ns(nanoseconds: u32) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds.into() };
    // (Not libc's call, which is a cancellation point.)
    preserve_errno(|| {
        // SAFETY: reads the time; the null pointer says that the rest of it is not wanted.
        unsafe {
            libc::syscall(libc::SYS_nanosleep, &raw const time, core::ptr::null_mut::<libc::timespec>())
        }
    });
}
