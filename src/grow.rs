//! The path of every growth: admit, commit, raise the frontier. The handler takes it once a fault is judged to be growth,
//! allocations take it when they need committed memory, and nothing else commits.

use crate::admission::{
    GrowthRequest, NotAdmitted, OutOfMemory, Refusal, RefusedRequest, admit, explain, spill_reads_ahead,
};
use crate::math::random::splitmix64;
use crate::math::step;
use crate::policy::Growth;
use crate::region::{ControlBlock, Region, SpillOutcome};
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
    /// An allocation that may be written in any order, or never.
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

/// Commits the bytes below `to`; `from` is the first one that is needed. Signal-safe. Near the end of memory it may wait
/// (`admission/headroom.rs`).
pub(crate) fn grow(
    control: &ControlBlock,
    from: usize,
    to: usize,
    reason: GrowReason,
) -> Result<(), Refusal> {
    if to <= control.frontier.get() {
        return Ok(());
    }
    let growth = PendingGrowth { control, from, to, reason, began: sys::monotonic_ns() };
    if let Growth::Stress { seed } = control.growth() {
        stress_delay(seed ^ control.counters.commits.load(Relaxed), growth.began);
    }
    let mut is_first_try = true;
    loop {
        let outcome = match growth.try_steps(&mut is_first_try) {
            Ok(()) => return Ok(()),
            Err(NotAdmitted::Spilling) => SpillOutcome::Pending,
            Err(NotAdmitted::Refused(refusal)) => {
                let has_spilled = control.memory_end() != usize::MAX;
                if has_spilled || !control.may_spill() || !refusal.is_for_lack_of_memory() {
                    return Err(refusal);
                }
                match control.spill(spill_reads_ahead()) {
                    SpillOutcome::Failed => return Err(refusal),
                    outcome => outcome,
                }
            }
        };
        // Another thread maps the file, in one call. A fault repeats itself until that is done.
        if outcome == SpillOutcome::Pending && reason.is_fault() {
            return Ok(());
        }
        core::hint::spin_loop();
    }
}

/// The bytes that a call of [`grow`] has to commit.
struct PendingGrowth<'a> {
    control: &'a ControlBlock,
    from: usize,
    to: usize,
    reason: GrowReason,
    began: u64,
}

impl PendingGrowth<'_> {
    /// Moves the frontier by a step, or by a smaller one where that is refused.
    #[inline(always)] // a frame less on a small stack, also where nothing is optimised
    fn try_steps(&self, is_first_try: &mut bool) -> Result<(), NotAdmitted> {
        /// Nothing but the need.
        const EXACT: u32 = u32::MAX;
        // How often the step is cut to an eighth; the need is always in it.
        let mut cuts =
            if self.reason == GrowReason::Ahead { [EXACT].iter() } else { [0, 1, 2, EXACT].iter() };
        loop {
            let cut = cuts.next().copied().unwrap_or(EXACT);
            match self.try_step(cut, core::mem::take(is_first_try)) {
                Err(NotAdmitted::Refused(refusal))
                    if !cuts.as_slice().is_empty() && !refusal.is_injected() && !refusal.is_foreseen() => {}
                result => return result,
            }
        }
    }

    /// One try: choose a step, have it admitted, commit it, raise the frontier.
    fn try_step(&self, cut: u32, is_first_try: bool) -> Result<(), NotAdmitted> {
        let control = self.control;
        let frontier = control.frontier.get();
        if self.to <= frontier {
            // Another thread was faster.
            return Ok(());
        }
        let need = control.need(frontier, self.from, self.to);
        let min = step::exact(need);
        let wanted = match cut {
            u32::MAX => min,
            0 => control.growth().step(need),
            cut => step::cut(control.growth().step(need), need, 3 * cut),
        };
        let (min_end, wanted_end) = (min.frontier, wanted.frontier);
        let request = GrowthRequest { control, frontier, needed: self.to, min_end, wanted_end, is_first_try };
        let permit = admit(&request)?;
        let step = step::end_at(wanted, need, permit.end());
        // Near the end of memory nothing is made present ahead of its use: others may need it.
        let populate_from = if permit.end() < wanted_end { step.frontier } else { step.populate_from };
        let (before, after) = (frontier, step.frontier);
        control.commit(before, after).map_err(|errno| explain(errno, after.wrapping_sub(before)))?;
        let moved = control.frontier.raise(after);
        permit.settle(after, moved);
        self.finish(before, after, populate_from);
        Ok(())
    }

    /// The rest of a growth, once the frontier has moved: late guards, populating, counters, the event.
    #[inline(never)] // its locals are not on the stack while the frontier moves
    fn finish(&self, before: usize, after: usize, populate_from: usize) {
        let &PendingGrowth { control, to, reason, began, .. } = self;
        control.protect_late_guards(before, after);
        control.needed_end.fetch_max(to, Relaxed);
        let counters = &control.counters;
        // Pages in the spill file are there to be paged out, not in.
        let populate = if after > control.memory_end() { 0 } else { control.max_populate() };
        let populate = populate.min(after.wrapping_sub(populate_from));
        if reason.is_touch() && populate > 0 {
            let (start, len) = (control.base().wrapping_add(populate_from), populate);
            // SAFETY: the range lies in the mapping of a live region, below the new frontier.
            match unsafe { sys::populate(start, len) } {
                Ok(()) => _ = counters.populated.fetch_add(len as u64, Relaxed),
                // (A protected guard in the range gives the same error.)
                Err(sys::Errno::EINVAL) if after <= control.first_guard() => control.stop_populating(),
                // Populating is for speed: other pages are paged in when they are touched.
                Err(_) => {}
            }
        }
        let took = sys::monotonic_ns().wrapping_sub(began);
        counters.commits.fetch_add(1, Relaxed);
        counters.growth_ns.fetch_add(took, Relaxed);
        counters.peak.fetch_max(after, Relaxed);
        if reason.is_fault() {
            counters.faults.fetch_add(1, Relaxed);
        }
        // (A checked arena counts the bytes in use itself.)
        if reason != GrowReason::Ahead && !control.is_checked() {
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
        // A checked arena commits its region itself.
        if control.is_checked() {
            return Ok(());
        }
        // The limit is exact, also where the page that it ends in is committed.
        let limit = control.limit.load(Relaxed);
        let grown = if end > limit {
            Err(Refusal::past_limit(end, limit, control.reserved()))
        } else {
            grow(control, control.frontier.get(), end, GrowReason::Ahead)
        };
        grown.map_err(|refusal| {
            let request = RefusedRequest::Allocation { requested: end, effective: end };
            OutOfMemory::new(control, request, control.stats().used, refusal)
        })
    }
}
