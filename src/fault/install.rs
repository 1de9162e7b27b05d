//! Everything outside the signal: putting the handler in place and asking whether it is there.

use super::action::{Action, OUR_FLAGS, current};
use super::chain::CHAIN;
use super::{entry, handler};
use crate::{foreign_fault, sys};
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Release};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use std::io;

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// The number of the entry, if the action is ours.
fn our_entry(action: &libc::sigaction) -> Option<usize> {
    entry::number(action.sa_sigaction)
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
        let Some(ours) = image(entry::address(0) as *const c_void) else { return };
        if image(program).is_some_and(|program| program.dli_fbase == ours.dli_fbase) {
            return;
        }
        let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
        // SAFETY: the name is a string of the loader's; nothing is loaded that is not there already.
        unsafe { libc::dlopen(ours.dli_fname, flags) };
    }
}

/// Puts our handler in front of the present one, and remembers that. No lock: of two threads that do this at once the
/// newer entry stays.
fn put_in_front(before: &libc::sigaction) -> io::Result<()> {
    stay_loaded();
    sys::map_handler_stacks();
    let remember = |action: &libc::sigaction| {
        CHAIN.remember(Action::of(action)).ok_or_else(|| {
            io::Error::other(
                "the SIGSEGV handler was put in front of more different handlers than it can remember",
            )
        })
    };
    // Remembered before the entry can be called, so that it never is without a handler to pass faults on to.
    let mut entry = remember(before)?;
    loop {
        let replaced = set(entry)?;
        entry = match our_entry(&replaced) {
            // Another one was installed since. This entry stays as it is: it may have been in front before, and
            // handlers that found it there lead to it.
            None if !CHAIN.is_in_front_of(entry, &Action::of(&replaced)) => remember(&replaced)?,
            // Another thread's, which knows of ours.
            Some(newer) if CHAIN.is_newer(newer, entry) => newer,
            _ => return Ok(()),
        };
    }
}

/// Makes an entry the action of SIGSEGV, and returns the one before.
fn set(entry: usize) -> io::Result<libc::sigaction> {
    let mut blocked = SigSet::all();
    for raised in sys::SYNCHRONOUS_SIGNALS {
        blocked.remove(Signal::try_from(raised)?);
    }
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let mut replaced = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroes are an action; the entry is a function that does only what is allowed inside a signal.
    unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = entry::address(entry);
        (action.sa_flags, action.sa_mask) = (OUR_FLAGS, *blocked.as_ref());
        match libc::sigaction(libc::SIGSEGV, action, replaced.as_mut_ptr()) {
            0 => Ok(replaced.assume_init()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether an action that is in front got there past us: a handler that was there before us, or replaced us, was removed and
/// restored the action that it had found.
fn is_past_us(action: &libc::sigaction) -> bool {
    let action = Action::of(action);
    CHAIN.never_calls_us(&action) || is_of_std(action)
}

/// Whether an action is what std installs before `main`, whose address is not public: it has these flags, an empty mask,
/// and is that of SIGBUS as well. A handler of the program's that looks the same loses nothing if it is taken for that:
/// it stands behind us then, and gets all that is not ours.
fn is_of_std(action: Action) -> bool {
    let looks_so = action.flags == libc::SA_SIGINFO | libc::SA_ONSTACK && action.mask == 0;
    looks_so && current(libc::SIGBUS).is_ok_and(|bus| Action::of(&bus) == action)
}

/// Installs the SIGSEGV handler; every builder does. The handler before it gets each
/// fault that is not a growth of ours, with everything the kernel said about it.
///
/// It stays where it is until it is replaced. A handler that was there before and leaves restores what it
/// found, and the program may set the default action: where this call (and so every builder) finds SIG_DFL, SIG_IGN or
/// what std or an older copy of this library installed, it installs ours again. A handler that is not known is left
/// where it is, since it may pass faults on; see [`ensure_front`].
///
/// # Errors
/// The system's, if it refuses.
pub fn install() -> io::Result<()> {
    let before = current(libc::SIGSEGV)?;
    if our_entry(&before).is_some() || INSTALLED.load(Acquire) && !is_past_us(&before) {
        return Ok(());
    }
    put_in_front(&before)?;
    INSTALLED.store(true, Release);
    Ok(())
}

/// Whether SIGSEGV goes to this copy of the library first. It need not: a handler that was installed later
/// and passes on what is not its own serves growth just as well.
pub fn is_front() -> bool {
    current(libc::SIGSEGV).is_ok_and(|action| our_entry(&action).is_some())
}

/// Puts our handler in front again if another one was installed since and does not pass faults on. The
/// other one gets every fault that is not ours. Call it where you know that to be needed; it is never done
/// by itself, so that two copies of this library do not take the front from each other for ever.
///
/// It is not for good. The other handler found something when it was installed, and restores that when it is
/// removed (`faulthandler.disable()` in Python, dropping a crash reporter), which may be us, or a handler before us:
/// call this again then, or build a region. A fault that no handler serves reaches each handler once, also where one passes it
/// back to us, or restores us and lets the fault happen again.
///
/// # Errors
/// The system's, if it refuses; or that ours was put in front of some sixty different handlers before.
///
/// ```
/// highwater::fault::ensure_front()?;
/// assert!(highwater::fault::is_front() || highwater::engine() == highwater::Engine::Explicit);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn ensure_front() -> io::Result<()> {
    let before = current(libc::SIGSEGV)?;
    if our_entry(&before).is_none() {
        put_in_front(&before)?;
        INSTALLED.store(true, Release);
    }
    Ok(())
}

/// Makes growth possible on this thread if its signals are blocked: the kernel ends a process that faults
/// while SIGSEGV is blocked, without calling any handler. Every builder does so for the thread that it runs on.
///
/// Libraries block all signals on threads of their own, and call back from there: PulseAudio's
/// `pa_threaded_mainloop`, ZeroMQ's I/O thread (free functions), glibc's `timer_create` with `SIGEV_THREAD`.
///
/// # Errors
/// The system's, if it refuses.
pub fn prepare_thread() -> io::Result<()> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGSEGV);
    Ok(pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None)?)
}

