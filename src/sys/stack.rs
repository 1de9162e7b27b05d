//! Larger stacks for the handler: its own may have a few hundred bytes left.
//!
//! std's alternate stack has room for a growth. Formatting a report, or looking at what memory there is, takes more in
//! an unoptimised build, and so may a hook.
//!
//! The stacks lie in static memory, so that no limit can be in the way of having them. Below each is a guard page: a hook
//! that needs more than there is ends the process at the instruction that does.

use super::{Held, Loan};
use core::arch::naked_asm;
use core::cell::UnsafeCell;

const BYTES: usize = 64 << 10;

/// As many as threads that are likely to need one at once: an unoptimised build grows on them, too. They are paged in
/// when they are used.
const COUNT: usize = if cfg!(debug_assertions) { 64 } else { 8 };

/// The largest page that a kernel of this architecture has.
const MAX_PAGE: usize = if cfg!(target_arch = "x86_64") { 4 << 10 } else { 64 << 10 };

/// Every stack with its guard page, and what aligning the first one may take.
const SPACE: usize = COUNT * (MAX_PAGE + BYTES) + MAX_PAGE;

#[repr(C, align(16))]
struct Memory(UnsafeCell<[u8; SPACE]>);

// SAFETY: no reference to the bytes is ever made. A stack is used by whoever has its lock.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; SPACE]));
/// Which of them is in use.
static LOCKS: [Loan<()>; COUNT] = [const { Loan::new(()) }; COUNT];

/// Where the guard page of a stack begins. The stack lies above it.
fn guard_of(index: usize, page: usize) -> *mut u8 {
    let start: *mut u8 = MEMORY.0.get().cast();
    let first = start.addr().wrapping_neg() & (page.wrapping_sub(1));
    start.wrapping_add(first.wrapping_add(index.wrapping_mul(page.wrapping_add(BYTES))))
}

/// The page size, if there is room for guards of it.
fn page() -> usize {
    super::page_size().min(MAX_PAGE)
}

/// Makes the guard pages inaccessible. Best effort: a stack without its guard is still a stack.
///
/// By protection, although marks (`MADV_GUARD_INSTALL`) would not split the mapping: gdb's `generate-core-file` leaves out
/// all of a mapping that has a page which it cannot read, and here that would be all static variables.
pub(crate) fn guard_stacks() {
    // It reads all static memory when it searches, and would end at a page that it cannot read.
    if super::has_leak_sanitizer() {
        return;
    }
    let page = page();
    for index in 0..COUNT {
        // SAFETY: a whole page of this module's own static memory, which belongs to no stack.
        let _ = unsafe { super::protect(guard_of(index, page), page) };
    }
}

/// A stack that nobody uses, by its upper end. Signal-safe.
fn free_stack() -> Option<(Held<'static, ()>, *mut u8)> {
    let page = page();
    LOCKS.iter().enumerate().find_map(|(index, lock)| {
        let above = guard_of(index, page).wrapping_add(page.wrapping_add(BYTES));
        lock.take().map(|held| (held, above))
    })
}

/// A function and what it is called with.
struct Task {
    call: unsafe extern "C" fn(*mut ()),
    data: *mut (),
}

/// Calls a function that must not unwind on a larger stack; on this one if other threads have all of them.
/// Signal-safe.
///
/// A fault in the function is handled on the larger stack, too.
#[inline(always)]
pub(crate) fn with_room<F: FnOnce()>(f: F) {
    /// Calls the function that an `Option` holds.
    unsafe extern "C" fn call<F: FnOnce()>(f: *mut ()) {
        // SAFETY: `with_room`'s own variable, which nobody else has.
        if let Some(f) = unsafe { (*f.cast::<Option<F>>()).take() } {
            f();
        }
    }
    let mut f = Some(f);
    on_large_stack(&Task { call: call::<F>, data: (&raw mut f).cast() });
}

