//! The question asked before every commit: may this region grow to there?

use super::cause::{Cause, Refusal};
use super::grants::Permit;
use super::sources::Policy;
use super::{headroom, inject};
use crate::policy::Growth;
use crate::region::{ControlBlock, charge_within, charged, uncharge};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

/// What all regions together may commit, in bytes.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Sets how many bytes all regions of this process together may commit; `None` lifts the limit. What is committed
/// beyond it already stays. What a region has spilled to a file is not counted. Heads, and what is accessible from the start
/// ([`Growth::Upfront`](crate::Growth::Upfront)), are not refused; heads are counted.
///
/// ```
/// use highwater::{Arena, Cause, oom};
///
/// let arena = Arena::new();
/// oom::set_process_limit(Some(oom::committed_bytes() + (1 << 20)));
/// let error = arena.commit_ahead(2 << 20).unwrap_err();
/// assert_eq!(error.cause(), Cause::ProcessLimit);
/// oom::set_process_limit(None);
/// ```
pub fn set_process_limit(bytes: Option<usize>) {
    LIMIT.store(bytes.unwrap_or(usize::MAX), Relaxed);
}

/// The limit set by [`set_process_limit`].
pub fn process_limit() -> Option<usize> {
    Some(LIMIT.load(Relaxed)).filter(|&limit| limit != usize::MAX)
}

/// The bytes that all regions of this process have committed, [`Growth::Upfront`](crate::Growth::Upfront) not
/// counted.
pub fn committed_bytes() -> usize {
    charged()
}

/// Whether the bytes below `to` may be used at all. Signal-safe.
pub(crate) fn within(control: &ControlBlock, to: usize) -> Result<(), Refusal> {
    let (limit, reserved) = (control.limit.load(Relaxed), control.reserved());
    if to <= limit {
        return Ok(());
    }
    Err(Refusal::past_limit(to, limit, reserved))
}

/// Whether anybody wants a step of so many bytes refused. Asked once for every growth. Signal-safe.
pub(crate) fn uninjected(control: &ControlBlock, bytes: usize) -> Result<(), Refusal> {
    inject::admit(control, bytes)
}

/// A step that was admitted, until it is committed.
pub(crate) struct Admitted {
    bytes: usize,
    permit: Permit,
}

impl Admitted {
    /// The commit is over: because of it so many bytes more are committed in memory.
    pub(crate) fn settle(self, moved: usize) {
        uncharge(self.bytes.wrapping_sub(moved.min(self.bytes)));
        drop(self.permit);
    }
}

/// Whether a step from an offset to the offset `want` may be committed, or a shorter one to `need` at least; where it
/// ends. Signal-safe.
pub(crate) fn admit(
    control: &ControlBlock,
    from: usize,
    need: usize,
    want: usize,
) -> Result<(usize, Admitted), Refusal> {
    // What has spilled is asked for by whoever commits in the file.
    let bytes_to = |to: usize| control.in_memory(to).saturating_sub(control.in_memory(from));
    let bytes = bytes_to(want);
    if control.growth() == Growth::Upfront || bytes == 0 {
        return Ok((want, Admitted { bytes: 0, permit: Permit::FREE }));
    }
    let limit = LIMIT.load(Relaxed);
    if let Err(all) = charge_within(bytes, limit) {
        return Err(Refusal::new(Cause::ProcessLimit, limit as u64, all as u64));
    }
    // What lives in a file is the kernel's to write out.
    let headroom = if control.is_in_file() { crate::policy::Headroom::Off } else { control.headroom() };
    let policy = Policy { headroom, spills: control.may_spill() };
    match headroom::admit(policy, bytes_to(need), bytes) {
        Ok((step, permit)) if step < bytes => {
            uncharge(bytes.wrapping_sub(step));
            Ok((from.wrapping_add(step).max(need), Admitted { bytes: step, permit }))
        }
        Ok((_, permit)) => Ok((want, Admitted { bytes, permit })),
        Err(refusal) => {
            uncharge(bytes);
            Err(refusal)
        }
    }
}
