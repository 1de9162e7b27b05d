//! The judgement over one fault: a pure function, so that it can be tested without a signal.

use super::Kind;

/// What the judge needs to know of a region, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The region's first address.
    pub base: usize,
    /// The bytes reserved.
    pub reserved: usize,
    /// The frontier.
    pub frontier: usize,
    /// How far past the frontier a touch may be and still be growth.
    pub reach: usize,
    /// What is known of the byte that was touched.
    pub place: Place,
}

/// What is known of a byte inside a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing but which side of the frontier it is on.
    Plain,
    /// A guard was placed over it.
    Guarded,
    /// A checked arena: an allocation has its page.
    Open,
    /// A checked arena: it lies to the right of a live allocation.
    PastAllocation,
    /// A checked arena: it lies in an allocation that was given up.
    GivenUp,
    /// A checked arena: no allocation ever had it.
    Unallocated,
}

/// What is known of a fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The address that was touched.
    pub address: usize,
    /// Whether the processor wanted to execute what stands there.
    pub fetch: bool,
    /// Whether a protection key forbade it.
    pub key: bool,
}

/// What a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A touch of the tail at this offset: the region grows, for a read as for a write, because the
    /// compiler may load speculatively.
    Growth {
        /// Bytes from the base.
        offset: usize,
    },
    /// The page is committed: another thread was faster, or somebody took the access away.
    Covered,
    /// An error of this kind: reported, never served.
    Violation(Kind),
    /// Nothing of ours.
    Foreign,
}

/// Judges a fault whose address lies in the guarded_range of the region seen: the reservation and the guards on
/// both sides of it.
///
/// ```
/// use highwater::guard::{Fault, Kind, Place, Verdict, View, judge};
///
/// let view = View { base: 0x10000, reserved: 0x8000, frontier: 0x1000, reach: 0x2000, place: Place::Plain };
/// let at = |address| judge(view, Fault { address, fetch: false, key: false });
/// assert_eq!(at(0x11000), Verdict::Growth { offset: 0x1000 });
/// assert_eq!(at(0x13000), Verdict::Violation(Kind::BeyondReach));
/// assert_eq!(at(0x18000), Verdict::Violation(Kind::EndOfReservation));
/// ```
pub fn judge(view: View, fault: Fault) -> Verdict {
    if fault.fetch || fault.key {
        return Verdict::Foreign;
    }
    let Some(offset) = fault.address.checked_sub(view.base) else {
        return Verdict::Violation(Kind::BeforeHead);
    };
    if offset >= view.reserved {
        return Verdict::Violation(Kind::EndOfReservation);
    }
    match view.place {
        Place::Guarded => Verdict::Violation(Kind::PlacedGuard),
        Place::PastAllocation => Verdict::Violation(Kind::Overflow),
        Place::GivenUp => Verdict::Violation(Kind::UseAfterReset),
        Place::Unallocated => Verdict::Violation(Kind::Unallocated),
        Place::Open => Verdict::Covered,
        Place::Plain => match offset.checked_sub(view.frontier) {
            None => Verdict::Covered,
            Some(distance) if distance >= view.reach => Verdict::Violation(Kind::BeyondReach),
            Some(_) => Verdict::Growth { offset },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VIEW: View =
        View { base: 0x10000, reserved: 0x4000, frontier: 0x1000, reach: usize::MAX, place: Place::Plain };

    fn judged(view: View, address: usize) -> Verdict {
        judge(view, Fault { address, fetch: false, key: false })
    }

    #[test]
    fn every_border_is_judged_on_both_sides() {
        let before = Verdict::Violation(Kind::BeforeHead);
        let end = Verdict::Violation(Kind::EndOfReservation);
        assert_eq!(judged(VIEW, 0), before);
        assert_eq!(judged(VIEW, 0xffff), before);
        assert_eq!(judged(VIEW, 0x10000), Verdict::Covered);
        assert_eq!(judged(VIEW, 0x10fff), Verdict::Covered);
        assert_eq!(judged(VIEW, 0x11000), Verdict::Growth { offset: 0x1000 });
        assert_eq!(judged(VIEW, 0x13fff), Verdict::Growth { offset: 0x3fff });
        assert_eq!(judged(VIEW, 0x14000), end);
        assert_eq!(judged(VIEW, usize::MAX), end);
    }

    #[test]
    fn the_reach_begins_at_the_frontier() {
        let near = View { reach: 0x1000, ..VIEW };
        assert_eq!(judged(near, 0x11fff), Verdict::Growth { offset: 0x1fff });
        assert_eq!(judged(near, 0x12000), Verdict::Violation(Kind::BeyondReach));
        let none = View { reach: 0, ..VIEW };
        assert_eq!(judged(none, 0x10fff), Verdict::Covered);
        assert_eq!(judged(none, 0x11000), Verdict::Violation(Kind::BeyondReach));
    }

    #[test]
    fn what_is_known_of_the_byte_decides_before_the_frontier() {
        for (place, verdict) in [
            (Place::Guarded, Verdict::Violation(Kind::PlacedGuard)),
            (Place::PastAllocation, Verdict::Violation(Kind::Overflow)),
            (Place::GivenUp, Verdict::Violation(Kind::UseAfterReset)),
            (Place::Unallocated, Verdict::Violation(Kind::Unallocated)),
            (Place::Open, Verdict::Covered),
        ] {
            for address in [0x10000, 0x11000, 0x13fff] {
                assert_eq!(judged(View { place, ..VIEW }, address), verdict);
            }
            assert_eq!(judged(View { place, ..VIEW }, 0x14000), Verdict::Violation(Kind::EndOfReservation));
        }
    }

    proptest! {
        #[test]
        fn only_the_tail_within_reach_grows(
            frontier in 0usize..0x4000,
            reach in 0usize..0x5000,
            address in 0xf000usize..0x16000,
            fetch: bool,
            key: bool,
        ) {
            let view = View { frontier, reach, ..VIEW };
            let verdict = judge(view, Fault { address, fetch, key });
            let tail = (0x10000 + frontier..0x14000).contains(&address);
            let near = address.wrapping_sub(0x10000 + frontier) < reach;
            prop_assert_eq!(matches!(verdict, Verdict::Growth { .. }), tail && near && !fetch && !key);
            prop_assert_eq!(verdict == Verdict::Foreign, fetch || key);
        }
    }
}
