//! Forwards signals that are sent to the wrapper to the program.

use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::failure::Failure;

/// The signals that are forwarded. The program also gets the terminal's signals, since it is in the same process group.
const FORWARDED: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

static CHILD: AtomicI32 = AtomicI32::new(0);
/// A signal that came before there was a child.
static EARLY: AtomicI32 = AtomicI32::new(0);

/// Installs the handlers: from here on signals do not end the wrapper before the program.
pub fn install() -> Result<(), Failure> {
    let action = SigAction::new(
        SigHandler::SigAction(forward),
        SaFlags::SA_RESTART | SaFlags::SA_SIGINFO,
        SigSet::empty(),
    );
    for signal in FORWARDED {
        // SAFETY: the handler only accesses atomics and calls `kill`, which is async-signal-safe.
        unsafe { sigaction(signal, &action) }
            .map_err(|error| Failure::runtime(format!("cannot handle {signal}: {error}")))?;
    }
    Ok(())
}

/// Sets the process that signals are forwarded to; `None` before its id can be reused.
pub fn forward_to(child: Option<u32>) {
    let id = child.and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
    CHILD.store(id, SeqCst);
    let early = EARLY.swap(0, SeqCst);
    if id > 0 && early > 0 {
        send(id, early);
    }
}

extern "C" fn forward(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the handler is installed with SA_SIGINFO, so the kernel passes a valid `siginfo_t`.
    let code = unsafe { (*info).si_code };
    // A positive code means that the kernel sent it to the whole group: the program has it already.
    if code > 0 {
        return;
    }
    match CHILD.load(SeqCst) {
        0 => EARLY.store(signal, SeqCst),
        child => send(child, signal),
    }
}

fn send(child: i32, signal: i32) {
    // SAFETY: `kill` has no memory preconditions; the id is that of a child not yet waited for, so it is not reused.
    unsafe { libc::kill(child, signal) };
}
