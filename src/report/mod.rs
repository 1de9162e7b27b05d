//! Saying it: the one place that turns figures into words, inside the signal and outside.

mod sink;
mod text;

use crate::region::{Monitor, NAME_BYTES};
use sink::line;
use text::Bytes;

/// Standard error.
const STDERR: i32 = 2;

/// The report of a refusal that cannot be returned to anybody. Signal-safe.
#[cfg(highwater_fault)]
pub(crate) fn out_of_memory(error: &crate::oom::OutOfMemory) {
    line(STDERR, format_args!("highwater: {error}"));
}

/// One line for every live region. Signal-safe.
fn dump() {
    let mut name = [0; NAME_BYTES];
    for region in Monitor::live() {
        let (Some((name, id)), Some(stats)) = (region.who(&mut name), region.stats()) else { continue };
        let [used, committed, peak, reserved] =
            [stats.used, stats.committed, stats.peak_committed, stats.reserved]
                .map(|bytes| Bytes(bytes as u64));
        let (who, growths, faults) = (text::Who(name, id), stats.commits, stats.faults);
        line(
            STDERR,
            format_args!(
                "highwater: {who}: used ≥ {used}, committed {committed} (peak {peak}), reserved {reserved}, \
                 {growths} growths, {faults} faults"
            ),
        );
    }
}

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
    /// The signals that dump already: asking twice must not print twice.
    static SIGNALS: std::sync::Mutex<Vec<i32>> = std::sync::Mutex::new(Vec::new());
    let mut signals = SIGNALS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !signals.contains(&signal) {
        // SAFETY: writing the lines is async-signal-safe.
        unsafe { signal_hook_registry::register(signal, dump) }?;
        signals.push(signal);
    }
    Ok(())
}
