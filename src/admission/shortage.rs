//! A place that has too little memory for a request, and the refusal that follows.

use super::availability::{Availability, HeadroomPolicy, SYSTEM};
use super::cause::{Cause, Refusal, RefusalReason};

/// There is not enough memory at a place.
pub(super) struct Shortage {
    place: u16,
    limit: u64,
    usage: u64,
    pub(super) spare: i64,
    pub(super) margin: u64,
    /// There would be enough, if others took none.
    pub(super) is_pressed: bool,
    /// If others go on, there is just time to write a report.
    pub(super) is_urgent: bool,
}

impl Shortage {
    /// The shortage at a place, where `need` bytes are needed and others take `pressure` bytes in the time of two reports.
    pub(super) fn at(found: &Availability, policy: HeadroomPolicy, need: i64, pressure: i64) -> Self {
        let spare = found.spare_in_time(policy);
        Shortage {
            is_pressed: spare >= need,
            // (For a neighbour that is very fast much would have to stay free, and it may be done by then.)
            is_urgent: spare < need.saturating_add((pressure / 2).min(found.auto_margin() as i64 / 2 * 3)),
            place: found.place,
            limit: found.limit,
            usage: found.usage.saturating_sub(found.dirty),
            spare,
            margin: found.auto_margin(),
        }
    }

    /// The refusal, with `need` bytes more in use.
    pub(super) fn refuse(&self, need: i64) -> Refusal {
        let usage = self.usage.saturating_add(need as u64);
        match self.place {
            SYSTEM => Refusal::new(Cause::SystemMemory, self.limit, usage),
            level => Refusal::because(RefusalReason::Cgroup(level), self.limit, usage),
        }
    }
}
