//! Running out of memory: who is asked, what the answer was, and why.

pub(crate) mod admit;
mod cause;
mod error;

pub use cause::Cause;
pub(crate) use cause::{Refusal, explain};
pub(crate) use error::Request;
pub use error::{AllocErr, AllocOrInitError, OutOfMemory};

/// Prints one line per live region of this process to standard error whenever `signal` (`SIGUSR1`, say)
/// arrives: what each has in use, committed and reserved. Other actions for the signal stay in force.
///
/// # Errors
/// The system's, if the signal cannot be handled.
///
/// # Panics
/// For SIGSEGV, SIGILL, SIGFPE, SIGKILL and SIGSTOP, which cannot be listened to this way.
///
/// ```
/// # #[cfg(unix)] {
/// highwater::oom::dump_on_signal(libc::SIGUSR1)?;
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump_on_signal(signal: i32) -> std::io::Result<()> {
    // SAFETY: writing the lines is async-signal-safe.
    unsafe { signal_hook_registry::register(signal, crate::report::dump) }?;
    Ok(())
}
