//! What the figures of a place say is available, and how much of that stays free.

use crate::policy::Headroom;

/// The machine as a whole, among the places that may run out of memory.
pub(super) const SYSTEM: u16 = u16::MAX - 1;
/// The margin of [`Headroom::Auto`] is a 64th of the limit, at least and at most so many bytes.
const MIN_MARGIN: u64 = 2 << 20;
pub(super) const MAX_MARGIN: u64 = 64 << 20;

/// The part of a cgroup's limit that is left to the cache of a file that is spilled to: a quarter, and in a small cgroup a
/// half. Where all of the cache is being written, the kernel does not wait long before it kills.
pub(super) fn file_cache(limit: u64) -> u64 {
    const MIN: u64 = 8 << 20;
    (limit / 4).max(MIN.min(limit / 2))
}

/// How much a region leaves free, and whether it can spill.
#[derive(Clone, Copy)]
pub(super) struct HeadroomPolicy {
    pub(super) headroom: Headroom,
    pub(super) spills: bool,
}

impl HeadroomPolicy {
    pub(super) fn is_off(self) -> bool {
        self.headroom == Headroom::Off
    }

    pub(super) fn is_auto(self) -> bool {
        self.headroom == Headroom::Auto && !self.spills
    }

    /// What is left free at a place beyond the margin of [`Headroom::Auto`].
    pub(super) fn beyond_auto(self, at: &Availability) -> i64 {
        at.margin(self).saturating_sub_unsigned(at.auto_margin()).max(0)
    }

    /// The bytes that stay free at a place with this limit (0 for the machine), where `auto` is the margin of
    /// [`Headroom::Auto`].
    pub(super) fn margin(self, auto: u64, limit: u64) -> i64 {
        let bytes = match self.headroom {
            Headroom::AtLeast(bytes) => bytes as u64,
            Headroom::Auto | Headroom::Off => auto,
        };
        let bytes = if self.spills { bytes.max(file_cache(limit)) } else { bytes };
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }
}

/// The memory of one place: a cgroup or the machine.
#[derive(Clone, Copy)]
pub(super) struct Availability {
    pub(super) place: u16,
    pub(super) limit: u64,
    /// Bytes in use, or committed and not touched yet, that cannot be reclaimed.
    pub(super) usage: u64,
    /// Bytes in use that can be reclaimed once they are written to their files. They are a part of `usage`.
    pub(super) dirty: u64,
    /// The part of `dirty` that is being written.
    pub(super) writeback: u64,
}

impl Availability {
    /// Bytes that are free or can be made so at once.
    pub(super) fn left(&self) -> i64 {
        (self.limit as i64).saturating_sub(self.usage as i64)
    }

    /// The margin of [`Headroom::Auto`].
    pub(super) fn auto_margin(&self) -> u64 {
        (self.limit / 64).clamp(MIN_MARGIN, MAX_MARGIN)
    }

    /// The limit that a spilling region leaves a part of.
    pub(super) fn spill_limit(&self) -> u64 {
        if self.place == SYSTEM { 0 } else { self.limit }
    }

    pub(super) fn margin(&self, policy: HeadroomPolicy) -> i64 {
        policy.margin(self.auto_margin(), self.spill_limit())
    }

    /// Bytes that may be committed at once.
    pub(super) fn spare(&self, policy: HeadroomPolicy) -> i64 {
        self.left().saturating_sub(self.margin(policy))
    }

    /// Bytes that may be committed when the kernel has written out what it can.
    pub(super) fn spare_in_time(&self, policy: HeadroomPolicy) -> i64 {
        self.spare(policy).saturating_add_unsigned(self.dirty)
    }
}

/// The tightest places.
#[derive(Clone, Copy)]
pub(super) struct TightestPlaces {
    /// The place with the least memory at once.
    pub(super) now: Availability,
    /// The place with the least memory once everything is written out.
    pub(super) in_time: Availability,
    /// What the regions have committed and not touched; counted only where memory is short.
    pub(super) untouched: Option<Untouched>,
}

/// What the regions have committed and not touched.
#[derive(Clone, Copy, Default)]
pub(super) struct Untouched {
    pub(super) bytes: u64,
    /// The part that was committed ahead of any need: the rest of steps.
    pub(super) ahead: u64,
    /// How many regions have some.
    pub(super) regions: u32,
}
