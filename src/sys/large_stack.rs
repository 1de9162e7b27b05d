//! Larger stacks for the handler: its own may have a few hundred bytes left.
//!
//! std's alternate stack is large enough for a growth. Formatting a report, or reading how much memory there is, takes more
//! in an unoptimised build, and so may a hook.
//!
//! The stacks are a mapping of their own, made when the handler is installed. Below each is a guard page: a hook that
//! overflows its stack ends the process at that instruction. Where a limit does not allow the mapping, the stacks lie in
//! static memory and have no guards: collectors and leak checkers (Boehm's, LeakSanitizer) read all static memory, and would
//! end at a page that cannot be read.
//!
//! Contract: [`map_handler_stacks`] is called outside of signals; [`on_large_stack`] is signal-safe, waits for nothing, and
//! must not be unwound.

use super::{
    Protection, TryLock, TryLockGuard, block_async_signals, change_alternate_stack, commit, page_size,
    release, reserve, restore_signal_mask,
};
use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Release};

const BYTES: usize = 64 << 10;

/// As many as threads are likely to need at once: an unoptimised build grows on them, too. They are paged in when they are
/// used.
const COUNT: usize = if cfg!(debug_assertions) { 64 } else { 8 };

#[repr(C, align(16))]
struct StaticStacks(UnsafeCell<[u8; COUNT * BYTES]>);

// SAFETY: no reference to the bytes is ever made, and each stack is used by the one thread that holds its lock.
unsafe impl Sync for StaticStacks {}

/// The stacks until they are mapped, and where that is not allowed.
static MEMORY: StaticStacks = StaticStacks(UnsafeCell::new([0; COUNT * BYTES]));
/// The mapping; null until there is one. It is never released.
static MAPPED: AtomicPtr<u8> = AtomicPtr::new(null_mut());
/// Which of them is in use, wherever they lie: a stack that is taken while they are mapped stays where it is.
static LOCKS: [TryLock<()>; COUNT] = [const { TryLock::new(()) }; COUNT];

/// The bytes from one mapped stack to the next: its guard page, and itself above that.
fn stride() -> usize {
    page_size().wrapping_add(BYTES)
}

/// Where the stacks lie now, and how far one is from the next; each ends where the next begins.
fn stacks() -> (*mut u8, usize) {
    let mapped = MAPPED.load(Acquire);
    if mapped.is_null() { (MEMORY.0.get().cast(), BYTES) } else { (mapped, stride()) }
}

/// Maps the stacks, each with a guard page below it, once. Outside of any signal.
pub(crate) fn map_handler_stacks() {
    if !MAPPED.load(Acquire).is_null() {
        return;
    }
    let (page, stride) = (page_size(), stride());
    let Ok(mapped) = reserve(COUNT * stride, Protection::None) else { return };
    // SAFETY: each range, above its guard page, lies in the new mapping of `COUNT * stride` bytes.
    let is_made =
        (0..COUNT).all(|index| unsafe { commit(mapped.as_ptr().add(index * stride + page), BYTES) }.is_ok());
    // Under `mlockall(MCL_FUTURE)` they would take of what the program may lock.
    // SAFETY: unlocking the new mapping changes no contents.
    unsafe { libc::munlock(mapped.as_ptr().cast(), COUNT * stride) };
    let publish = || MAPPED.compare_exchange(null_mut(), mapped.as_ptr(), Release, Acquire);
    if !is_made || publish().is_err() {
        // SAFETY: the mapping was made by this call and not published.
        unsafe { release(mapped, COUNT * stride) };
    }
}

/// A stack that is not in use, by its upper end. Signal-safe.
fn free_stack() -> Option<(TryLockGuard<'static, ()>, *mut u8)> {
    let (start, stride) = stacks();
    LOCKS.iter().enumerate().find_map(|(index, lock)| {
        let above = start.wrapping_add(index.wrapping_add(1).wrapping_mul(stride));
        lock.try_lock().map(|held| (held, above))
    })
}

