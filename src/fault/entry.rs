//! The functions that the kernel calls, one for each time our handler is put in front.
//!
//! They differ in their address alone. A handler that was installed after ours keeps the address that it found, and
//! may call it, or make it the action again: the address says how long ago that was, and so whose turn it is next
//! (`chain`).
//!
//! An entry leaves no frame behind when a fault goes on to another copy of this library: it jumps there. A process may
//! have dozens of copies (plug-ins), and std's alternate stack has 8 KiB.

use super::action::{ENTRIES, ENTRY_BYTES, SegvHandler, TABLE_BYTES};
use super::{handler, pass};
use core::arch::naked_asm;
use core::ffi::{c_int, c_void};

/// The address of an entry.
pub(super) fn address(entry: usize) -> usize {
    start().wrapping_add(entry % ENTRIES * ENTRY_BYTES)
}

/// The number of the entry at an address, `None` if no entry of this copy begins there.
pub(super) fn number(address: usize) -> Option<usize> {
    let offset = address.wrapping_sub(start());
    (offset < TABLE_BYTES && offset.is_multiple_of(ENTRY_BYTES)).then_some(offset / ENTRY_BYTES)
}

fn start() -> usize {
    // The function begins at a multiple of the size in its section already; anything in front of the table is padding.
    (table as *const () as usize).wrapping_add(TABLE_BYTES - 1) & !(TABLE_BYTES - 1)
}

/// The entries, one after another, and what they have in common: `handle` gets the arguments and the address of the
/// entry, and what it returns is called as if the kernel had called it instead.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn table(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    naked_asm!(
        ".cfi_startproc",
        ".balign {table}",
        ".rept {count}",
        ".balign {bytes}",
        // A target of indirect branches where the processor checks that: four bytes.
        "endbr64",
        // Seven bytes, so the entry begins eleven before the next instruction.
        "lea rcx, [rip - 11]",
        "jmp 2f",
        ".endr",
        "2:",
        // With the return address that makes 32 bytes: the stack is aligned.
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "push rsi",
        ".cfi_adjust_cfa_offset 8",
        "push rdx",
        ".cfi_adjust_cfa_offset 8",
        "call {handle}",
        "pop rdx",
        ".cfi_adjust_cfa_offset -8",
        "pop rsi",
        ".cfi_adjust_cfa_offset -8",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "test rax, rax",
        "jz 3f",
        "jmp rax",
        "3:",
        "ret",
        ".cfi_endproc",
        table = const TABLE_BYTES,
        count = const ENTRIES,
        bytes = const ENTRY_BYTES,
        handle = sym handle,
    )
}

/// The entries, one after another, and what they have in common: `handle` gets the arguments and the address of the
/// entry, and what it returns is called as if the kernel had called it instead.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn table(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    naked_asm!(
        ".cfi_startproc",
        ".balign {table}",
        ".rept {count}",
        ".balign {bytes}",
        // `bti c`: a target of indirect calls where the processor checks that.
        "hint #34",
        "adr x3, . - 4",
        "b 2f",
        "nop",
        ".endr",
        "2:",
        "stp x29, x30, [sp, #-48]!",
        ".cfi_def_cfa_offset 48",
        ".cfi_offset x29, -48",
        ".cfi_offset x30, -40",
        "mov x29, sp",
        "stp x0, x1, [sp, #16]",
        "str x2, [sp, #32]",
        "bl {handle}",
        // Branches through x16 are calls to a processor that checks their targets.
        "mov x16, x0",
        "ldp x0, x1, [sp, #16]",
        "ldr x2, [sp, #32]",
        "ldp x29, x30, [sp], #48",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "cbz x16, 3f",
        "br x16",
        "3:",
        "ret",
        ".cfi_endproc",
        table = const TABLE_BYTES,
        count = const ENTRIES,
        bytes = const ENTRY_BYTES,
        handle = sym handle,
    )
}

/// What all entries do: serves the fault, or passes it on. The entry jumps to the handler that is returned, as if the kernel
/// had called it instead.
///
/// # Safety
/// Called by an entry, with a handler's arguments and the address of the entry.
unsafe extern "C" fn handle(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
    address: usize,
) -> Option<SegvHandler> {
    // SAFETY: these are a handler's arguments: required by this function's contract.
    unsafe {
        if handler::serve(info, context) {
            return None;
        }
        pass::pass_on(signal, info, context, number(address)?)
    }
}
