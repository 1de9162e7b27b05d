//! What the processor says of a fault, per architecture.

use core::ffi::c_void;

/// The part of the interrupted thread's state that the judgement needs.
#[derive(Clone, Copy)]
pub(super) struct Interrupted {
    /// The program counter.
    pub(super) pc: usize,
    /// Whether the fault was an attempt to execute the page.
    pub(super) fetch: bool,
}

/// Reads it out of a signal's context.
///
/// # Safety
/// `context` is the third argument of a `SA_SIGINFO` handler.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn read(context: *const c_void, _address: usize) -> Interrupted {
    /// Bit 4 of the page fault error code: an instruction fetch.
    const FETCH: i64 = 1 << 4;
    // SAFETY: the kernel passes a ucontext.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    // The indices are constants within the array: no bounds check is left.
    let pc = registers[libc::REG_RIP as usize] as usize;
    Interrupted { pc, fetch: registers[libc::REG_ERR as usize] & FETCH != 0 }
}

/// Reads it out of a signal's context.
///
/// # Safety
/// `context` is the third argument of a `SA_SIGINFO` handler.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn read(context: *const c_void, address: usize) -> Interrupted {
    // SAFETY: the kernel passes a ucontext.
    let pc = unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.pc } as usize;
    // A fetch faults at the program counter itself; no load or store of ours reads its own instruction.
    Interrupted { pc, fetch: pc == address }
}
