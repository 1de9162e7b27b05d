//! What was admitted: bytes on their way, and a grant that steps take from without querying anything.
//!
//! A grant is a part of what a query found, given for a short time, because other processes take memory meanwhile. Only
//! the thread that queries makes one (it holds the buffer for that). It closes the old grant first: whatever was taken
//! of that is in flight by then, and nothing is taken that the query does not know of.

use super::availability::{Availability, HeadroomPolicy, MAX_MARGIN};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI64, AtomicU64};

/// Bytes that may be committed without another query, margin included.
static GRANT: AtomicI64 = AtomicI64::new(0);
/// Until when, on the monotonic clock.
static EXPIRES: AtomicU64 = AtomicU64::new(0);
/// The margin of [`Headroom::Auto`](crate::Headroom::Auto) where the grant is from, and the limit that a spilling region
/// leaves a part of.
static MARGIN: (AtomicU64, AtomicU64) = (AtomicU64::new(MAX_MARGIN), AtomicU64::new(0));
/// Bytes that threads are committing at this moment.
static IN_FLIGHT: AtomicI64 = AtomicI64::new(0);
/// Bytes that were ever admitted.
static ADMITTED: AtomicI64 = AtomicI64::new(0);

/// The commits of other threads go on in the parent alone.
#[cfg(not(highwater_portable))]
pub(super) extern "C" fn in_child() {
    IN_FLIGHT.store(0, Release);
    GRANT.store(0, Release);
}

/// Bytes that were admitted and are being committed, until this is dropped. Those that are not committed after all are not
/// put back into the grant: a query that found them taken and not put back would grant them twice. The next query finds
/// them.
#[must_use]
pub(super) struct InFlight {
    bytes: i64,
}

impl InFlight {
    /// Bytes that no query counts.
    pub(super) const UNCOUNTED: InFlight = InFlight { bytes: 0 };

    /// Puts so many bytes in flight, without a look at the grant.
    pub(super) fn begin(bytes: i64) -> Self {
        IN_FLIGHT.fetch_add(bytes, AcqRel);
        ADMITTED.fetch_add(bytes, Relaxed);
        InFlight { bytes }
    }

    /// The commit is over; so many of the bytes were committed.
    pub(super) fn end(&mut self, committed: usize) {
        let bytes = core::mem::take(&mut self.bytes);
        if bytes > 0 {
            IN_FLIGHT.fetch_sub(bytes, AcqRel);
            ADMITTED.fetch_sub(bytes.saturating_sub_unsigned(committed as u64).max(0), Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.end(0);
    }
}

/// Bytes that threads are committing.
pub(super) fn in_flight() -> u64 {
    u64::try_from(IN_FLIGHT.load(Acquire)).unwrap_or(0)
}

/// Bytes that were ever admitted, by which what this process takes is told from what others take.
pub(super) fn admitted() -> i64 {
    ADMITTED.load(Acquire)
}

/// Takes a step out of the grant, if with what is left of it there is `enough` to spare: then the step is not to be
/// shorter.
pub(super) fn take(policy: HeadroomPolicy, step: i64, enough: i64, now: u64) -> Option<InFlight> {
    let margin = policy.margin(MARGIN.0.load(Relaxed), MARGIN.1.load(Relaxed));
    // (As much as the grant was left to others.)
    let needed = step.max(enough / 2).saturating_add(margin);
    if GRANT.load(Relaxed) < needed || now >= EXPIRES.load(Relaxed) {
        return None;
    }
    // First it is in flight, then it is taken: a query in between counts it twice rather than not at all.
    let in_flight = InFlight::begin(step);
    let left = |grant: i64| (grant >= needed).then(|| grant.wrapping_sub(step));
    if GRANT.fetch_update(AcqRel, Acquire, left).is_ok() {
        return Some(in_flight);
    }
    None
}

/// Ends the grant. Only for the thread that queries.
pub(super) fn close() {
    GRANT.swap(0, AcqRel);
}

/// Grants half of what is to spare at the tightest place. Only for the thread that queries.
pub(super) fn open(found: &Availability, spare: i64, policy: HeadroomPolicy, now: u64) {
    MARGIN.0.store(found.auto_margin(), Relaxed);
    MARGIN.1.store(found.spill_limit(), Relaxed);
    EXPIRES.store(now.saturating_add(lifetime(spare)), Relaxed);
    GRANT.store(found.margin(policy).saturating_add(spare / 2), Release);
}

/// How many nanoseconds a grant lasts. The faster memory is written, the sooner it is gone: a neighbour that takes 4 GB/s
/// takes the other half in this time.
fn lifetime(spare: i64) -> u64 {
    const LONGEST: u64 = 1_000_000_000;
    (u64::try_from(spare).unwrap_or(0) / 8).min(LONGEST)
}
