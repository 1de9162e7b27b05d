//! Signals that are sent to the wrapper go on to the program.

use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::failure::Failure;

/// What may be meant for the program. Those of the terminal reach it as well, since it is in the same group.
const PASSED_ON: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

static CHILD: AtomicI32 = AtomicI32::new(0);
/// One that came before there was a child.
static EARLY: AtomicI32 = AtomicI32::new(0);

/// From here on the wrapper lives until the program has ended.
pub fn install() -> Result<(), Failure> {
    let action = SigAction::new(
        SigHandler::SigAction(pass_on),
        SaFlags::SA_RESTART | SaFlags::SA_SIGINFO,
        SigSet::empty(),
    );
    for signal in PASSED_ON {
        // SAFETY: the handler makes atomic accesses and calls `kill`, which a handler may.
        unsafe { sigaction(signal, &action) }
            .map_err(|error| Failure::during(format!("cannot listen for {signal}: {error}")))?;
    }
    Ok(())
}

/// To whom they go; `None` when its number may soon be another's.
pub fn pass_on_to(child: Option<u32>) {
    let id = child.and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
    CHILD.store(id, SeqCst);
    let early = EARLY.swap(0, SeqCst);
    if id > 0 && early > 0 {
        send(id, early);
    }
}

extern "C" fn pass_on(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel hands over a valid one.
    let code = unsafe { (*info).si_code };
    // Above zero it is the kernel that sends it, to the whole group: the program has had it.
    if code > 0 {
        return;
    }
    match CHILD.load(SeqCst) {
        0 => EARLY.store(signal, SeqCst),
        child => send(child, signal),
    }
}

fn send(child: i32, signal: i32) {
    // SAFETY: a signal to a process that is ours and has not been waited for.
    unsafe { libc::kill(child, signal) };
}
