//! Reports: figures become text or JSON here, inside the signal handler and outside.

mod advice;
mod ends;
#[cfg(any(highwater_fault, feature = "debug-arena"))]
mod facts;
mod memory;
mod out;
mod sink;
mod sticky;
mod text;
mod violation;
#[cfg(any(highwater_fault, feature = "debug-arena"))]
mod violations;

use crate::policy::ReportFormat;
use crate::region::{Monitor, NAME_BYTES};
use crate::sys;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
pub use memory::Report;
pub(crate) use sink::line;
pub use text::Bytes;
#[cfg(feature = "debug-arena")]
pub(crate) use violations::corrupted;
#[cfg(highwater_fault)]
pub(crate) use violations::violated;

/// Reports a refusal that cannot be returned, and ends the process. Signal-safe.
#[cold]
#[inline(never)]
pub(crate) fn out_of_memory(error: &crate::admission::OutOfMemory) -> ! {
    sys::on_large_stack(|| {
        if !enter() {
            return;
        }
        match format() {
            ReportFormat::Text => {
                // Alone, before anything else that may go wrong.
                line(format_args!("highwater: {error}"));
                line(format_args!("{}", memory::ReportBody(Some(error))));
            }
            ReportFormat::Json => line(format_args!("{}", memory::OomJson(Some(error)))),
        }
    });
    ends::out_of_memory(error.cause())
}

/// How reports of memory are written: 0 as text, 1 as JSON.
static FORMAT: AtomicU32 = AtomicU32::new(0);

fn format() -> ReportFormat {
    if FORMAT.load(Relaxed) == 0 { ReportFormat::Text } else { ReportFormat::Json }
}

/// Sets the format of the reports of refusals and of [`dump_on_signal`]. (Reports of violations follow their region's
/// [`GuardPolicy`](crate::GuardPolicy::report).)
///
/// ```
/// highwater::oom::set_report_format(highwater::ReportFormat::Json);
/// ```
pub fn set_report_format(format: ReportFormat) {
    FORMAT.store(u32::from(format == ReportFormat::Json), Relaxed);
}

/// Sends every report of this process to a file, a pipe or a socket from now on instead of standard error, which
/// `None` restores. The file is open already because a report may be written when no file can be opened. It is
/// never closed: a thread may be in the middle of a report. What cannot be written to it goes to standard error.
///
/// ```
/// let path = std::env::temp_dir().join(format!("highwater-report-{}", std::process::id()));
/// highwater::oom::report_to_file(Some(std::fs::File::create(&path)?));
/// highwater::oom::report_to_file(None); // standard error again
/// # std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn report_to_file(file: Option<std::fs::File>) {
    let file = file.map(core::mem::ManuallyDrop::new);
    sink::set_descriptor(file.as_deref().and_then(sys::raw_fd));
}

/// Gives the text of every report of this process to a function, piece by piece, instead of writing it anywhere.
///
/// # Safety
/// The function is called inside the SIGSEGV handler too: it may do what is async-signal-safe and no more, with about
/// 1 KiB of stack, and must not unwind.
///
/// ```
/// fn write(text: &[u8]) {
///     // SAFETY: the bytes are readable; write(2) is async-signal-safe.
///     unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
/// }
/// // SAFETY: `write` makes one system call.
/// unsafe { highwater::oom::report_to_sink(Some(write)) };
/// ```
pub unsafe fn report_to_sink(sink: Option<fn(&[u8])>) {
    sink::set_function(sink);
}

/// The thread that writes a report at this moment, 0 for none.
static REPORTING: AtomicU32 = AtomicU32::new(0);

/// Begins a report; false if this thread is in the middle of one, because the report or a hook faulted. Then what was
/// written until now is the report.
fn enter() -> bool {
    let thread = sys::thread_id();
    if REPORTING.load(Relaxed) == thread {
        return false;
    }
    // Another thread may be at it; then this one goes without the mark.
    let _ = REPORTING.compare_exchange(0, thread, Relaxed, Relaxed);
    true
}

/// Ends a report that the process survives.
#[cfg(any(highwater_fault, feature = "debug-arena"))]
fn leave() {
    let _ = REPORTING.compare_exchange(sys::thread_id(), 0, Relaxed, Relaxed);
}

/// Writes the state of the process: one line for every live region, then everything that a report says. Signal-safe.
pub(crate) fn dump() {
    if format() == ReportFormat::Json {
        return line(format_args!("{}", memory::OomJson(None)));
    }
    let mut name = [0; NAME_BYTES];
    for region in Monitor::live() {
        let (Some((role, name, id)), Some(stats)) = (region.who(&mut name), region.stats()) else { continue };
        let bytes = |bytes: usize| Bytes(bytes as u64);
        let (used, committed) = (bytes(stats.used), bytes(stats.committed));
        let (peak, reserved) = (bytes(stats.peak_committed), bytes(stats.reserved));
        let (who, growths, faults) = (text::RegionLabel(role, name, id), stats.commits, stats.faults);
        line(format_args!(
            "highwater: {who}: used ≥ {used}, committed {committed} (peak {peak}), reserved {reserved}, \
                 {growths} growths, {faults} faults"
        ));
    }
    line(format_args!("highwater: process {}:\n{}", sys::process_id(), memory::ReportBody(None)));
}

/// Writes the state of this process whenever `signal` (`SIGUSR1`, say) arrives: a line for each live region with what it
/// has in use, committed and reserved, then the last growths, the limits and the system's figures, as in the report
/// of a refusal. Other actions for the signal stay in force.
///
/// # Errors
/// The system's, if the signal cannot be handled.
///
/// # Panics
/// For SIGSEGV, SIGILL, SIGFPE, SIGKILL and SIGSTOP, which cannot have such a handler.
///
/// ```
/// # #[cfg(unix)] {
/// highwater::oom::dump_on_signal(libc::SIGUSR1)?;
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn dump_on_signal(signal: i32) -> std::io::Result<()> {
    /// The signals that dump already, a bit for each: asking twice must not print twice.
    static SIGNALS: std::sync::Mutex<u128> = std::sync::Mutex::new(0);
    let mut signals = SIGNALS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // (0 for a number that no signal has.)
    let mark = u32::try_from(signal).ok().and_then(|signal| 1u128.checked_shl(signal)).unwrap_or(0);
    if *signals & mark == 0 {
        // SAFETY: writing the lines is async-signal-safe.
        unsafe { signal_hook_registry::register(signal, dump) }?;
        *signals |= mark;
    }
    Ok(())
}
