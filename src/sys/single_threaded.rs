//! Whether the process has one thread, as far as the C library knows.
//!
//! Contract: signal-safe.

use core::sync::atomic::AtomicU8;

/// The flag that says whether the process has one thread: the C library's, which creates them. glibc's own malloc reads it
/// before it skips its locks. glibc before 2.32 has none.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", not(miri)))]
pub(super) fn single_threaded_flag() -> &'static AtomicU8 {
    let flag: *const AtomicU8;
    // SAFETY: loads an entry of the global offset table: the symbol's address, or null since the symbol is weak.
    unsafe {
        core::arch::asm!(
            ".weak __libc_single_threaded",
            "mov {}, qword ptr [rip + __libc_single_threaded@GOTPCREL]",
            out(reg) flag,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    // SAFETY: null, or glibc's flag: one byte that is never unmapped, which changes only when this thread creates the second
    // one, or when all others have ended.
    unsafe { flag.as_ref() }.unwrap_or(&MAYBE_THREADS)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", not(miri))))]
pub(super) fn single_threaded_flag() -> &'static AtomicU8 {
    &MAYBE_THREADS
}

/// For C libraries without such a flag: there may be several threads.
static MAYBE_THREADS: AtomicU8 = AtomicU8::new(0);
