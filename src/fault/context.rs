//! The facts that the processor reports about a fault, per architecture.

use crate::guard::Access;
use core::ffi::c_void;

/// The part of the interrupted thread's state that the judgement needs.
#[derive(Clone, Copy)]
pub(super) struct Interrupted {
    /// The program counter.
    pub(super) pc: usize,
    /// Whether the fault was an attempt to execute the page.
    pub(super) fetch: bool,
    /// Whether it was a read or a write.
    pub(super) access: Access,
}

/// Reads it out of a signal's context.
///
/// # Safety
/// `context` is the third argument of a `SA_SIGINFO` handler.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn read(context: *const c_void, _address: usize) -> Interrupted {
    /// Bit 4 of the page fault error code: an instruction fetch.
    const FETCH: i64 = 1 << 4;
    /// Bit 1: a write.
    const WRITE: i64 = 1 << 1;
    // SAFETY: the kernel passes a ucontext.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    // The indices are constants within the array: no bounds check is left.
    let pc = registers[libc::REG_RIP as usize] as usize;
    let error = registers[libc::REG_ERR as usize];
    let access = if error & WRITE == 0 { Access::Read } else { Access::Write };
    Interrupted { pc, fetch: error & FETCH != 0, access }
}

/// Reads it out of a signal's context.
///
/// # Safety
/// `context` is the third argument of a `SA_SIGINFO` handler.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn read(context: *const c_void, address: usize) -> Interrupted {
    // SAFETY: the kernel passes a ucontext.
    let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    let pc = machine.pc as usize;
    // SAFETY: `machine` is a machine context that the kernel made.
    let access = unsafe { access(core::ptr::from_ref(&machine.pstate)) };
    // A fetch faults at the program counter itself; no load or store of ours reads its own instruction.
    Interrupted { pc, fetch: pc == address, access }
}

/// What the exception syndrome says. It stands in one of the records behind the registers, each of which begins
/// with a number that says what it is and its length; one of length 0 is the end.
///
/// # Safety
/// `pstate` is the last register of a machine context that the kernel made.
#[cfg(target_arch = "aarch64")]
unsafe fn access(pstate: *const u64) -> Access {
    const SYNDROME: u32 = 0x4553_5201;
    const RECORDS: usize = 4096;
    /// Bit 6 of the syndrome: a write.
    const WRITE: u64 = 1 << 6;
    let records = pstate.wrapping_add(1).cast::<u8>();
    let records = records.wrapping_add(records.addr().wrapping_neg() & 15);
    let mut at = 0;
    while at < RECORDS - 16 {
        let record = records.wrapping_add(at);
        // SAFETY: the records are 4096 bytes of the context, aligned to 16.
        let [what, len] = unsafe { record.cast::<[u32; 2]>().read() };
        match (what, len) {
            (_, 0) => break,
            (SYNDROME, _) => {
                // SAFETY: the record lies in the 4096 bytes of the context; its second word is the syndrome.
                let syndrome = unsafe { record.wrapping_add(8).cast::<u64>().read() };
                return if syndrome & WRITE == 0 { Access::Read } else { Access::Write };
            }
            (_, len) => at = at.wrapping_add((len as usize).wrapping_add(15) & !15),
        }
    }
    Access::Unknown
}
