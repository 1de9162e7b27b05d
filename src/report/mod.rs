//! Saying it: the one place that turns figures into words, inside the signal and outside.

mod sink;
mod text;

pub(crate) use sink::line;
pub(crate) use text::{Bytes, Headline};

use crate::oom::OutOfMemory;
use crate::region::Slot;

/// Standard error.
const STDERR: i32 = 2;

/// The report of a refusal that cannot be returned to anybody. Signal-safe.
#[cfg_attr(not(highwater_fault), expect(dead_code, reason = "only a fault cannot return its refusal"))]
pub(crate) fn out_of_memory(slot: &Slot, error: &OutOfMemory) {
    let mut name = [0; crate::region::slot::NAME_BYTES];
    let headline = Headline {
        name: slot.name(&mut name),
        id: slot.id.load(core::sync::atomic::Ordering::Relaxed),
        request: error.request,
        used: error.used,
        committed: error.committed,
        reserved: error.reserved,
        refusal: error.refusal,
    };
    line(STDERR, format_args!("highwater: {headline}"));
}

/// One line for every live region. Signal-safe.
pub(crate) fn dump() {
    let mut name = [0; crate::region::slot::NAME_BYTES];
    for slot in crate::region::slot::live() {
        let stats = slot.stats();
        let bytes = |bytes: usize| Bytes(bytes as u64);
        line(
            STDERR,
            format_args!(
                "highwater: {}: used ≥ {}, committed {} (peak {}), reserved {}, {} growths, {} faults",
                text::Who(slot.name(&mut name), slot.id.load(core::sync::atomic::Ordering::Relaxed)),
                bytes(stats.used),
                bytes(stats.committed),
                bytes(stats.peak_committed),
                bytes(stats.reserved),
                stats.commits,
                stats.faults,
            ),
        );
    }
}
