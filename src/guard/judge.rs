//! The decision on one fault: a pure function, so that it can be tested without a signal.

use super::ViolationKind;

/// The facts about a region that [`judge`] needs, in bytes.
///
/// ```
/// use highwater::guard::{FaultInfo, FaultVerdict, PageState, RegionView, judge};
///
/// let view = RegionView {
///     base: 0x10000,
///     reserved: 0x8000,
///     frontier: 0x1000,
///     reach: usize::MAX,
///     place: PageState::Plain,
/// };
/// let fault = FaultInfo { address: 0x10800, fetch: false, key: false };
/// assert_eq!(judge(view, fault), FaultVerdict::Covered); // below the frontier
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RegionView {
    /// The region's first address.
    pub base: usize,
    /// The bytes reserved.
    pub reserved: usize,
    /// The frontier.
    pub frontier: usize,
    /// How far past the frontier an access may be and still be growth.
    pub reach: usize,
    /// The state of the byte that was accessed.
    pub place: PageState,
}

/// The state of a byte inside a region.
///
/// ```
/// use highwater::guard::{FaultInfo, FaultVerdict, PageState, RegionView, ViolationKind, judge};
///
/// let view = RegionView {
///     base: 0x10000,
///     reserved: 0x8000,
///     frontier: 0x1000,
///     reach: usize::MAX,
///     place: PageState::GivenUp,
/// };
/// let fault = FaultInfo { address: 0x10800, fetch: false, key: false };
/// assert_eq!(judge(view, fault), FaultVerdict::Violation(ViolationKind::UseAfterReset));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// Only its side of the frontier is known.
    Plain,
    /// A guard was placed over it.
    Guarded,
    /// A checked arena: its page belongs to an allocation.
    Open,
    /// A checked arena: it lies to the right of a live allocation.
    PastAllocation,
    /// A checked arena: it lies in an allocation that was given up.
    GivenUp,
    /// A checked arena: no allocation ever had it.
    Unallocated,
}

/// The facts about a fault.
///
/// ```
/// use highwater::guard::{FaultInfo, FaultVerdict, PageState, RegionView, judge};
///
/// let view = RegionView {
///     base: 0x10000,
///     reserved: 0x8000,
///     frontier: 0x1000,
///     reach: usize::MAX,
///     place: PageState::Plain,
/// };
/// let fault = FaultInfo { address: 0x10800, fetch: true, key: false };
/// assert_eq!(judge(view, fault), FaultVerdict::Foreign); // an instruction fetch
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FaultInfo {
    /// The address that was accessed.
    pub address: usize,
    /// Whether it was an instruction fetch.
    pub fetch: bool,
    /// Whether a protection key forbade it.
    pub key: bool,
}

/// The decision on a fault.
///
/// ```
/// use highwater::guard::{FaultInfo, FaultVerdict, PageState, RegionView, judge};
///
/// let view = RegionView {
///     base: 0x10000,
///     reserved: 0x8000,
///     frontier: 0x1000,
///     reach: usize::MAX,
///     place: PageState::Plain,
/// };
/// let fault = FaultInfo { address: 0x11800, fetch: false, key: false };
/// assert_eq!(judge(view, fault), FaultVerdict::Growth { offset: 0x1800 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultVerdict {
    /// An access to the tail at this offset: the region grows, for a read as for a write, because the
    /// compiler may load speculatively.
    Growth {
        /// Bytes from the base.
        offset: usize,
    },
    /// The page is committed: another thread was faster, or the program took the access away.
    Covered,
    /// An error of this kind: reported, never served.
    Violation(ViolationKind),
    /// Not a fault of this library.
    Foreign,
}

