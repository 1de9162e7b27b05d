//! How far one growth goes.
//!
//! All values are offsets from the region's base, in bytes.

use super::page::{HUGE_PAGE, align_down, align_up_saturating};

/// What a growth needs, and where it may end.
#[derive(Clone, Copy, Debug)]
pub struct GrowthNeed {
    /// The frontier: the end of what is committed, a multiple of the page size.
    pub frontier: usize,
    /// The first byte that is needed; at or past the frontier.
    pub from: usize,
    /// The byte after the last one that is needed.
    pub to: usize,
    /// Where growth ends: the reservation or the byte limit, rounded up to a page.
    pub end: usize,
    /// The page size, a power of two.
    pub page: usize,
}

/// What a growth does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The new frontier.
    pub frontier: usize,
    /// Where populating starts. A gap that was jumped over is committed but not populated.
    pub populate_from: usize,
}

/// A step of `step` bytes at a time: the frontier moves by as many whole steps as the need takes.
///
/// Steps that are made of huge pages also end on huge page boundaries, so that each can be served by whole
/// ones: a head that is no such multiple makes the first step shorter, or by less than a huge page longer.
///
/// `need.to` is at most `need.end`, and the frontier never passes `need.end`.
pub const fn fixed(need: GrowthNeed, step: usize) -> Step {
    let step = align_up_saturating(step, need.page);
    let step = if step < need.page { need.page } else { step };
    // No page is empty; said so that the compiler sees it too and links no division by zero into the handler.
    let step = if step == 0 { 1 } else { step };
    let missing = need.to.saturating_sub(need.frontier);
    let steps = missing.div_ceil(step);
    let mut frontier = need.frontier.saturating_add(steps.saturating_mul(step));
    if step.is_multiple_of(HUGE_PAGE) {
        let down = align_down(frontier, HUGE_PAGE);
        frontier = if down >= need.to { down } else { align_up_saturating(frontier, HUGE_PAGE) };
    }
    let frontier = if frontier > need.end { need.end } else { frontier };
    let around = need.frontier + (need.from.saturating_sub(need.frontier) / step) * step;
    Step { frontier, populate_from: around }
}

/// Steps that grow with what is used, between `first` and `max` bytes.
///
/// Small regions double until a step is a huge page; from there a step is a quarter of what is used, and
/// the frontier stays on huge page boundaries, so that a step can be served by whole huge pages. With the
/// default `first` (64 KiB) what is committed ahead of the need stays below a quarter of it plus 4 MiB:
/// the part under 2 MiB that doubles, and the rounding, are what the 4 MiB pay for.
pub const fn geometric(need: GrowthNeed, first: usize, max: usize) -> Step {
    let huge = HUGE_PAGE;
    let used = need.from;
    let wanted = if used < huge {
        used
    } else if used / 4 < huge {
        huge
    } else {
        used / 4
    };
    let step = clamp(wanted, first, max);
    // Rounding to huge pages must not turn a small maximum into a large step.
    let grain = if step >= huge { huge } else { need.page };
    let ahead = need.from.saturating_add(step);
    let frontier = align_up_saturating(if ahead > need.to { ahead } else { need.to }, grain);
    let frontier = if frontier > need.end { need.end } else { frontier };
    let around = align_down(need.from, grain);
    let around = if around < need.frontier { need.frontier } else { around };
    Step { frontier, populate_from: around }
}

/// Exactly the pages that are needed.
pub const fn exact(need: GrowthNeed) -> Step {
    let frontier = align_up_saturating(need.to, need.page);
    let frontier = if frontier > need.end { need.end } else { frontier };
    Step { frontier, populate_from: align_down(need.from, need.page) }
}

/// A step that was refused, with the bytes that it commits ahead of the need halved `halvings` times.
pub const fn cut(step: Step, need: GrowthNeed, halvings: u32) -> Step {
    let min = exact(need);
    let ahead = step.frontier.saturating_sub(min.frontier);
    let ahead = if halvings < usize::BITS { align_down(ahead >> halvings, need.page) } else { 0 };
    end_at(step, need, min.frontier.saturating_add(ahead))
}

/// A step that ends at `frontier`, or where the need ends if that is later.
pub const fn end_at(step: Step, need: GrowthNeed, frontier: usize) -> Step {
    if frontier >= step.frontier {
        return step;
    }
    let min = exact(need);
    let frontier = if frontier > min.frontier { frontier } else { min.frontier };
    let around = if step.populate_from < min.populate_from { step.populate_from } else { min.populate_from };
    Step { frontier, populate_from: around }
}

