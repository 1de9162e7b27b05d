//! Larger stacks for the handler: its own may have a few hundred bytes left.
//!
//! std's alternate stack has room for a growth. Formatting a report, or looking at what memory there is, takes more in
//! an unoptimised build, and so may a hook.

use super::{Loan, any};
use core::arch::asm;

const BYTES: usize = 64 << 10;

#[repr(C, align(16))]
struct Stack([u8; BYTES]);

/// As many as threads that are likely to need one at once: an unoptimised build grows on them, too. They are paged in
/// when they are used.
const COUNT: usize = if cfg!(debug_assertions) { 64 } else { 8 };
static STACKS: [Loan<Stack>; COUNT] = [const { Loan::new(Stack([0; BYTES])) }; COUNT];

/// Calls a function that must not unwind on a larger stack; on this one if other threads have all of them.
/// Signal-safe.
///
/// A fault in the function is handled on the larger stack, too.
pub(crate) fn with_room<F: FnOnce()>(f: F) {
    /// Calls the function that an `Option` holds.
    extern "C" fn call<F: FnOnce()>(f: *mut Option<F>) {
        // SAFETY: the caller's own, and nobody else has it.
        if let Some(f) = unsafe { (*f).take() } {
            f();
        }
    }
    /// The same, without an alternate stack: the kernel would take that for free while the stack pointer is here, and
    /// let a nested handler write over ours. Nested handlers stay on this stack instead.
    extern "C" fn call_alone<F: FnOnce()>(f: *mut Option<F>) {
        let alternate = super::change_alternate_stack(None);
        call(f);
        super::change_alternate_stack(Some(alternate));
    }
    let mut f = Some(f);
    // Whoever is on one of them has room already.
    let here = (&raw const f).addr().wrapping_sub(STACKS.as_ptr().addr());
    if here < size_of_val(&STACKS) {
        return call(&mut f);
    }
    let Some(mut stack) = any(&STACKS) else { return call(&mut f) };
    let mask = super::block_signals();
    let top = (&raw mut stack.0).cast::<u8>().wrapping_add(BYTES);
    // SAFETY: the stack is ours, and aligned to 16 bytes at its top; the function returns, so the old stack pointer,
    // in a register that functions preserve, is restored.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "mov r12, rsp",
            "mov rsp, {top}",
            "call {call}",
            "mov rsp, r12",
            top = in(reg) top,
            call = sym call_alone::<F>,
            in("rdi") &raw mut f,
            out("r12") _,
            clobber_abi("C"),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "mov x20, sp",
            "mov sp, {top}",
            "bl {call}",
            "mov sp, x20",
            top = in(reg) top,
            call = sym call_alone::<F>,
            in("x0") &raw mut f,
            out("x20") _,
            clobber_abi("C"),
        );
    }
    super::restore_signals(mask);
}