/// Decides on a fault whose address lies in a region's guarded range: the reservation and the guards on both sides of it.
///
/// ```
/// use highwater::guard::{FaultInfo, ViolationKind, PageState, FaultVerdict, RegionView, judge};
///
/// let view = RegionView { base: 0x10000, reserved: 0x8000, frontier: 0x1000, reach: 0x2000, place: PageState::Plain };
/// let at = |address| judge(view, FaultInfo { address, fetch: false, key: false });
/// assert_eq!(at(0x11000), FaultVerdict::Growth { offset: 0x1000 });
/// assert_eq!(at(0x13000), FaultVerdict::Violation(ViolationKind::BeyondReach));
/// assert_eq!(at(0x18000), FaultVerdict::Violation(ViolationKind::EndOfReservation));
/// ```
pub fn judge(view: RegionView, fault: FaultInfo) -> FaultVerdict {
    if fault.fetch || fault.key {
        return FaultVerdict::Foreign;
    }
    let Some(offset) = fault.address.checked_sub(view.base) else {
        return FaultVerdict::Violation(ViolationKind::BeforeHead);
    };
    if offset >= view.reserved {
        return FaultVerdict::Violation(ViolationKind::EndOfReservation);
    }
    match view.place {
        PageState::Guarded => FaultVerdict::Violation(ViolationKind::PlacedGuard),
        PageState::PastAllocation => FaultVerdict::Violation(ViolationKind::Overflow),
        PageState::GivenUp => FaultVerdict::Violation(ViolationKind::UseAfterReset),
        PageState::Unallocated => FaultVerdict::Violation(ViolationKind::Unallocated),
        PageState::Open => FaultVerdict::Covered,
        PageState::Plain => match offset.checked_sub(view.frontier) {
            None => FaultVerdict::Covered,
            Some(distance) if distance >= view.reach => FaultVerdict::Violation(ViolationKind::BeyondReach),
            Some(_) => FaultVerdict::Growth { offset },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VIEW: RegionView = RegionView {
        base: 0x10000,
        reserved: 0x4000,
        frontier: 0x1000,
        reach: usize::MAX,
        place: PageState::Plain,
    };

    fn judged(view: RegionView, address: usize) -> FaultVerdict {
        judge(view, FaultInfo { address, fetch: false, key: false })
    }

    #[test]
    fn every_border_is_judged_on_both_sides() {
        let before = FaultVerdict::Violation(ViolationKind::BeforeHead);
        let end = FaultVerdict::Violation(ViolationKind::EndOfReservation);
        assert_eq!(judged(VIEW, 0), before);
        assert_eq!(judged(VIEW, 0xffff), before);
        assert_eq!(judged(VIEW, 0x10000), FaultVerdict::Covered);
        assert_eq!(judged(VIEW, 0x10fff), FaultVerdict::Covered);
        assert_eq!(judged(VIEW, 0x11000), FaultVerdict::Growth { offset: 0x1000 });
        assert_eq!(judged(VIEW, 0x13fff), FaultVerdict::Growth { offset: 0x3fff });
        assert_eq!(judged(VIEW, 0x14000), end);
        assert_eq!(judged(VIEW, usize::MAX), end);
    }

    #[test]
    fn the_reach_begins_at_the_frontier() {
        let near = RegionView { reach: 0x1000, ..VIEW };
        assert_eq!(judged(near, 0x11fff), FaultVerdict::Growth { offset: 0x1fff });
        assert_eq!(judged(near, 0x12000), FaultVerdict::Violation(ViolationKind::BeyondReach));
        let none = RegionView { reach: 0, ..VIEW };
        assert_eq!(judged(none, 0x10fff), FaultVerdict::Covered);
        assert_eq!(judged(none, 0x11000), FaultVerdict::Violation(ViolationKind::BeyondReach));
    }

    #[test]
    fn what_is_known_of_the_byte_decides_before_the_frontier() {
        for (place, verdict) in [
            (PageState::Guarded, FaultVerdict::Violation(ViolationKind::PlacedGuard)),
            (PageState::PastAllocation, FaultVerdict::Violation(ViolationKind::Overflow)),
            (PageState::GivenUp, FaultVerdict::Violation(ViolationKind::UseAfterReset)),
            (PageState::Unallocated, FaultVerdict::Violation(ViolationKind::Unallocated)),
            (PageState::Open, FaultVerdict::Covered),
        ] {
            for address in [0x10000, 0x11000, 0x13fff] {
                assert_eq!(judged(RegionView { place, ..VIEW }, address), verdict);
            }
            assert_eq!(
                judged(RegionView { place, ..VIEW }, 0x14000),
                FaultVerdict::Violation(ViolationKind::EndOfReservation)
            );
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
            let view = RegionView { frontier, reach, ..VIEW };
            let verdict = judge(view, FaultInfo { address, fetch, key });
            let tail = (0x10000 + frontier..0x14000).contains(&address);
            let near = address.wrapping_sub(0x10000 + frontier) < reach;
            prop_assert_eq!(matches!(verdict, FaultVerdict::Growth { .. }), tail && near && !fetch && !key);
            prop_assert_eq!(verdict == FaultVerdict::Foreign, fetch || key);
        }
    }
}
