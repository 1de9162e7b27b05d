//! A SIGSEGV handler that looks at faults and passes all of them on: what an allocator needs that names misuse and serves no
//! faults. (Growth by faults has a handler of its own, which also stays in front of others: `fault`.)
//!
//! Contract: [`observe_segv`] is called outside of signals. The observer runs inside the signal, on the alternate stack if
//! there is one, with SIGSEGV blocked.

use super::signal::{change_signal_mask, kernel_signals, send_to_this_thread, set_default_action};
use crate::sys::{Errno, preserve_errno};
use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::{MaybeUninit, transmute};
use core::ptr::{null, null_mut};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize};

/// The action before ours.
struct PreviousAction(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: it is written once, before our handler is installed, and read by the handler alone.
unsafe impl Sync for PreviousAction {}

static PREVIOUS: PreviousAction = PreviousAction(UnsafeCell::new(MaybeUninit::zeroed()));
/// A previous action with `SA_RESETHAND` was called.
static IS_USED_UP: AtomicBool = AtomicBool::new(false);
/// A `fn(usize)`.
static OBSERVER: AtomicPtr<()> = AtomicPtr::new(null_mut());

/// Has a function called with the address of each fault, before the fault goes to the action that SIGSEGV had before, with
/// everything the kernel said about it. A signal that was sent is passed on only. A second call replaces the function.
///
/// The function keeps to what is allowed in a signal handler. errno is preserved around it. It is called at most 16 times in
/// a row for the same address, since the action behind may return without having changed anything.
///
/// # Errors
/// The system's, if it refuses.
pub fn observe_segv(observer: fn(usize)) -> Result<(), Errno> {
    static IS_INSTALLED: AtomicBool = AtomicBool::new(false);
    OBSERVER.store(observer as *mut (), Release);
    if IS_INSTALLED.swap(true, AcqRel) {
        return Ok(());
    }
    let result = install();
    if result.is_err() {
        IS_INSTALLED.store(false, Release);
    }
    result
}

/// One thread at a time, and not any more after it succeeded.
fn install() -> Result<(), Errno> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeros are an action. The previous one is written by one thread, before the handler that reads it is installed.
    unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        Errno::check(libc::sigaction(libc::SIGSEGV, null(), (*PREVIOUS.0.get()).as_mut_ptr()))?;
        Errno::check(libc::sigaction(libc::SIGSEGV, action, null_mut()))
    }
}

unsafe extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a siginfo, which has an address where SIGSEGV comes from the kernel.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    let is_sent = code <= 0;
    let observer = OBSERVER.load(Acquire);
    if !is_sent && !observer.is_null() && !is_endless(address) {
        // SAFETY: `observe_segv` stored a function of this type.
        let observer = unsafe { transmute::<*mut (), fn(usize)>(observer) };
        preserve_errno(|| observer(address));
    }
    // SAFETY: `observe_segv` wrote the action before it installed this handler.
    let previous = unsafe { (*PREVIOUS.0.get()).assume_init_ref() };
    let handler = previous.sa_sigaction;
    let is_function = !matches!(handler, libc::SIG_DFL | libc::SIG_IGN)
        && (previous.sa_flags & libc::SA_RESETHAND == 0 || !IS_USED_UP.swap(true, Relaxed));
    if is_function {
        // SAFETY: the arguments are those of this handler.
        unsafe { call(previous, signal, info, context) }
    } else if !(is_sent && handler == libc::SIG_IGN) {
        // (The kernel does not ignore a fault.)
        die_by_default(signal, is_sent);
    }
}

/// Whether the same fault was observed too often.
fn is_endless(address: usize) -> bool {
    const MAX_IN_A_ROW: u32 = 16;
    static LAST: AtomicUsize = AtomicUsize::new(0);
    static TIMES: AtomicU32 = AtomicU32::new(0);
    if LAST.swap(address, Relaxed) != address {
        TIMES.store(0, Relaxed);
    }
    TIMES.fetch_add(1, Relaxed) >= MAX_IN_A_ROW
}

