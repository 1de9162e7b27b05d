//! The way of a fault that is not ours. The rules of `handler` hold here, too.

use super::action::{OUR_MASK, SegvHandler, current};
use super::chain::{Behind, CHAIN};
use crate::{foreign_fault, sys};
use core::ffi::{c_int, c_void};
use core::mem::transmute;

/// Passes a fault on. The handler that is returned has to be called in our place, as if the kernel called it.
///
/// # Safety
/// Inside a signal, with its arguments; `entry` is the number of the entry that it came through.
pub(super) unsafe fn pass_on(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
    entry: usize,
) -> Option<SegvHandler> {
    // SAFETY: the kernel passes a siginfo.
    let sent = unsafe { (*info).si_code } <= 0;
    // SAFETY: `info` is the siginfo of this signal: required by this function's contract.
    let behind = CHAIN.newest(entry, unsafe { age(info) });
    // Another copy of this library may find that it is its own.
    if !behind.is_some_and(|behind| behind.action.is_copy()) {
        foreign_fault::report(signal, info, context);
    }
    match behind {
        Some(behind) if behind.action.handler == libc::SIG_IGN && sent => {}
        Some(behind) if !behind.action.is_none() => {
            // SAFETY: `info` is the siginfo of this signal: required by this function's contract.
            unsafe { set_age(info, behind.since) };
            if behind.action.is_copy() {
                // It does what follows itself, and a frame for each would be too many on a small stack.
                // SAFETY: a function with three arguments, as its flags say.
                return Some(unsafe { transmute::<usize, SegvHandler>(behind.action.handler) });
            }
            // SAFETY: these are the signal's arguments: required by this function's contract; the action is a function.
            unsafe { call(&behind, signal, info, context) };
        }
        // For a real fault the kernel takes no notice of SIG_IGN either.
        _ => {
            // SAFETY: these are the signal's arguments: required by this function's contract.
            unsafe { die_by_default(signal, context, sent) };
            return None;
        }
    }
    // A signal that was sent is over when we return. std's handler, for one, restores the default and counts on a
    // repetition.
    if sent {
        repeat_by_default(signal);
    }
    None
}

/// Lets the default action end the process, also if a handler is installed meanwhile: a builder on another thread does so
/// where it finds the default action.
///
/// # Safety
/// Inside a signal, with its arguments.
#[inline(never)]
unsafe fn die_by_default(signal: c_int, context: *mut c_void, sent: bool) {
    sys::set_default_action(libc::SIGSEGV);
    if sent {
        // (A handler that was installed since ends here again.)
        return sys::send_to_this_thread(signal);
    }
    // Returning to a real fault repeats it, at the very instruction. For a thread that blocks the signal the kernel takes
    // the default action, whatever handler there is.
    let context = context.cast::<libc::ucontext_t>();
    if !context.is_null() {
        // SAFETY: the kernel passes a ucontext, whose mask is the thread's as soon as the handler returns; a signal set
        // is at least one word long.
        unsafe {
            let mask = (&raw mut (*context).uc_sigmask).cast::<u64>();
            mask.write_unaligned(mask.read_unaligned() | 1 << (libc::SIGSEGV - 1));
        }
    }
}

/// Calls a handler as the kernel would have, its signal mask included.
///
/// # Safety
/// Inside a signal, with its arguments; the action is a function.
unsafe fn call(behind: &Behind, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let action = behind.action;
    // As the kernel does it: before the handler runs, since that may fault itself or leave by siglongjmp. Another
    // thread may be faster with a handler that is called once.
    if action.flags & libc::SA_RESETHAND != 0 && !CHAIN.use_up(behind) {
        // SAFETY: these are the signal's arguments: required by this function's contract.
        return unsafe { die_by_default(signal, context, (*info).si_code <= 0) };
    }
    let segv = if action.flags & libc::SA_NODEFER == 0 { 1 << (libc::SIGSEGV - 1) } else { 0 };
    // What the kernel would have blocked for this handler: what the interrupted code did, and what the handler
    // asks for. A handler in front that called ours has added its own to that, and not ours.
    let before = sys::change_signal_mask(libc::SIG_BLOCK, 0);
    let interrupted = if before & OUR_MASK == OUR_MASK {
        // SAFETY: the kernel passes a ucontext.
        unsafe { sys::kernel_signals(&raw const (*context.cast::<libc::ucontext_t>()).uc_sigmask) }
    } else {
        before
    };
    sys::change_signal_mask(libc::SIG_SETMASK, interrupted | action.mask | segv);
    // SAFETY: the action is what sigaction(2) gave us, so it is a function. One without SA_SIGINFO ignores
    // the arguments that it does not expect.
    unsafe { transmute::<usize, SegvHandler>(action.handler)(signal, info, context) };
    sys::change_signal_mask(libc::SIG_SETMASK, before);
}

/// Sends a signal again if the default action waits for it.
#[inline(never)]
fn repeat_by_default(signal: c_int) {
    if current(libc::SIGSEGV).is_ok_and(|action| action.sa_sigaction == libc::SIG_DFL) {
        sys::send_to_this_thread(signal);
    }
}

/// Where a siginfo says how old the handler is that it was passed on to last: in its last two words, which the kernel
/// leaves zero and no program reads. The first of them says that the second is ours.
///
/// # Safety
/// `info` is the siginfo of a signal that is being handled.
unsafe fn words_of(info: *mut libc::siginfo_t) -> *mut [u64; 2] {
    const { assert!(size_of::<libc::siginfo_t>() == 128 && align_of::<libc::siginfo_t>() == 8) }
    info.wrapping_add(1).cast::<[u64; 2]>().wrapping_sub(1)
}

const MARK: u64 = u64::from_be_bytes(*b"highwatr");

/// When the handler was remembered that a fault was passed on to last, by any copy of this library; later than
/// everything if it was not yet.
///
/// # Safety
/// `info` is the siginfo of a signal that is being handled.
unsafe fn age(info: *mut libc::siginfo_t) -> u64 {
    // SAFETY: the last 16 bytes of a siginfo, aligned as the whole is.
    let [mark, since] = unsafe { words_of(info).read() };
    if mark == MARK { since } else { u64::MAX }
}

/// # Safety
/// `info` is the siginfo of a signal that is being handled.
unsafe fn set_age(info: *mut libc::siginfo_t, since: u64) {
    // SAFETY: the last 16 bytes of a siginfo, aligned as the whole is.
    unsafe { words_of(info).write([MARK, since]) };
}
