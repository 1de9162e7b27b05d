//! The judgement over one fault: a pure function, so that it can be tested without a signal.

/// What the judge needs to know of a region, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// The region's first address.
    pub(crate) base: usize,
    /// The bytes reserved.
    pub(crate) reserved: usize,
    /// The frontier.
    pub(crate) frontier: usize,
}

/// What is known of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The address that was touched.
    pub(crate) address: usize,
    /// Whether the processor wanted to execute what stands there.
    pub(crate) fetch: bool,
    /// Whether a protection key forbade it.
    pub(crate) key: bool,
}

/// What a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A touch of the tail at this offset: the region grows, for a read as for a write, because the
    /// compiler may load speculatively.
    Growth {
        /// Bytes from the base.
        offset: usize,
    },
    /// The page is committed: another thread was faster, or somebody took the access away.
    Covered,
    /// A guard: before the head, or after the reservation.
    Guard,
    /// Nothing that growing could mend.
    Foreign,
}

/// Judges a fault whose address lies in the territory of the region seen.
pub(crate) fn judge(view: View, fault: Fault) -> Verdict {
    if fault.fetch || fault.key {
        return Verdict::Foreign;
    }
    match fault.address.checked_sub(view.base) {
        None => Verdict::Guard,
        Some(offset) if offset >= view.reserved => Verdict::Guard,
        Some(offset) if offset < view.frontier => Verdict::Covered,
        Some(offset) => Verdict::Growth { offset },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View { base: 0x10000, reserved: 0x4000, frontier: 0x1000 };

    fn at(address: usize) -> Verdict {
        judge(VIEW, Fault { address, fetch: false, key: false })
    }

    #[test]
    fn every_border_is_judged_on_both_sides() {
        assert_eq!(at(0), Verdict::Guard);
        assert_eq!(at(0xffff), Verdict::Guard);
        assert_eq!(at(0x10000), Verdict::Covered);
        assert_eq!(at(0x10fff), Verdict::Covered);
        assert_eq!(at(0x11000), Verdict::Growth { offset: 0x1000 });
        assert_eq!(at(0x13fff), Verdict::Growth { offset: 0x3fff });
        assert_eq!(at(0x14000), Verdict::Guard);
        assert_eq!(at(usize::MAX), Verdict::Guard);
    }

    #[test]
    fn code_and_keys_are_never_growth() {
        for (fetch, key) in [(true, false), (false, true)] {
            assert_eq!(judge(VIEW, Fault { address: 0x11000, fetch, key }), Verdict::Foreign);
        }
    }
}