/// Calls a handler as the kernel would have, its signal mask included.
///
/// # Safety
/// The action is a function, and the other arguments are those of a handler that is running.
unsafe fn call(action: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let segv = if action.sa_flags & libc::SA_NODEFER == 0 { 1 << (libc::SIGSEGV - 1) } else { 0 };
    // SAFETY: the kernel passes a ucontext, whose mask is the one of the interrupted code; the action's set is whole.
    let (interrupted, own) = unsafe {
        let context = context.cast::<libc::ucontext_t>();
        (kernel_signals(&raw const (*context).uc_sigmask), kernel_signals(&raw const action.sa_mask))
    };
    let before = change_signal_mask(libc::SIG_SETMASK, interrupted | own | segv);
    type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    // SAFETY: sigaction(2) returned the action, which is a function. One without SA_SIGINFO ignores the arguments that it
    // does not expect.
    unsafe { transmute::<usize, Handler>(action.sa_sigaction)(signal, info, context) };
    change_signal_mask(libc::SIG_SETMASK, before);
}

/// Has the default action end the process as soon as the handler returns: a fault is repeated then, and a signal that was
/// sent is sent again.
fn die_by_default(signal: c_int, is_sent: bool) {
    set_default_action(libc::SIGSEGV);
    if is_sent {
        send_to_this_thread(signal);
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::sys::{Protection, commit, page_size, reserve};

    static PAGE: AtomicUsize = AtomicUsize::new(0);
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    static CALLED: AtomicU32 = AtomicU32::new(0);

    extern "C" fn repair(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        // SAFETY: the kernel passes a siginfo with an address; the page is the test's own.
        unsafe {
            if (*info).si_code > 0 && (*info).si_addr().addr() == PAGE.load(Relaxed) {
                commit((*info).si_addr().cast(), page_size()).unwrap();
            }
        }
        CALLED.fetch_add(1, Relaxed);
    }

    #[test]
    fn a_fault_is_observed_and_served_by_the_handler_before() {
        let mut status = 0;
        // SAFETY: the child changes actions, touches a page of its own and leaves.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                let mut action = MaybeUninit::<libc::sigaction>::zeroed();
                action.assume_init_mut().sa_sigaction = repair as *const () as usize;
                action.assume_init_mut().sa_flags = libc::SA_SIGINFO;
                libc::sigaction(libc::SIGSEGV, action.as_ptr(), null_mut());
                observe_segv(|address| SEEN.store(address, Relaxed)).unwrap();
                let page = reserve(page_size(), Protection::None).unwrap();
                PAGE.store(page.addr().get(), Relaxed);
                page.write_volatile(7);
                let is_served = page.read_volatile() == 7 && SEEN.load(Relaxed) == page.addr().get();
                // What is sent is passed on, and not observed.
                SEEN.store(0, Relaxed);
                libc::raise(libc::SIGSEGV);
                let is_passed_on = SEEN.load(Relaxed) == 0 && CALLED.load(Relaxed) == 2;
                libc::_exit(if is_served && is_passed_on { 7 } else { 1 });
            }
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
        }
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:x}");
    }

    #[test]
    fn without_a_handler_before_the_process_ends_by_the_signal() {
        for sends in [false, true] {
            let mut status = 0;
            // SAFETY: the child touches a page of its own that is inaccessible.
            unsafe {
                let child = libc::fork();
                if child == 0 {
                    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                    libc::setrlimit(libc::RLIMIT_CORE, &none);
                    let default = MaybeUninit::<libc::sigaction>::zeroed();
                    libc::sigaction(libc::SIGSEGV, default.as_ptr(), null_mut());
                    observe_segv(|_| ()).unwrap();
                    if sends {
                        libc::raise(libc::SIGSEGV);
                    } else {
                        reserve(page_size(), Protection::None).unwrap().write_volatile(7);
                    }
                    libc::_exit(1);
                }
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
            }
            assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV, "{status:x}");
        }
    }
}
