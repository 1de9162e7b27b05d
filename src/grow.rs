//! The path of every growth: step, admit, commit. The handler takes it after the judgement, both engines'
//! allocations take it when they need committed memory, and nothing else commits.

use crate::admission::admit::{admit, uninjected, within};
use crate::admission::{Cause, OutOfMemory, Refusal, RefusedRequest, explain};
use crate::math::random::splitmix64;
use crate::math::step;
use crate::policy::Growth;
use crate::region::{ControlBlock, FrontierAdvance, Region, SpillOutcome};
use crate::stats::{GrowthEvent, remember};
use crate::sys;
use core::sync::atomic::Ordering::Relaxed;

/// Why a region grows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrowReason {
    /// A touch past the frontier, seen by the handler.
    #[cfg(highwater_fault)]
    Fault,
    /// An allocation past the frontier that is going to be written at once.
    Write,
    /// An allocation that somebody may write to in any order, or never.
    Request,
    /// Exactly these bytes, ahead of their use.
    Ahead,
}

impl GrowReason {
    /// Whether the step around the need is about to be written.
    fn is_touch(self) -> bool {
        self.is_fault() || self == GrowReason::Write
    }

    #[cfg(highwater_fault)]
    fn is_fault(self) -> bool {
        self == GrowReason::Fault
    }

    #[cfg(not(highwater_fault))]
    fn is_fault(self) -> bool {
        false
    }
}

/// Commits the bytes below `to`; `from` is the first one that is wanted. Signal-safe. Nobody is waited for, but near the end of
/// memory (see `admission/headroom.rs`).
pub(crate) fn grow(control: &ControlBlock, from: usize, to: usize, why: GrowReason) -> Result<(), Refusal> {
    if to <= control.frontier.get() {
        return Ok(());
    }
    let began = sys::monotonic_ns();
    if let Growth::Stress { seed } = control.growth() {
        stress_delay(seed ^ control.counters.commits.load(Relaxed), began);
    }
    within(control, to)?;
    let mut is_first = true;
    loop {
        let refusal = match advance(control, from, to, why, &mut is_first) {
            Ok(Advanced::Grown(grown)) => {
                finish(control, to, why, began, grown);
                return Ok(());
            }
            Ok(Advanced::Covered) => return Ok(()),
            Ok(Advanced::Pending) => None,
            Err(refusal) => Some(refusal),
        };
        let spilled = match refusal {
            None => SpillOutcome::Pending,
            Some(refusal) if !control.may_spill() || !refusal.is_for_lack_of_memory() => return Err(refusal),
            // It has spilled already, and the file is refused.
            Some(refusal) if control.memory_end() != usize::MAX => return Err(refusal),
            Some(_) => control.spill(),
        };
        match (spilled, refusal) {
            (SpillOutcome::Failed, Some(refusal)) => return Err(refusal),
            // The rest is being mapped over by another thread, in one call. A fault repeats itself until that is done.
            (SpillOutcome::Pending, _) if why.is_fault() => return Ok(()),
            _ => core::hint::spin_loop(),
        }
    }
}

/// What came of a try.
enum Advanced {
    Covered,
    Grown(Grown),
    /// The rest of the region is being mapped over by a file.
    Pending,
}

struct Grown {
    before: usize,
    after: usize,
    populate_from: usize,
}

/// Moves the frontier by a step, or by less where there is no room for that.
#[inline(always)] // a frame less on a small stack, also where nothing is optimised
fn advance(
    control: &ControlBlock,
    from: usize,
    to: usize,
    why: GrowReason,
    is_first: &mut bool,
) -> Result<Advanced, Refusal> {
    /// Nothing but what is needed.
    const EXACT: u32 = u32::MAX;
    // How often a step is cut to an eighth; what is needed is in any.
    let mut tries = if why == GrowReason::Ahead { [EXACT].iter() } else { [0, 1, 2, EXACT].iter() };
    loop {
        let cuts = tries.next().copied().unwrap_or(EXACT);
        match advance_by(control, from, to, cuts, is_first) {
            Err(refusal)
                if !tries.as_slice().is_empty() && !refusal.is_injected() && !refusal.is_foreseen() => {}
            result => return result,
        }
    }
}

