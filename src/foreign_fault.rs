//! A place for a debugger to stop at: a function that is called for every fault that is not ours.
//!
//! Where a process has several copies of this library, the last of those that pass a fault on to one another calls it.
//!
//! The symbol is weak: several copies of this crate in one program share the function of one of them. (Two versions may
//! also become one assembly in link-time optimisation.)

use core::arch::global_asm;
use core::ffi::{c_int, c_void};

// Two instructions, so that a breakpoint has a place that no prologue is skipped to.
global_asm!(
    ".ifndef highwater_foreign_fault",
    ".pushsection .text.highwater_foreign_fault, \"ax\", @progbits",
    ".weak highwater_foreign_fault",
    ".type highwater_foreign_fault, @function",
    ".balign 16",
    "highwater_foreign_fault:",
    ".cfi_startproc",
    "nop",
    "ret",
    ".cfi_endproc",
    ".size highwater_foreign_fault, . - highwater_foreign_fault",
    ".popsection",
    ".endif",
);

unsafe extern "C" {
    /// Does nothing.
    fn highwater_foreign_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void);
}

/// Called for each fault that is not growth of ours. Signal-safe.
pub(crate) fn report(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the function returns at once, and looks at none of its arguments.
    unsafe { highwater_foreign_fault(signal, info, context) };
}

/// Where the function is, for debuggers of programs without symbols.
pub(crate) const FUNCTION: unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
    highwater_foreign_fault;