/// Whether an address lies on one of the stacks, mapped or not. Signal-safe.
fn is_on_a_stack(address: usize) -> bool {
    let within = |start: *mut u8, len: usize| address.wrapping_sub(start.addr()) < len;
    let mapped = MAPPED.load(Acquire);
    within(MEMORY.0.get().cast(), COUNT * BYTES)
        || (!mapped.is_null() && within(mapped, COUNT.wrapping_mul(stride())))
}

/// A function and what it is called with.
struct StackCall {
    call: unsafe extern "C" fn(*mut ()),
    data: *mut (),
}

/// Calls a function that must not unwind on a larger stack; on this one if other threads have all of them.
/// Signal-safe.
///
/// A fault in the function is handled on the larger stack, too.
#[inline(always)]
pub(crate) fn on_large_stack<F: FnOnce()>(f: F) {
    /// Calls the function that an `Option` holds.
    unsafe extern "C" fn call<F: FnOnce()>(f: *mut ()) {
        // SAFETY: `on_large_stack` passes the address of its own `Option<F>`, which outlives the call.
        if let Some(f) = unsafe { (*f.cast::<Option<F>>()).take() } {
            f();
        }
    }
    let mut f = Some(f);
    switch_stack(&StackCall { call: call::<F>, data: (&raw mut f).cast() });
}

/// A function of its own, with a small frame: that frame is on the stack that is nearly full.
#[inline(never)]
fn switch_stack(task: &StackCall) {
    // (A thread that is on one of them stays there.)
    if !is_on_a_stack(core::ptr::from_ref(task).addr())
        && let Some((held, top)) = free_stack()
    {
        let mask = block_async_signals();
        // SAFETY: `held` keeps other threads off the stack, its upper end is a multiple of 16, and the task outlives the call,
        // which returns.
        unsafe { switch(task, top, call_alone) };
        restore_signal_mask(mask);
        return drop(held);
    }
    // SAFETY: `on_large_stack` made `call` for the type of `data`.
    unsafe { (task.call)(task.data) };
}

/// Calls without an alternate stack: the kernel would take that for free while the stack pointer is here, and let a nested
/// handler write over ours. Nested handlers stay on this stack instead.
unsafe extern "C" fn call_alone(task: &StackCall) {
    let alternate = change_alternate_stack(None);
    // SAFETY: `on_large_stack` made `call` for the type of `data`.
    unsafe { (task.call)(task.data) };
    change_alternate_stack(Some(alternate));
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
/// No other call uses that stack, `top` is a multiple of 16, and `call` does not unwind.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn switch(task: &StackCall, top: *mut u8, call: unsafe extern "C" fn(&StackCall)) {
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
/// No other call uses that stack, `top` is a multiple of 16, and `call` does not unwind.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn switch(task: &StackCall, top: *mut u8, call: unsafe extern "C" fn(&StackCall)) {
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
    fn a_page_below_every_mapped_stack_is_a_guard() {
        map_handler_stacks();
        let (start, stride) = stacks();
        assert_eq!((start, stride), (MAPPED.load(Acquire), super::page_size() + BYTES));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let access = |address: usize| {
            let mut mappings = maps.lines().filter_map(|line| {
                let (range, rest) = line.split_once(' ')?;
                let (from, to) = range.split_once('-')?;
                let (from, to) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16));
                (from.ok()?..to.ok()?).contains(&address).then(|| rest[..4].to_owned())
            });
            mappings.next().unwrap()
        };
        for index in 0..COUNT {
            let guard = start.addr() + index * stride;
            assert_eq!(access(guard), "---p");
            assert_eq!(
                (access(guard + stride - BYTES), access(guard + stride - 1)),
                ("rw-p".into(), "rw-p".into())
            );
        }
        map_handler_stacks();
        assert_eq!(stacks().0, start, "mapped once");
    }

    #[test]
    fn calls_on_another_stack_and_comes_back() {
        let here = 0u8;
        let inside = || {
            let there = 0u8;
            is_on_a_stack((&raw const there).addr())
        };
        assert!(!is_on_a_stack((&raw const here).addr()));
        let mut found = [false; 2];
        on_large_stack(|| {
            found[0] = inside();
            on_large_stack(|| found[1] = inside());
        });
        assert_eq!(found, [true, true]);
    }
}
