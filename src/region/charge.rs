//! The bytes that all regions of the process have committed: what the process limit is compared with.

use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

/// Committed bytes, steps in flight included.
static CHARGED: AtomicUsize = AtomicUsize::new(0);

/// The bytes that all regions have committed, steps in flight included.
pub(crate) fn charged() -> usize {
    CHARGED.load(Relaxed)
}

/// Charges `bytes` more. Signal-safe.
pub(super) fn charge(bytes: usize) {
    CHARGED.fetch_add(bytes, Relaxed);
}

/// Charges `bytes` more unless all regions would have more than `limit` then; the error is what they would have.
/// Signal-safe.
pub(crate) fn charge_within(bytes: usize, limit: usize) -> Result<(), usize> {
    let more = |all: usize| all.checked_add(bytes).filter(|&all| all <= limit);
    let charged = CHARGED.fetch_update(Relaxed, Relaxed, more);
    charged.map(drop).map_err(|all| all.saturating_add(bytes))
}

/// Charges `bytes` less. Signal-safe.
pub(crate) fn uncharge(bytes: usize) {
    CHARGED.fetch_sub(bytes, Relaxed);
}

/// Sets the charge of all regions. A forked child does not have the steps that other threads of its parent were taking.
#[cfg(not(highwater_portable))]
pub(super) fn recount(all: usize) {
    CHARGED.store(all, Relaxed);
}
