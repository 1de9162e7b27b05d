//! How fast others take what is left: neighbours in the same cgroup, the rest of this process, the rest of the machine.
//!
//! A refusal is of use only if there is time to say why. While others take memory, what they take in that time has to
//! be left beside the margin; as soon as they stop it need not be.

use super::availability::Availability;
use super::grants;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicI64, AtomicU16, AtomicU64};

const MS: u64 = 1_000_000;
/// Twice the time of a report and the end of the process. A step leaves what others take in it, and a refusal is due at
/// half of that. In between growth waits, since the others may stop.
const TWO_REPORTS: u64 = 12 * MS;
/// The shortest time that a rate is taken over, and the age from which a sample is renewed.
const SHORTEST: u64 = MS;
const RENEWED: u64 = 10 * MS;

/// The bytes left at a place at some time, as if this process had taken none.
struct PressureSample {
    at: AtomicU64,
    place: AtomicU16,
    left: AtomicI64,
}

impl PressureSample {
    const fn new() -> Self {
        PressureSample { at: AtomicU64::new(0), place: AtomicU16::new(u16::MAX), left: AtomicI64::new(0) }
    }

    fn set(&self, at: u64, place: u16, left: i64) {
        self.at.store(at, Relaxed);
        self.place.store(place, Relaxed);
        self.left.store(left, Relaxed);
    }
}

/// The last two samples, the older one first.
static SAMPLES: [PressureSample; 2] = [const { PressureSample::new() }; 2];

/// The bytes that others take in the time that two reports take, at the rate of the last milliseconds. Only for the thread
/// that queries, with what it has found for certain.
pub(super) fn observe(found: &Availability, now: u64) -> i64 {
    let left = found.left().saturating_add_unsigned(found.dirty).saturating_add(grants::admitted());
    let [older, newer] = &SAMPLES;
    if newer.place.load(Relaxed) != found.place {
        SAMPLES.iter().for_each(|sample| sample.set(now, found.place, left));
        return 0;
    }
    if now.saturating_sub(newer.at.load(Relaxed)) > RENEWED {
        older.set(newer.at.load(Relaxed), found.place, newer.left.load(Relaxed));
        newer.set(now, found.place, left);
    }
    taken_in(
        TWO_REPORTS,
        older.left.load(Relaxed).saturating_sub(left),
        now.saturating_sub(older.at.load(Relaxed)),
    )
}

/// The bytes that are taken in `time`, where `taken` bytes were in `elapsed`.
fn taken_in(time: u64, taken: i64, elapsed: u64) -> i64 {
    match u64::try_from(taken) {
        Ok(taken) if elapsed >= SHORTEST => {
            let bytes = u128::from(taken).saturating_mul(time.into()).checked_div(elapsed.into());
            bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(0)
        }
        // Given back, or too short a time to tell.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_was_taken_in_a_time_long_enough() {
        assert_eq!(taken_in(6 * MS, 10 << 20, 20 * MS), 3 << 20);
        assert_eq!(taken_in(5 * MS, -(10 << 20), 10 * MS), 0);
        assert_eq!(taken_in(5 * MS, 10 << 20, MS / 2), 0);
        assert_eq!(taken_in(5 * MS, i64::MAX, MS), 0);
    }
}
