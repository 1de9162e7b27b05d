//! Why a guard inside a region could not be placed.

use crate::policy::GuardMechanism;
use crate::sys::Errno;
use crate::sys::evidence::{self, Evidence, RefusedCall};
use crate::template::fill;
use core::fmt;
use core::ops::Range;

/// Why a guard could not be placed. Its text is one line and names the range.
///
/// ```
/// use highwater::{Arena, GuardError};
///
/// let mut arena = Arena::builder().reserve(1 << 20).build();
/// assert!(matches!(arena.guard_at(5..10), Err(GuardError::NotPages { .. })));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum GuardError {
    /// The range is empty, or does not begin and end on page boundaries.
    NotPages {
        /// The range, in bytes from the region's first one.
        guard: Range<usize>,
        /// The page size in bytes.
        page: usize,
    },
    /// The range is not a part of the region.
    Outside {
        /// The range, in bytes from the region's first one.
        guard: Range<usize>,
        /// The region's bytes: what was got, which may be less than what was asked for.
        reserved: usize,
    },
    /// An arena's allocations are there, or a [`DebugArena`](crate::DebugArena)'s were of late.
    InUse {
        /// The range, in bytes from the region's first one.
        guard: Range<usize>,
        /// The bytes in use.
        used: usize,
    },
    /// No more guards can be placed in one region.
    TooMany {
        /// How many there are.
        most: usize,
    },
    /// The mechanism that was asked for does not exist here.
    NoMechanism(GuardMechanism),
    /// A limit of the system stood in the way.
    Limited {
        /// The bytes that the guard, or its record, takes.
        bytes: usize,
        /// The limit's name (`vm.max_map_count`), how much it allows, and what was taken of it.
        limit: (&'static str, u64, u64),
        /// The system's error.
        error: std::io::Error,
    },
    /// The system refused, and no limit explains it.
    Refused(std::io::Error),
}

impl GuardError {
    pub(crate) fn refused(errno: Errno, wanted: RefusedCall) -> Self {
        let mut scratch = [0u8; 4096];
        let (RefusedCall::Reserve(bytes) | RefusedCall::MapWritable(bytes) | RefusedCall::Commit(bytes)) =
            wanted;
        match evidence::find(errno, wanted, &mut scratch) {
            Some(Evidence { obstacle, limit, usage, .. }) => {
                let limit = (obstacle.name(), limit, usage);
                GuardError::Limited { bytes, limit, error: errno.into() }
            }
            None => GuardError::Refused(errno.into()),
        }
    }

    /// What stood in the way, where that is known.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        let GuardError::Limited { limit: (name, limit, usage), .. } = *self else { return None };
        Evidence::named(name, limit, usage, 0)
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = self.evidence();
        let (template, guard, value): (_, _, &dyn fmt::Display) = match self {
            GuardError::NotPages { guard, page } => {
                ("a guard at {start}..{end} is not made of whole pages of {value} bytes", guard, page)
            }
            GuardError::Outside { guard, reserved } => {
                ("a guard at {start}..{end} is not inside the {value} bytes of the region", guard, reserved)
            }
            GuardError::InUse { guard, used } => (
                "a guard at {start}..{end} would lie over something in use ({value} bytes are), another guard, or \
                 what was given up of late",
                guard,
                used,
            ),
            GuardError::TooMany { most } => ("there are {value} guards in the region already", &(0..0), most),
            GuardError::NoMechanism(mechanism) => {
                return write!(f, "guards by {mechanism:?} do not exist on this system");
            }
            GuardError::Limited { limit: (name, limit, usage), .. } => match &evidence {
                Some(evidence) => ("a guard was refused by {value}", &(0..0), evidence),
                None => {
                    return write!(
                        f,
                        "a guard was refused by {name}, which allow {limit} bytes, not {usage}"
                    );
                }
            },
            GuardError::Refused(error) => ("a guard was refused by the system: {value}", &(0..0), error),
        };
        fill(f, template, &[("start", &guard.start), ("end", &guard.end), ("value", value)])
    }
}

impl std::error::Error for GuardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            GuardError::Limited { error, .. } | GuardError::Refused(error) => Some(error),
            _ => None,
        }
    }
}