/// Whether growth is possible on this thread: SIGSEGV is not blocked. If it is, the `try_` calls and what commits by
/// request work all the same; see [`prepare_thread`].
///
/// ```
/// let _arena = highwater::Arena::new();
/// assert!(highwater::fault::is_thread_prepared(), "the builder saw to that");
/// ```
pub fn is_thread_prepared() -> bool {
    sys::change_signal_mask(libc::SIG_BLOCK, 0) & 1 << (libc::SIGSEGV - 1) == 0
}

/// With debug assertions: panics if touching a block will end the process without a word, since the touch is a fault
/// and this thread blocks SIGSEGV.
#[inline(always)]
#[track_caller]
pub(crate) fn debug_check_thread(block: *const u8, len: usize) {
    #[cfg(debug_assertions)]
    {
        let end = block.addr().wrapping_add(len);
        let is_committed = |control: &crate::region::ControlBlock| {
            end.wrapping_sub(control.base().addr()) <= control.frontier.get()
        };
        let faults =
            len > 0 && crate::region::find(end.wrapping_sub(1)).is_some_and(|control| !is_committed(control));
        assert!(
            !faults || is_thread_prepared(),
            "highwater: this thread blocks SIGSEGV, and the kernel kills a process that grows memory by touching it \
             then; call highwater::fault::prepare_thread on the thread first, or use the try_ calls"
        );
    }
    #[cfg(not(debug_assertions))]
    let _ = (block, len);
}

/// For a program whose own SIGSEGV handler stays in front: serves the fault if it is a growth of ours, and
/// says whether it was. Call it first; when it returns true, return from the signal. errno is preserved. A
/// growth may take milliseconds: block other signals in the handler's mask unless its stack has room for theirs.
///
/// # Safety
/// Called inside a SIGSEGV handler that was installed with `SA_SIGINFO`, with that handler's arguments.
pub unsafe fn try_handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) -> bool {
    // SAFETY: these are a handler's arguments: required by this function's contract.
    let is_served = signal == libc::SIGSEGV && unsafe { handler::serve(info, context) };
    if signal == libc::SIGSEGV && !is_served {
        foreign_fault::report(signal, info, context);
    }
    is_served
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a fault that comes through an entry is passed on to.
    fn behind(entry: Option<usize>) -> Option<usize> {
        Some(CHAIN.newest(entry?, u64::MAX)?.action.handler)
    }

    #[test]
    fn a_handler_installed_at_the_same_moment_changes_no_older_entry() {
        extern "C" fn reporter(_: c_int) {}
        let change = |handler: usize| {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: zeroes are an action, and the handler does nothing.
            unsafe {
                action.assume_init_mut().sa_sigaction = handler;
                assert_eq!(libc::sigaction(libc::SIGSEGV, action.as_ptr(), core::ptr::null_mut()), 0);
                action.assume_init()
            }
        };
        let mut status = 0;
        // SAFETY: the child changes actions and leaves.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                let default = change(libc::SIG_DFL);
                put_in_front(&default).unwrap();
                let older = our_entry(&current(libc::SIGSEGV).unwrap());
                let reporter = reporter as extern "C" fn(c_int) as usize;
                change(reporter);
                // As a thread does it that asked before the reporter was there.
                put_in_front(&default).unwrap();
                let newer = our_entry(&current(libc::SIGSEGV).unwrap());
                let is_right = behind(older) == Some(libc::SIG_DFL) && behind(newer) == Some(reporter);
                libc::_exit(if is_right { 7 } else { 1 });
            }
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
        }
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:x}");
    }
}
