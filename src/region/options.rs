//! The options of a region: which values are valid, and how many bytes they amount to.

use super::error::BuildError;
use super::guard_error::GuardError;
use super::name::RegionName;
use super::role::Role;
use super::space;
use crate::fallible;
use crate::math::page::{KIB, align_down, align_up_saturating};
use crate::policy::{Growth, GuardMechanism, GuardPolicy, Headroom, HugePages, RegionEngine, Reserve};
use crate::sys;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The head when none is asked for, in bytes.
const DEFAULT_HEAD: usize = 64 * KIB;

/// What a builder can ask for.
#[derive(Debug, Default)]
pub(crate) struct RegionOptions {
    pub(crate) name: RegionName,
    pub(crate) role: Role,
    pub(crate) reserve: Reserve,
    /// The bytes that a default reservation has to hold, and with room to grow if there is address space for that.
    pub(crate) expected: usize,
    pub(crate) head: Option<usize>,
    pub(crate) growth: Growth,
    pub(crate) populate: Option<bool>,
    pub(crate) huge_pages: HugePages,
    pub(crate) guard: GuardPolicy,
    pub(crate) limit: Option<usize>,
    pub(crate) source: BackingSource,
    pub(crate) headroom: Headroom,
    /// The directory of the file to spill to.
    pub(crate) spill: Option<PathBuf>,
    /// The region is a checked arena's, whose allocations have guards between them.
    pub(crate) checked: bool,
    pub(crate) engine: RegionEngine,
    /// The maximum of a region that is accessible as a whole.
    pub(crate) max_accessible: Option<usize>,
}

/// What the bytes live on.
#[derive(Debug, Default)]
pub(crate) enum BackingSource {
    #[default]
    Anonymous,
    Temp(PathBuf),
    File(File),
}

impl RegionOptions {
    /// Whether the whole region is accessible from the start.
    pub(super) fn is_upfront(&self) -> bool {
        self.growth == Growth::Upfront && !self.checked
    }

    /// Checks the values that do not depend on the system.
    pub(super) fn validate(&self) -> Result<(), BuildError> {
        match self.growth {
            Growth::Fixed(0) => return Err(BuildError::Step { first: 0, max: 0 }),
            Growth::Geometric { first, max } if first == 0 || first > max => {
                return Err(BuildError::Step { first, max });
            }
            _ => {}
        }
        if self.reserve == Reserve::Bytes(0) {
            return Err(BuildError::ZeroReserve);
        }
        match (self.limit, self.reserve) {
            (Some(0), _) => return Err(BuildError::Limit { limit: 0, reserve: 0 }),
            (Some(limit), Reserve::Bytes(reserve)) if limit > reserve => {
                return Err(BuildError::Limit { limit, reserve });
            }
            _ => {}
        }
        let may_spill =
            !self.checked && sys::HAS_PROTECTION && matches!(self.source, BackingSource::Anonymous);
        if self.spill.is_some() && !may_spill {
            let error = std::io::Error::from(ErrorKind::Unsupported);
            let what = fallible::text(format_args!(
                "to spill to, for a checked arena, one in a file, or where memory cannot be mapped"
            ));
            return Err(BuildError::File { what, error });
        }
        Ok(())
    }

    /// Whether guards inside the region are to be marks in the page table.
    pub(super) fn guards_by_advice(&self) -> Result<bool, BuildError> {
        match self.guard.mechanism {
            GuardMechanism::Auto => Ok(sys::supports_guards()),
            GuardMechanism::Advice if !sys::supports_guards() => Err(no_guards_by_advice()),
            GuardMechanism::Advice => Ok(true),
            GuardMechanism::Protect => Ok(false),
        }
    }

    /// The bytes to reserve for allocations, and those to commit at first.
    pub(super) fn sizes(&self) -> Result<(usize, usize), BuildError> {
        let page = sys::page_size();
        let upfront = self.is_upfront();
        let min = self.head.unwrap_or(0).max(self.limit.unwrap_or(0));
        let is_accessible = upfront && matches!(self.source, BackingSource::Anonymous);
        let reserve = space::wanted(self.reserve, min, self.expected, is_accessible);
        // A region that is accessible from the start is admitted once, so the reservation ends at what was admitted.
        let reserve = match self.max_accessible.filter(|_| upfront) {
            Some(bytes) => reserve.min(align_down(bytes, page).max(self.head.unwrap_or(DEFAULT_HEAD))),
            None => reserve,
        };
        let max_head = self.limit.map_or(reserve, |limit| align_up_saturating(limit, page).min(reserve));
        let default_head = if matches!(self.growth, Growth::Stress { .. }) { page } else { DEFAULT_HEAD };
        let head = match self.head {
            Some(head) if head > space::left() && self.reserve == Reserve::Default => {
                return Err(BuildError::no_room(head, head));
            }
            Some(head) if head > max_head => return Err(BuildError::Head { head, most: max_head }),
            Some(head) => align_up_saturating(head, page).min(max_head),
            None if upfront => 0,
            None => default_head.min(max_head),
        };
        Ok((reserve, head))
    }

    /// The bytes to reserve so that `bytes` can be allocated: a checked arena's small allocations take two pages each, and
    /// quarantined ranges keep their addresses for a while.
    pub(super) fn with_room_for_guards(&self, bytes: usize) -> usize {
        if !self.checked || !sys::HAS_PROTECTION || self.reserve == Reserve::Default {
            return bytes;
        }
        let room = bytes.saturating_mul(1024).min(sys::DEFAULT_RESERVE).min(space::left() / 256);
        bytes.saturating_add(align_up_saturating(room, sys::page_size()))
    }
}

/// Guards by advice were asked for, and this memory cannot be marked.
pub(super) fn no_guards_by_advice() -> BuildError {
    BuildError::Guard(GuardError::NoMechanism(GuardMechanism::Advice))
}
