//! Admission: the question before every commit whether the region may grow. A request goes in, and a permit comes out that
//! is settled by its drop.

use super::availability::HeadroomPolicy;
use super::cause::{Cause, Refusal};
use super::grants::InFlight;
use super::{headroom, inject, write_back};
use crate::policy::{Growth, Headroom};
use crate::region::{ControlBlock, charge_within, charged, uncharge};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

/// What all regions together may commit, in bytes.
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Sets how many bytes all regions of this process together may commit; `None` lifts the limit. Bytes that are
/// committed beyond it already stay. Bytes that a region has spilled to a file are not counted. Heads, and regions that are
/// accessible from the start
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

/// A growth of a region, as admission is asked for it. Ends are offsets from the region's base.
pub(crate) struct GrowthRequest<'a> {
    pub(crate) control: &'a ControlBlock,
    /// The frontier that the growth starts from.
    pub(crate) frontier: usize,
    /// The end of the bytes that are needed, and the page where a step has to end at least.
    pub(crate) needed: usize,
    pub(crate) min_end: usize,
    /// Where the step would end.
    pub(crate) wanted_end: usize,
    /// Injections count a growth once, however often it is tried.
    pub(crate) is_first_try: bool,
}

/// Why a growth was not admitted.
pub(crate) enum NotAdmitted {
    Refused(Refusal),
    /// Another thread is mapping the rest of the region to a file: ask again.
    Spilling,
}

impl From<Refusal> for NotAdmitted {
    fn from(refusal: Refusal) -> Self {
        NotAdmitted::Refused(refusal)
    }
}

/// The permission to commit up to an end. Its drop gives back what was counted for the step and not committed.
#[must_use]
pub(crate) struct Permit<'a> {
    control: &'a ControlBlock,
    end: usize,
    /// The bytes that are charged for the step, and those of them that are known to be committed.
    charged: usize,
    committed: usize,
    in_flight: InFlight,
    /// The step is counted in the region's spill border.
    is_at_border: bool,
    is_settled: bool,
}

impl Permit<'_> {
    /// Where the step may end: at least where it has to.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// The step was committed: the frontier is at `end` or further, and this moved it by `moved` bytes.
    pub(crate) fn settle(mut self, end: usize, moved: usize) {
        let in_memory = |offset| self.control.in_memory(offset);
        self.committed = in_memory(end).saturating_sub(in_memory(end.saturating_sub(moved)));
        self.is_settled = true;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_at_border {
            if self.is_settled {
                self.control.border.done();
            } else {
                self.control.border.failed(|| self.control.frontier.get());
            }
        }
        uncharge(self.charged.saturating_sub(self.committed));
        self.in_flight.end(self.committed);
    }
}

/// Whether the region may grow: by its limit, injections, the process limit, the headroom and the border of its spill file,
/// in this order. Signal-safe.
#[inline(always)] // a frame less on a small stack
pub(crate) fn admit<'a>(request: &GrowthRequest<'a>) -> Result<Permit<'a>, NotAdmitted> {
    let &GrowthRequest { control, frontier, needed, min_end, wanted_end, is_first_try } = request;
    let limit = control.limit.load(Relaxed);
    if needed > limit {
        return Err(Refusal::past_limit(needed, limit, control.reserved()).into());
    }
    if is_first_try {
        inject::check(control, wanted_end.wrapping_sub(frontier))?;
    }
    let mut permit = Permit {
        control,
        end: wanted_end,
        charged: 0,
        committed: 0,
        in_flight: InFlight::UNCOUNTED,
        is_at_border: false,
        is_settled: false,
    };
    if wanted_end > control.memory_end() {
        permit.end = write_back::bound_step(control, frontier, min_end, wanted_end);
    }
    // Only the part that will be memory: behind the border the file is asked for blocks when it is committed.
    let bytes_to = |end: usize| control.in_memory(end).saturating_sub(control.in_memory(frontier));
    let bytes = bytes_to(permit.end);
    if bytes > 0 && control.growth() != Growth::Upfront {
        let limit = LIMIT.load(Relaxed);
        if let Err(all) = charge_within(bytes, limit) {
            return Err(Refusal::new(Cause::ProcessLimit, limit as u64, all as u64).into());
        }
        permit.charged = bytes;
        // The kernel can write the pages of a file out, so they need no headroom.
        let headroom = if control.is_in_file() { Headroom::Off } else { control.headroom() };
        let policy = HeadroomPolicy { headroom, spills: control.may_spill() };
        let (step, in_flight) = headroom::admit(policy, bytes_to(min_end), bytes)?;
        permit.in_flight = in_flight;
        if step < bytes {
            uncharge(bytes.wrapping_sub(step));
            permit.charged = step;
            permit.end = frontier.wrapping_add(step).max(min_end);
        }
    }
    // A region that can spill counts its commits in memory, so that none lies behind the border.
    if control.may_spill() && control.memory_end() == usize::MAX {
        permit.is_at_border = control.border.admit(permit.end);
        // (Unless mapping the file has failed meanwhile: then the region stays in memory.)
        if !permit.is_at_border && control.may_spill() {
            return Err(NotAdmitted::Spilling);
        }
    }
    Ok(permit)
}
