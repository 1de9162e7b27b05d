//! The question asked before every commit: may this region grow to there?

use super::cause::{Cause, Refusal};
use crate::region::Slot;
use core::sync::atomic::Ordering::Relaxed;

/// Whether the bytes below `to` may be committed. Signal-safe.
pub(crate) fn admit(slot: &Slot, to: usize) -> Result<(), Refusal> {
    let (limit, reserved) = (slot.limit.load(Relaxed), slot.reserved());
    if to <= limit {
        return Ok(());
    }
    Err(beyond(to, limit, reserved))
}

/// The refusal of bytes that end beyond a limit or the reservation.
pub(crate) fn beyond(to: usize, limit: usize, reserved: usize) -> Refusal {
    let cause = if limit < reserved { Cause::RegionLimit } else { Cause::ReservationExhausted };
    Refusal { cause, limit: limit.min(reserved) as u64, usage: to as u64 }
}
