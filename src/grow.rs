//! The path of every growth: step, admit, commit. The handler takes it after the judgement, both engines'
//! allocations take it when they need committed memory, and nothing else commits.

use crate::math::step;
use crate::oom::admit::{admit, uninjected, within};
use crate::oom::{Cause, OutOfMemory, Refusal, Request, explain};
use crate::policy::Growth;
use crate::region::{Advance, Region, Slot, Spilled};
use crate::stats::{GrowthEvent, remember};
use crate::sys;
use core::sync::atomic::Ordering::Relaxed;

/// Why a region grows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
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

impl Why {
    /// Whether the step around the need is about to be written.
    fn is_touch(self) -> bool {
        self.is_fault() || self == Why::Write
    }

    #[cfg(highwater_fault)]
    fn is_fault(self) -> bool {
        self == Why::Fault
    }

    #[cfg(not(highwater_fault))]
    fn is_fault(self) -> bool {
        false
    }
}

/// Commits the bytes below `to`; `from` is the first one that is wanted. Signal-safe. Nobody is waited for, but near the end of
/// memory (see `oom/headroom.rs`).
pub(crate) fn grow(slot: &Slot, from: usize, to: usize, why: Why) -> Result<(), Refusal> {
    if to <= slot.frontier.get() {
        return Ok(());
    }
    let began = sys::monotonic_ns();
    if let Growth::Stress { seed } = slot.growth() {
        dawdle(seed ^ slot.counters.commits.load(Relaxed), began);
    }
    within(slot, to)?;
    let mut is_first = true;
    loop {
        let refusal = match advance(slot, from, to, why, &mut is_first) {
            Ok(Advanced::Grown(grown)) => {
                finish(slot, to, why, began, grown);
                return Ok(());
            }
            Ok(Advanced::Covered) => return Ok(()),
            Ok(Advanced::Pending) => None,
            Err(refusal) => Some(refusal),
        };
        let spilled = match refusal {
            None => Spilled::Pending,
            Some(refusal) if !slot.may_spill() || !refusal.is_for_lack_of_memory() => return Err(refusal),
            // It has spilled already, and the file is refused.
            Some(refusal) if slot.memory_end() != usize::MAX => return Err(refusal),
            Some(_) => slot.spill(),
        };
        match (spilled, refusal) {
            (Spilled::No, Some(refusal)) => return Err(refusal),
            // The rest is being mapped over by another thread, in one call. A fault repeats itself until that is done.
            (Spilled::Pending, _) if why.is_fault() => return Ok(()),
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
fn advance(slot: &Slot, from: usize, to: usize, why: Why, is_first: &mut bool) -> Result<Advanced, Refusal> {
    /// Nothing but what is needed.
    const EXACT: u32 = u32::MAX;
    // How often a step is cut to an eighth; what is needed is in any.
    let mut tries = if why == Why::Ahead { [EXACT].iter() } else { [0, 1, 2, EXACT].iter() };
    loop {
        let cuts = tries.next().copied().unwrap_or(EXACT);
        match advance_by(slot, from, to, cuts, is_first) {
            Err(refusal)
                if !tries.as_slice().is_empty() && !refusal.is_injected() && !refusal.is_foreseen() => {}
            result => return result,
        }
    }
}

fn advance_by(
    slot: &Slot,
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
        let need = slot.need(frontier, from, to);
        let step = match cuts {
            u32::MAX => step::exact(need),
            0 => slot.growth().step(need),
            cuts => step::cut(slot.growth().step(need), need, 3 * cuts),
        };
        let bytes = step.frontier.wrapping_sub(frontier);
        if core::mem::take(is_first) {
            uninjected(slot, bytes)?;
        }
        let least = step::exact(need);
        let (end, step_admitted) = admit(slot, frontier, least.frontier, step.frontier)?;
        let is_cut = end < step.frontier;
        let step = step::end_at(step, need, end);
        // Near the end of memory nothing is made present that nobody has asked for: others may need it.
        populate_from = if is_cut { step.frontier } else { step.populate_from };
        // Only what can spill needs to know where that would begin.
        if slot.may_spill() && slot.memory_end() == usize::MAX {
            at_border = slot.border.admit(step.frontier);
            // (Unless mapping the file has failed meanwhile: then it goes on without.)
            if !at_border && slot.may_spill() {
                step_admitted.settle(0);
                pending = true;
                return Err(Refusal::of(Cause::Kernel(0)));
            }
        }
        admitted = Some(step_admitted);
        Ok(step.frontier)
    };
    let commit =
        |from: usize, to: usize| slot.commit(from, to).map_err(|errno| explain(errno, to.wrapping_sub(from)));
    let advance = slot.frontier.advance(to, plan, commit);
    let moved = match &advance {
        Ok(Advance::Grown { to, moved, .. }) => {
            slot.in_memory(*to).saturating_sub(slot.in_memory(to.saturating_sub(*moved)))
        }
        _ => 0,
    };
    if at_border {
        match &advance {
            Ok(_) => slot.border.done(),
            Err(_) => slot.border.failed(|| slot.frontier.get()),
        }
    }
    admitted.into_iter().for_each(|admitted| admitted.settle(moved));
    match advance {
        Ok(Advance::Covered) => Ok(Advanced::Covered),
        Ok(Advance::Grown { from: before, to: after, .. }) => {
            Ok(Advanced::Grown(Grown { before, after, populate_from }))
        }
        Err(_) if pending => Ok(Advanced::Pending),
        Err(refusal) => Err(refusal),
    }
}

/// What is left to do when the frontier has moved.
#[inline(never)] // its locals are not on the stack while the frontier moves
fn finish(slot: &Slot, to: usize, why: Why, began: u64, grown: Grown) {
    let Grown { before, after, populate_from } = grown;
    slot.close_latecomers(before, after);
    slot.wanted.fetch_max(to, Relaxed);
    let counters = &slot.counters;
    // What spilled is there to be paged out, not in.
    let populate = if after > slot.memory_end() { 0 } else { slot.populates() };
    let populate = populate.min(after.wrapping_sub(populate_from));
    if why.is_touch() && populate > 0 {
        let (start, len) = (slot.base().wrapping_add(populate_from), populate);
        // SAFETY: the range lies in the mapping of a live region, below the new frontier.
        match unsafe { sys::populate(start, len) } {
            Ok(()) => _ = counters.populated.fetch_add(len as u64, Relaxed),
            // (A protected guard in the range is refused in the same words.)
            Err(sys::NOT_SUPPORTED) if after <= slot.first_guard() => slot.stop_populating(),
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
    if why != Why::Ahead && !slot.is_checked() {
        counters.touched.fetch_max(to, Relaxed);
    }
    remember(&GrowthEvent {
        region: slot.id.load(Relaxed),
        offset: before,
        bytes: after.wrapping_sub(before),
        at_ns: began,
        duration_ns: took,
        thread: sys::thread_id(),
    });
}

/// Wastes up to 20 µs: what [`Growth::Stress`] shakes schedules with. A splitmix64 step draws the time.
fn dawdle(seed: u64, began: u64) {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let wait = (mixed >> 32) % 20_000;
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
        let slot = self.slot();
        // What a checked arena commits it commits itself, and it has nobody beside it.
        if slot.is_checked() {
            return Ok(());
        }
        // The limit is exact, also where the page that it ends in is committed.
        let grown = within(slot, end).and_then(|()| grow(slot, slot.frontier.get(), end, Why::Ahead));
        grown.map_err(|refusal| {
            let request = Request::Allocation { requested: end, effective: end };
            OutOfMemory::new(slot, request, slot.stats().used, refusal)
        })
    }
}