/// Apart from `with_room`, and small: this frame is on the stack that has no room.
#[inline(never)]
fn on_large_stack(task: &Task) {
    // Whoever is on one of them has room already.
    let here = core::ptr::from_ref(task).addr().wrapping_sub(MEMORY.0.get().addr());
    if here >= SPACE
        && let Some((held, top)) = free_stack()
    {
        let mask = super::block_signals();
        // SAFETY: the stack is this call's until `held` is dropped, its upper end is a multiple of 16, and the task outlives
        // the call, which returns.
        unsafe { switch(task, top, call_alone) };
        super::restore_signals(mask);
        return drop(held);
    }
    // SAFETY: the function was made for this data.
    unsafe { (task.call)(task.data) };
}

/// Calls without an alternate stack: the kernel would take that for free while the stack pointer is here, and let a nested
/// handler write over ours. Nested handlers stay on this stack instead.
unsafe extern "C" fn call_alone(task: &Task) {
    let alternate = super::change_alternate_stack(None);
    // SAFETY: the function was made for this data.
    unsafe { (task.call)(task.data) };
    super::change_alternate_stack(Some(alternate));
}

// The frame of `switch` is what unwinders cross from the large stack to the one before. Its call frame information says
// that the caller's frame is found from the frame pointer, wherever the stack pointer is; the chain of frame pointers goes
// through as well.
//
// gdb holds a caller's frame that lies below its callee's for a corrupt stack, unless the symbol around the return address
// is `__morestack`, gcc's name for such a function. It is a label here: a local symbol, which no linker confuses with
// gcc's. It has a size, the rest of the function's: gdb does not look at symbols without one. (Two versions of this crate may
// become one assembly in link-time optimisation.)

/// Calls `call(task)` on the stack that ends at `top`.
///
/// # Safety
/// Nobody else uses that stack, `top` is a multiple of 16, and `call` does not unwind.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn switch(task: &Task, top: *mut u8, call: unsafe extern "C" fn(&Task)) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rsi",
        ".ifndef __morestack",
        "__morestack:",
        ".type __morestack, @function",
        ".size __morestack, 7",
        ".endif",
        "call rdx",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    );
}

/// Calls `call(task)` on the stack that ends at `top`.
///
/// # Safety
/// Nobody else uses that stack, `top` is a multiple of 16, and `call` does not unwind.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn switch(task: &Task, top: *mut u8, call: unsafe extern "C" fn(&Task)) {
    naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset w30, -8",
        ".cfi_offset w29, -16",
        "mov x29, sp",
        ".cfi_def_cfa w29, 16",
        "mov sp, x1",
        ".ifndef __morestack",
        "__morestack:",
        ".type __morestack, @function",
        ".size __morestack, 16",
        ".endif",
        "blr x2",
        "mov sp, x29",
        ".cfi_def_cfa wsp, 16",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore w30",
        ".cfi_restore w29",
        "ret",
        ".cfi_endproc",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stack_lies_above_a_guard_of_its_own_within_the_memory() {
        let start = MEMORY.0.get().addr();
        for page in [4096, MAX_PAGE] {
            for index in 0..COUNT {
                let guard = guard_of(index, page).addr();
                assert!(guard.is_multiple_of(page) && guard >= start);
                assert!(guard + page + BYTES <= start + SPACE);
                assert!(index == 0 || guard == guard_of(index - 1, page).addr() + page + BYTES);
            }
        }
    }

    #[test]
    fn calls_on_another_stack_and_comes_back() {
        let here = 0u8;
        let inside = || {
            let there = 0u8;
            (&raw const there).addr().wrapping_sub(MEMORY.0.get().addr()) < SPACE
        };
        assert!((&raw const here).addr().wrapping_sub(MEMORY.0.get().addr()) >= SPACE);
        let mut found = [false; 2];
        with_room(|| {
            found[0] = inside();
            with_room(|| found[1] = inside());
        });
        assert_eq!(found, [true, true]);
    }
}