const fn clamp(value: usize, low: usize, high: usize) -> usize {
    if value > high {
        high
    } else if value < low {
        if low < high { low } else { high }
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::page::{KIB, MIB};
    use proptest::prelude::*;

    const PAGE: usize = 4096;

    fn needs() -> impl Strategy<Value = GrowthNeed> {
        (0usize..1 << 30, 0usize..1 << 30, 1usize..1 << 26, 0usize..1 << 24).prop_map(
            |(frontier, gap, len, rest)| {
                let frontier = align_down(frontier, PAGE);
                let from = frontier + gap;
                let to = from + len;
                GrowthNeed { frontier, from, to, end: align_up_saturating(to + rest, PAGE), page: PAGE }
            },
        )
    }

    fn check(need: GrowthNeed, step: Step) -> Result<(), TestCaseError> {
        prop_assert!(step.frontier >= need.to && step.frontier <= need.end, "{need:?} {step:?}");
        prop_assert!(step.frontier.is_multiple_of(PAGE));
        prop_assert!(step.frontier > need.frontier);
        prop_assert!(
            step.populate_from >= need.frontier && step.populate_from <= need.from,
            "{need:?} {step:?}"
        );
        prop_assert!(step.populate_from.is_multiple_of(PAGE));
        Ok(())
    }

    proptest! {
        #[test]
        fn a_cut_step_still_serves_the_need(
            frontier in 0usize..1 << 30, from in 0usize..1 << 30, len in 1usize..1 << 24, halvings in 0u32..70,
        ) {
            let frontier = align_down(frontier, PAGE);
            let from = frontier + from;
            let need = GrowthNeed { frontier, from, to: from + len, end: 1 << 40, page: PAGE };
            let whole = geometric(need, 64 * KIB, 16 * MIB);
            let part = cut(whole, need, halvings);
            prop_assert!(part.frontier >= need.to && part.frontier <= whole.frontier);
            prop_assert!(part.frontier.is_multiple_of(PAGE) && part.populate_from <= from);
            prop_assert!(part.populate_from < part.frontier);
        }

        #[test]
        fn every_policy_covers_the_need_and_stays_inside(need in needs(), step in 1usize..1 << 27) {
            check(need, fixed(need, step))?;
            check(need, geometric(need, 64 * KIB, 16 * MIB))?;
            check(need, geometric(need, step, step))?;
            check(need, exact(need))?;
        }

        #[test]
        fn what_is_committed_ahead_stays_under_a_quarter_and_4_mib(need in needs()) {
            let used = need.to;
            let ahead = geometric(need, 64 * KIB, 16 * MIB).frontier - used;
            prop_assert!(ahead <= used / 4 + 4 * MIB, "{ahead} ahead of {used}");
        }
    }

    #[test]
    fn filling_from_empty_doubles_then_takes_aligned_huge_steps() {
        let mut frontier = 64 * KIB;
        let mut seen = Vec::new();
        while frontier < 128 * MIB {
            let need = GrowthNeed { frontier, from: frontier, to: frontier + 8, end: 1 << 36, page: PAGE };
            frontier = geometric(need, 64 * KIB, 16 * MIB).frontier;
            seen.push(frontier);
        }
        assert_eq!(seen[..6], [128 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB]);
        assert!(seen.iter().filter(|&&f| f >= 2 * MIB).all(|f| f % HUGE_PAGE == 0));
        assert!(seen.windows(2).all(|w| w[1] - w[0] <= 16 * MIB));
        assert_eq!(seen[seen.len() - 1] - seen[seen.len() - 2], 16 * MIB);
    }

    #[test]
    fn fixed_steps_are_counted_from_the_frontier() {
        let need = GrowthNeed { frontier: 65536, from: 65536, to: 65540, end: 1 << 30, page: PAGE };
        assert_eq!(fixed(need, 65536), Step { frontier: 131072, populate_from: 65536 });
        let jump = GrowthNeed { from: 300_000, to: 300_001, ..need };
        assert_eq!(fixed(jump, 65536), Step { frontier: 65536 * 5, populate_from: 65536 * 4 });
        assert_eq!(fixed(need, 1).frontier, 65536 + PAGE);
    }

    #[test]
    fn fixed_steps_of_huge_pages_end_on_huge_page_boundaries() {
        let need = GrowthNeed { frontier: 65536, from: 65536, to: 65540, end: 1 << 30, page: PAGE };
        assert_eq!(fixed(need, 4 * MIB).frontier, 4 * MIB);
        let late = GrowthNeed { from: 4 * MIB + 1000, to: 4 * MIB + 2000, ..need };
        assert_eq!(fixed(late, 4 * MIB).frontier, 6 * MIB);
        assert_eq!(
            fixed(GrowthNeed { frontier: 4 * MIB, from: 4 * MIB, to: 4 * MIB + 1, ..need }, 4 * MIB).frontier,
            8 * MIB
        );
    }

    #[test]
    fn the_end_cuts_a_step_short() {
        let need = GrowthNeed { frontier: 0, from: 0, to: 1, end: 2 * PAGE, page: PAGE };
        assert_eq!(fixed(need, MIB).frontier, 2 * PAGE);
        assert_eq!(geometric(need, 64 * KIB, 16 * MIB).frontier, 2 * PAGE);
        assert_eq!(exact(need).frontier, PAGE);
    }
}
