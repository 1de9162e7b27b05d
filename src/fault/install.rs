//! Everything outside the signal: putting the handler in place and asking whether it is there.

use super::foreign;
use super::handler::{self, Previous};
use crate::sys;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr::null;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, sigaction,
};
use std::io;

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// What SIGSEGV goes to now. nix has no call that only asks.
pub(super) fn current() -> io::Result<libc::sigaction> {
    // Zeroed: not every C library writes all of it.
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is given, and there is room for the old one.
    match unsafe { libc::sigaction(libc::SIGSEGV, null(), action.as_mut_ptr()) } {
        // SAFETY: the call filled it in.
        0 => Ok(unsafe { action.assume_init() }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == handler::entry as *const () as usize
}

/// Keeps this code mapped for good where it came with a dynamic library that may be closed: the kernel knows
/// the handler's address, and so do handlers that were installed later.
fn stay_loaded() {
    #[cfg(not(target_feature = "crt-static"))]
    {
        let image = |address: *const c_void| {
            let mut found = MaybeUninit::<libc::Dl_info>::uninit();
            // SAFETY: any address may be asked for.
            let is_known = unsafe { libc::dladdr(address, found.as_mut_ptr()) } != 0;
            // SAFETY: the answer was filled in.
            is_known.then(|| unsafe { found.assume_init() })
        };
        // SAFETY: getauxval has no preconditions.
        let program = core::ptr::with_exposed_provenance(unsafe { libc::getauxval(libc::AT_PHDR) } as usize);
        let Some(ours) = image(handler::entry as *const c_void) else { return };
        if image(program).is_some_and(|program| program.dli_fbase == ours.dli_fbase) {
            return;
        }
        let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
        // SAFETY: the name is a string of the loader's; nothing is loaded that is not there already.
        unsafe { libc::dlopen(ours.dli_fname, flags) };
    }
}

/// Puts our handler in front and remembers whom it replaced. No lock: two threads that do this at once
/// remember the same predecessor, and ours is never its own.
fn put_in_front() -> io::Result<()> {
    stay_loaded();
    sys::guard_stacks();
    // Remembered before ours can run, so that it never runs without a predecessor to pass faults on to.
    let before = current()?;
    if !is_ours(&before) {
        Previous::remember(&before);
    }
    // SA_ONSTACK: a stack that overflowed has no room for us. SA_NODEFER: a second fault inside the handler
    // (of the one we pass a fault on to, say) ends the process instead of hanging it.
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_NODEFER;
    // Everything else waits until a growth is over, but for what the thread raises itself: std's alternate stack has
    // room for our handler and not for a profiler's on top of it. Handlers that a fault is passed on to get the
    // mask they asked for. (Copies of this library recognise one another by these flags and this mask.)
    let mut blocked = SigSet::all();
    for raised in sys::RAISED {
        blocked.remove(Signal::try_from(raised)?);
    }
    // SAFETY: the two types of the context pointer differ in name only.
    let entry = unsafe {
        core::mem::transmute::<
            unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void),
            extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void),
        >(handler::entry)
    };
    let action = SigAction::new(SigHandler::SigAction(entry), flags, blocked);
    // SAFETY: the handler keeps to what is allowed inside a signal.
    let replaced = libc::sigaction::from(unsafe { sigaction(Signal::SIGSEGV, &action) }?);
    if !is_ours(&replaced) {
        Previous::remember(&replaced);
    }
    Ok(())
}

/// Installs the SIGSEGV handler, once; every builder does. Whoever handled the signal before gets each
/// fault that is not a growth of ours, with everything the kernel said about it.
///
/// # Errors
/// The system's, if it refuses.
pub fn install() -> io::Result<()> {
    if INSTALLED.load(Acquire) {
        return Ok(());
    }
    put_in_front()?;
    INSTALLED.store(true, Release);
    Ok(())
}

/// Whether SIGSEGV goes to this copy of the library first. It need not: a handler that was installed later
/// and passes on what is not its own serves growth just as well.
pub fn is_front() -> bool {
    current().is_ok_and(|action| is_ours(&action))
}

/// Puts our handler in front again if another one was installed since and does not pass faults on. The
/// other one gets every fault that is not ours. Call it where you know that to be needed; it is never done
/// by itself, so that two copies of this library do not take the front from each other for ever.
///
/// # Errors
/// The system's, if it refuses.
///
/// ```
/// highwater::fault::ensure_front()?;
/// assert!(highwater::fault::is_front() || highwater::engine() == highwater::Engine::Explicit);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn ensure_front() -> io::Result<()> {
    if !is_front() {
        put_in_front()?;
        INSTALLED.store(true, Release);
    }
    Ok(())
}

/// Makes growth possible on this thread if its signals are blocked: the kernel ends a process that faults
/// while SIGSEGV is blocked, without asking anybody.
///
/// # Errors
/// The system's, if it refuses.
pub fn prepare_thread() -> io::Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGSEGV);
    Ok(pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None)?)
}

/// For a program whose own SIGSEGV handler stays in front: serves the fault if it is a growth of ours, and
/// says whether it was. Call it first; when it returns true, return from the signal. errno is preserved. A
/// growth may take milliseconds: block other signals in the handler's mask unless its stack has room for theirs.
///
/// # Safety
/// Called inside a SIGSEGV handler that was installed with `SA_SIGINFO`, with that handler's arguments.
pub unsafe fn try_handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) -> bool {
    // SAFETY: the caller's promise.
    let is_served = signal == libc::SIGSEGV && unsafe { handler::serve(info, context) };
    if signal == libc::SIGSEGV && !is_served {
        foreign::tell(signal, info, context);
    }
    is_served
}
