//! Why a region could not be made, with the figures of the limit that stood in the way.

use super::guard_error::GuardError;
use super::space;
use crate::fallible::Exhausted;
use crate::policy::RegionEngine;
use crate::sys::Errno;
use crate::sys::evidence::{self, Evidence, RefusedCall};
use crate::template::fill;
use core::fmt;

/// Why a region could not be made. Its text is one line and names the value or the limit.
///
/// ```
/// use highwater::{Arena, BuildError};
///
/// assert!(matches!(Arena::builder().reserve(0).try_build(), Err(BuildError::ZeroReserve)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A reserve of no bytes.
    ZeroReserve,
    /// A head of more bytes than the reserve or the byte limit allows.
    Head {
        /// The head asked for, in bytes.
        head: usize,
        /// Its maximum, in bytes.
        most: usize,
    },
    /// A byte limit of nothing, or of more than the reserve.
    Limit {
        /// The limit asked for, in bytes.
        limit: usize,
        /// The reserve asked for, in bytes.
        reserve: usize,
    },
    /// A growth step of no bytes, or a first step beyond the largest.
    Step {
        /// The first step asked for, in bytes.
        first: usize,
        /// The largest step asked for, in bytes.
        max: usize,
    },
    /// All regions together may take a quarter of the address space that other mappings leave, and this one does not fit.
    AddressSpace {
        /// The reserve asked for, in bytes.
        reserve: usize,
        /// What is left for regions, in bytes.
        left: usize,
    },
    /// The system refused address space or memory.
    Refused {
        /// The bytes asked for last.
        bytes: usize,
        /// The limit that stood in the way, how much it allows, and what was taken of it: a resource limit
        /// (`RLIMIT_AS`), `vm.max_map_count` (mappings), `vm.overcommit_memory` (what would have been promised), or the
        /// address space (its largest gap, and what was to fit there). Sizes are bytes.
        limit: Option<(&'static str, u64, u64)>,
        /// What the kernel keeps back of that limit from this process, in bytes: only of `vm.overcommit_memory`.
        kept_back: u64,
        /// The system's error.
        error: std::io::Error,
    },
    /// The program's global allocator had no memory for the records of the region.
    Allocator {
        /// The bytes that it was asked for.
        bytes: usize,
    },
    /// A backing file cannot be made or cannot be used.
    File {
        /// Which.
        what: String,
        /// The system's error.
        error: std::io::Error,
    },
    /// A guard cannot be placed where it was asked for, or not that way.
    Guard(GuardError),
    /// This build does not have the engine that was asked for.
    Engine {
        /// The engine asked for.
        asked: RegionEngine,
        /// The one that the library was built with.
        built: RegionEngine,
    },
    /// The SIGSEGV handler cannot be installed.
    Handler(std::io::Error),
    /// The type that was to be built on the region cannot be: a heap with options that do not go together, for example.
    Over(Box<dyn std::error::Error + Send + Sync>),
}

impl BuildError {
    /// The error of a call that the system refused while a region was built.
    pub(super) fn refused(errno: Errno, wanted: RefusedCall) -> Self {
        let (RefusedCall::Reserve(bytes) | RefusedCall::MapWritable(bytes) | RefusedCall::Commit(bytes)) =
            wanted;
        Self::refused_of(errno, wanted, bytes)
    }

    /// The same where `bytes` were asked for and more was wanted of the system.
    pub(super) fn refused_of(errno: Errno, wanted: RefusedCall, bytes: usize) -> Self {
        // (Not from the global allocator: that may be what has used everything up.)
        let mut scratch = [0u8; 4096];
        let found = evidence::find(errno, wanted, &mut scratch);
        BuildError::Refused {
            bytes,
            limit: found.map(|found| (found.obstacle.name(), found.limit, found.usage)),
            kept_back: found.map_or(0, |found| found.kept_back),
            error: errno.into(),
        }
    }

    /// Regions may not have the `mapped` bytes that a reservation takes: because others have mapped so much that there
    /// is no such gap, or because all regions together have enough.
    pub(super) fn no_room(reserve: usize, mapped: usize) -> Self {
        if space::would_fit_alone(mapped) {
            let error = Self::refused_of(crate::sys::Errno::ENOMEM, RefusedCall::Reserve(mapped), reserve);
            if error.evidence().is_some() {
                return error;
            }
        }
        BuildError::AddressSpace { reserve, left: space::left() }
    }

    /// The limit that refused the call, where the system refused and that is known.
    pub(crate) fn evidence(&self) -> Option<Evidence> {
        match *self {
            BuildError::Refused { limit: Some((name, limit, usage)), kept_back, .. } => {
                Evidence::named(name, limit, usage, kept_back)
            }
            BuildError::Guard(ref error) => error.evidence(),
            _ => None,
        }
    }
}

impl From<Exhausted> for BuildError {
    fn from(Exhausted { bytes }: Exhausted) -> Self {
        BuildError::Allocator { bytes }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = self.evidence();
        let (template, first, second): (_, &dyn fmt::Display, &dyn fmt::Display) = match self {
            BuildError::ZeroReserve => ("a reserve of 0 bytes holds nothing", &"", &""),
            BuildError::Head { head, most } => {
                ("a head of {first} bytes is more than the {second} bytes that may be committed", head, most)
            }
            BuildError::Limit { limit: 0, .. } => ("a limit of 0 bytes allows nothing", &"", &""),
            BuildError::Limit { limit, reserve } => {
                ("a limit of {first} bytes is more than the reserve of {second} bytes", limit, reserve)
            }
            BuildError::Step { first: 0, .. } => ("a growth step of 0 bytes never arrives", &"", &""),
            BuildError::Step { first, max } => {
                ("a first growth step of {first} bytes is more than the largest, {second} bytes", first, max)
            }
            BuildError::AddressSpace { reserve, left } => (
                "a reserve of {first} bytes and its guards is more than the {second} bytes left of the quarter \
                 of the address space that all regions together may take",
                reserve,
                left,
            ),
            BuildError::Refused { bytes, limit: Some((name, limit, taken)), .. } => match &evidence {
                Some(evidence) => ("out of memory: {first} bytes refused by {second}", bytes, evidence),
                None => {
                    return write!(
                        f,
                        "out of memory: {bytes} bytes refused by {name}, whose limit is {limit} bytes of which \
                         {taken} are taken"
                    );
                }
            },
            BuildError::Refused { bytes, limit: None, error, .. } => {
                ("out of memory: {first} bytes refused by the system: {second}", bytes, error)
            }
            BuildError::Allocator { bytes } => {
                ("out of memory: the global allocator has no {first} bytes", bytes, &"")
            }
            BuildError::File { what, error } => ("backing file {first}: {second}", what, error),
            BuildError::Engine { asked, built } => (
                "the {first} engine is chosen when the library is built, and this one has the {second} engine; \
                 `paged` can be chosen in every build",
                asked,
                built,
            ),
            BuildError::Handler(error) => ("the SIGSEGV handler cannot be installed: {first}", error, &""),
            BuildError::Guard(error) => return error.fmt(f),
            BuildError::Over(error) => return error.fmt(f),
        };
        fill(f, template, &[("first", first), ("second", second)])
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BuildError::Refused { error, .. }
            | BuildError::File { error, .. }
            | BuildError::Handler(error) => Some(error),
            BuildError::Guard(error) => Some(error),
            BuildError::Over(error) => Some(&**error),
            _ => None,
        }
    }
}