fn advance_by(
    control: &ControlBlock,
    from: usize,
    to: usize,
    cuts: u32,
    is_first: &mut bool,
) -> Result<Advanced, Refusal> {
    let mut populate_from = to;
    let mut admitted = None;
    let mut at_border = false;
    let mut pending = false;
    let plan = |frontier| {
        let need = control.need(frontier, from, to);
        let step = match cuts {
            u32::MAX => step::exact(need),
            0 => control.growth().step(need),
            cuts => step::cut(control.growth().step(need), need, 3 * cuts),
        };
        let bytes = step.frontier.wrapping_sub(frontier);
        if core::mem::take(is_first) {
            uninjected(control, bytes)?;
        }
        let least = step::exact(need);
        let (end, step_admitted) = admit(control, frontier, least.frontier, step.frontier)?;
        let is_cut = end < step.frontier;
        let step = step::end_at(step, need, end);
        // Near the end of memory nothing is made present that nobody has asked for: others may need it.
        populate_from = if is_cut { step.frontier } else { step.populate_from };
        // Only what can spill needs to know where that would begin.
        if control.may_spill() && control.memory_end() == usize::MAX {
            at_border = control.border.admit(step.frontier);
            // (Unless mapping the file has failed meanwhile: then it goes on without.)
            if !at_border && control.may_spill() {
                step_admitted.settle(0);
                pending = true;
                return Err(Refusal::of(Cause::Kernel(0)));
            }
        }
        admitted = Some(step_admitted);
        Ok(step.frontier)
    };
    let commit = |from: usize, to: usize| {
        control.commit(from, to).map_err(|errno| explain(errno, to.wrapping_sub(from)))
    };
    let advance = control.frontier.advance(to, plan, commit);
    let moved = match &advance {
        Ok(FrontierAdvance::Grown { to, moved, .. }) => {
            control.in_memory(*to).saturating_sub(control.in_memory(to.saturating_sub(*moved)))
        }
        _ => 0,
    };
    if at_border {
        match &advance {
            Ok(_) => control.border.done(),
            Err(_) => control.border.failed(|| control.frontier.get()),
        }
    }
    admitted.into_iter().for_each(|admitted| admitted.settle(moved));
    match advance {
        Ok(FrontierAdvance::Covered) => Ok(Advanced::Covered),
        Ok(FrontierAdvance::Grown { from: before, to: after, .. }) => {
            Ok(Advanced::Grown(Grown { before, after, populate_from }))
        }
        Err(_) if pending => Ok(Advanced::Pending),
        Err(refusal) => Err(refusal),
    }
}

/// What is left to do when the frontier has moved.
#[inline(never)] // its locals are not on the stack while the frontier moves
fn finish(control: &ControlBlock, to: usize, why: GrowReason, began: u64, grown: Grown) {
    let Grown { before, after, populate_from } = grown;
    control.protect_late_guards(before, after);
    control.needed_end.fetch_max(to, Relaxed);
    let counters = &control.counters;
    // What spilled is there to be paged out, not in.
    let populate = if after > control.memory_end() { 0 } else { control.max_populate() };
    let populate = populate.min(after.wrapping_sub(populate_from));
    if why.is_touch() && populate > 0 {
        let (start, len) = (control.base().wrapping_add(populate_from), populate);
        // SAFETY: the range lies in the mapping of a live region, below the new frontier.
        match unsafe { sys::populate(start, len) } {
            Ok(()) => _ = counters.populated.fetch_add(len as u64, Relaxed),
            // (A protected guard in the range is refused in the same words.)
            Err(sys::Errno::EINVAL) if after <= control.first_guard() => control.stop_populating(),
            // Speed only: what is not populated is paged in when it is touched, or refused then.
            Err(_) => {}
        }
    }
    let took = sys::monotonic_ns().wrapping_sub(began);
    counters.commits.fetch_add(1, Relaxed);
    counters.growth_ns.fetch_add(took, Relaxed);
    counters.peak.fetch_max(after, Relaxed);
    if why.is_fault() {
        counters.faults.fetch_add(1, Relaxed);
    }
    // (A checked arena knows better what is in use.)
    if why != GrowReason::Ahead && !control.is_checked() {
        counters.touched.fetch_max(to, Relaxed);
    }
    remember(&GrowthEvent {
        region: control.id.load(Relaxed),
        offset: before,
        bytes: after.wrapping_sub(before),
        at_ns: began,
        duration_ns: took,
        thread: sys::thread_id(),
    });
}

/// Spins for up to 20 µs, drawn from the seed: how [`Growth::Stress`] varies schedules.
fn stress_delay(seed: u64, began: u64) {
    let wait = (splitmix64(seed) >> 32) % 20_000;
    while sys::monotonic_ns().wrapping_sub(began) < wait {
        core::hint::spin_loop();
    }
}

impl Region {
    /// Commits the first `end` bytes, exactly, rounded up to a page. Bytes that are committed already stay
    /// as they are; nothing is populated. The region of a [`DebugArena`](crate::DebugArena) is left alone.
    ///
    /// # Errors
    /// [`OutOfMemory`] when `end` is beyond the limit or the reservation, or the system refuses.
    ///
    /// ```
    /// let region = highwater::Region::builder().reserve(1 << 20).head(0).build();
    /// region.ensure(5000)?;
    /// assert_eq!(region.committed_bytes(), 8192);
    /// assert!(region.ensure((1 << 20) + 1).is_err());
    /// # Ok::<(), highwater::OutOfMemory>(())
    /// ```
    pub fn ensure(&self, end: usize) -> Result<(), OutOfMemory> {
        let control = self.control();
        // What a checked arena commits it commits itself, and it has nobody beside it.
        if control.is_checked() {
            return Ok(());
        }
        // The limit is exact, also where the page that it ends in is committed.
        let grown =
            within(control, end).and_then(|()| grow(control, control.frontier.get(), end, GrowReason::Ahead));
        grown.map_err(|refusal| {
            let request = RefusedRequest::Allocation { requested: end, effective: end };
            OutOfMemory::new(control, request, control.stats().used, refusal)
        })
    }
}
