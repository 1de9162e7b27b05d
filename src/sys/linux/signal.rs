//! Signal masks, alternate stacks, and the default action.
//!
//! Contract: signal-safe; the calls cannot fail. They concern the calling thread alone, the default action the process.

use super::process::thread_id;
use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr::null_mut;

/// Sets this thread's alternate signal stack, `None` for none, and returns what it was.
#[cfg(highwater_fault)]
pub(crate) fn change_alternate_stack(to: Option<libc::stack_t>) -> libc::stack_t {
    let none = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    let (new, mut old) = (to.unwrap_or(none), none);
    // SAFETY: both are stacks; the new one was in force before, or is none.
    unsafe { libc::sigaltstack(&new, &mut old) };
    // The stack pointer is elsewhere, so the flag that says otherwise is not wanted back.
    libc::stack_t { ss_flags: old.ss_flags & !libc::SS_ONSTACK, ..old }
}

/// The signals that a thread raises by its own instructions: they are never blocked, since a blocked one ends the process.
pub(crate) const SYNCHRONOUS_SIGNALS: [c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// Blocks every signal but those, and returns which this thread blocked before.
pub(crate) fn block_async_signals() -> u64 {
    let open = SYNCHRONOUS_SIGNALS.into_iter().fold(0u64, |mask, signal| mask | 1 << (signal - 1));
    change_signal_mask(libc::SIG_BLOCK, !open)
}

/// Blocks the signals that [`block_async_signals`] returned, and no others.
pub(crate) fn restore_signal_mask(mask: u64) {
    change_signal_mask(libc::SIG_SETMASK, mask);
}

/// The kernel's signals of a set, 1 to 64. By a pointer: in a context that the kernel wrote the set has no more than these.
///
/// # Safety
/// The first eight bytes of the set may be read.
pub(crate) unsafe fn kernel_signals(set: *const libc::sigset_t) -> u64 {
    // SAFETY: eight bytes may be read: required by this function's contract. Every value is a set.
    unsafe { set.cast::<u64>().read_unaligned() }
}

/// Restores the default action of a signal.
#[inline(never)] // its locals are not on the stack of a handler that goes on
pub(crate) fn set_default_action(signal: c_int) {
    let action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeroes is an action: the default one, no flags and an empty mask.
    unsafe { libc::sigaction(signal, action.as_ptr(), null_mut()) };
}

/// Sends a signal to this thread.
pub(crate) fn send_to_this_thread(signal: c_int) {
    // SAFETY: both numbers are our own.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread_id(), signal) };
}

/// Changes the signals that this thread blocks (bit n - 1 is signal n), and returns which it did before. Not by libc's
/// call: its sets take 128 bytes each of a stack that several handlers, this library's and others, may have to share.
pub(crate) fn change_signal_mask(how: c_int, set: u64) -> u64 {
    let mut before = 0u64;
    let (new, old) = (&raw const set, &raw mut before);
    // SAFETY: the kernel's sets are one word, as the last argument says.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new, old, size_of::<u64>()) };
    before
}
