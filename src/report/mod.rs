//! Saying it: the one place that turns figures into words, inside the signal and outside.

mod facts;
mod sink;
#[cfg(highwater_fault)]
mod stack;
mod text;
mod violation;

use crate::guard::{Broken, Kind, Violation, hook};
use crate::policy::{OnViolation, ReportFormat};
use crate::region::{Monitor, NAME_BYTES, Slot};
use crate::sys;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use sink::line;
use text::Bytes;
use violation::{Details, Json};

/// Standard error.
const STDERR: i32 = 2;

/// The report of a refusal that cannot be returned to anybody. Signal-safe.
#[cfg(highwater_fault)]
pub(crate) fn out_of_memory(error: &crate::oom::OutOfMemory) {
    line(STDERR, format_args!("highwater: {error}"));
}

/// The report of a fault that is a violation, and the end if that was chosen; otherwise the fault is somebody
/// else's now. Signal-safe.
#[cfg(highwater_fault)]
#[cold]
#[inline(never)]
pub(crate) fn violated(slot: &Slot, kind: Kind, access: crate::guard::Access, address: usize, pc: usize) {
    let response = slot.on_violation();
    stack::with_room(|| {
        tell(slot.format(), response, |facts| facts::of_fault(facts, slot, kind, access, address, Some(pc)));
    });
    if response == OnViolation::Abort {
        abort_as(kind);
    }
}

/// The report of bytes around an allocation that were found overwritten, and the end: the instruction that did
/// it is long gone.
#[cold]
#[inline(never)]
pub(crate) fn broken(slot: &Slot, broken: &Broken) -> ! {
    tell(slot.format(), OnViolation::Abort, |facts| facts::of_broken(facts, slot, broken));
    abort_as(broken.kind)
}

fn tell(format: ReportFormat, response: OnViolation, gather: impl FnOnce(&mut Violation)) {
    /// The thread that writes a report at this moment.
    static TELLING: AtomicU32 = AtomicU32::new(0);
    let thread = sys::thread_id();
    // A fault of the report itself, or of the hook: what is out is out.
    if TELLING.load(Relaxed) == thread {
        return;
    }
    let Some(mut facts) = facts::Facts::take() else {
        return line(STDERR, format_args!("highwater: a violation, while four others are being reported"));
    };
    let is_first = TELLING.compare_exchange(0, thread, Relaxed, Relaxed).is_ok();
    let violation: &mut Violation = &mut facts;
    gather(violation);
    match format {
        ReportFormat::Text => {
            // Alone, before anything else that may go wrong.
            line(STDERR, format_args!("highwater: {violation}"));
            facts::find_image(violation);
            line(STDERR, format_args!("{}", Details(violation, response)));
        }
        ReportFormat::Json => {
            facts::find_image(violation);
            line(STDERR, format_args!("{}", Json(violation)));
        }
    }
    if let Some(hook) = hook() {
        hook(violation);
    }
    if is_first {
        TELLING.store(0, Relaxed);
    }
}

/// A function per kind, none of them inlined or merged, so that a stack trace is named after the violation.
macro_rules! ends {
    ($($kind:ident => $name:ident),+ $(,)?) => {
        fn abort_as(kind: Kind) -> ! {
            $(
                #[inline(never)]
                fn $name() -> ! {
                    // Something that differs, or the linker folds them into one.
                    core::hint::black_box(stringify!($name).as_ptr());
                    abort()
                }
            )+
            match kind {
                $(Kind::$kind => $name(),)+
            }
        }
    };
}

ends! {
    Overflow => highwater_guard_overflow,
    Underflow => highwater_guard_underflow,
    UseAfterReset => highwater_guard_use_after_reset,
    Unallocated => highwater_guard_unallocated,
    BeyondReach => highwater_guard_beyond_reach,
    EndOfReservation => highwater_guard_end_of_reservation,
    BeforeHead => highwater_guard_before_head,
    PlacedGuard => highwater_guard_placed_guard,
}

#[inline(always)]
fn abort() -> ! {
    // SAFETY: abort has no preconditions.
    unsafe { libc::abort() }
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
