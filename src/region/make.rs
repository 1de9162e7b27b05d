//! From what was asked for to a region.

use super::mapping::{Mapping, Plan};
use super::slot::{self, Init, NAME_BYTES};
use super::{GuardError, Region};
use super::{registry, space};
use crate::math::page::{HUGE_PAGE, KIB, align_up_saturating};
use crate::policy::{Growth, GuardMechanism, GuardPolicy, Headroom, HugePages, Reserve};
use crate::sys::{self, Access, Errno, Limit};
use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use std::fs::File;
use std::path::PathBuf;

/// The head when none is asked for, in bytes.
const DEFAULT_HEAD: usize = 64 * KIB;

/// All that can be asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) name: String,
    pub(crate) reserve: Reserve,
    /// The bytes that a default reservation has to hold, and with room to grow if there is address space for that.
    pub(crate) expected: usize,
    pub(crate) head: Option<usize>,
    pub(crate) growth: Growth,
    pub(crate) populate: Option<bool>,
    pub(crate) huge_pages: HugePages,
    pub(crate) guard: GuardPolicy,
    pub(crate) limit: Option<usize>,
    pub(crate) source: Source,
    pub(crate) headroom: Headroom,
    /// Where to go on when memory runs out.
    pub(crate) spill: Option<PathBuf>,
    /// For a checked arena, whose allocations have guards between them.
    pub(crate) checked: bool,
}

/// Where the bytes are to come from.
#[derive(Debug, Default)]
pub(crate) enum Source {
    #[default]
    Anonymous,
    Temp(PathBuf),
    File(File),
}

impl Region {
    /// Makes a region that nobody's faults grow yet: installing the handler is the caller's business.
    pub(crate) fn make(options: Options) -> Result<Self, BuildError> {
        options.make()
    }
}

impl Options {
    fn make(mut self) -> Result<Region, BuildError> {
        let page = sys::page_size();
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
        if let Source::File(_) = self.source {
            // The file starts at the region's first byte, so there is no room for a guard before it.
            self.guard.before = 0;
        }
        let by_advice = match self.guard.mechanism {
            GuardMechanism::Auto => sys::has_guards(),
            GuardMechanism::Advice if !sys::has_guards() => {
                return Err(BuildError::Guard(GuardError::NoMechanism(self.guard.mechanism)));
            }
            GuardMechanism::Advice => true,
            GuardMechanism::Protect => false,
        };
        let upfront = self.growth == Growth::Upfront && !self.checked;
        let default_head = if matches!(self.growth, Growth::Stress { .. }) { page } else { DEFAULT_HEAD };
        let wanted =
            space::wanted(self.reserve, self.head.unwrap_or(0).max(self.limit.unwrap_or(0)), self.expected);
        let most = self.limit.map_or(wanted, |limit| align_up_saturating(limit, page).min(wanted));
        let head = match self.head {
            Some(head) if head > space::left() && self.reserve == Reserve::Default => {
                return Err(BuildError::AddressSpace { reserve: head, left: space::left() });
            }
            Some(head) if head > most => return Err(BuildError::Head { head, most }),
            Some(head) => align_up_saturating(head, page).min(most),
            None if upfront => 0,
            None => default_head.min(most),
        };
        let spills = self.spill.is_some();
        if spills && (self.checked || !sys::PROTECTS || !matches!(self.source, Source::Anonymous)) {
            let error = std::io::Error::from(std::io::ErrorKind::Unsupported);
            let what =
                "to spill to, for a checked arena, one in a file, or where memory cannot be mapped".into();
            return Err(BuildError::File { what, error });
        }
        #[cfg_attr(highwater_portable, allow(unused_mut, reason = "nothing spills there"))]
        let (mut mapping, taken) = self.map(self.with_room_for_guards(wanted), head)?;
        let spill = self.prepare_spill(&mut mapping).inspect_err(|_| space::give(taken))?;
        let asked = wanted.min(mapping.reserved);
        let populate = self.populated(&mapping);
        // One line of a report stays one line, and a terminal is told nothing.
        let mut name = self.name.replace(char::is_control, "_");
        name.truncate(name.floor_char_boundary(NAME_BYTES));
        let slot = match slot::acquire() {
            Ok(slot) => slot,
            Err(errno) => {
                space::give(taken);
                return Err(BuildError::from_errno(errno, size_of::<slot::Slot>()));
            }
        };
        slot.begin(Init {
            base: mapping.base,
            reserved: mapping.reserved,
            tail_end: mapping.tail_end,
            limit: self.limit.filter(|_| !self.checked).unwrap_or(mapping.reserved),
            usable: self.limit.unwrap_or(asked),
            asked: if self.checked { asked } else { mapping.reserved },
            growth: self.growth,
            populate,
            file: mapping.file(),
            guard: &self.guard,
            by_advice,
            headroom: self.headroom,
            spill,
            name: &name,
        });
        // From here on dropping the region undoes everything.
        let (start, len) = mapping.territory();
        let region = Region { slot, mapping, taken };
        registry::insert(start, len, slot).map_err(|errno| BuildError::from_errno(errno, len))?;
        let head = if upfront { region.mapping.reserved } else { head };
        if head > 0 {
            let anonymous_upfront = upfront && region.mapping.file().is_none();
            if !anonymous_upfront {
                slot.make_accessible(0, head).map_err(|errno| match region.mapping.file() {
                    Some(_) if errno != sys::NO_MEMORY => BuildError::File {
                        what: format!("cannot be extended by {head} bytes"),
                        error: errno.into(),
                    },
                    _ => BuildError::from_errno(errno, head),
                })?;
            }
            slot.set_committed(head);
            slot.border.reset(head);
            slot.counters.peak.store(head, Relaxed);
            slot.head.store(head, Relaxed);
        }
        for guard in &self.guard.placed {
            slot.place_guard(guard.clone()).map_err(BuildError::Guard)?;
        }
        Ok(region)
    }

    /// The descriptor of the file to spill to, -1 for none.
    #[cfg(not(highwater_portable))]
    fn prepare_spill(&self, mapping: &mut Mapping) -> Result<i32, BuildError> {
        let Some(dir) = self.spill.as_deref().filter(|_| self.growth != Growth::Upfront) else {
            return Ok(-1);
        };
        mapping.prepare_spill(dir).map_err(|error| {
            let what = format!("to spill to, in {}", dir.display());
            BuildError::File { what, error }
        })
    }

    #[cfg(highwater_portable)]
    fn prepare_spill(&self, _mapping: &mut Mapping) -> Result<i32, BuildError> {
        Ok(-1)
    }

    /// What is reserved so that `wanted` bytes can be allocated: a checked arena's small allocations take two
    /// pages each, and those that were given up keep their addresses for a while.
    fn with_room_for_guards(&self, wanted: usize) -> usize {
        if !self.checked || !sys::PROTECTS || self.reserve == Reserve::Default {
            return wanted;
        }
        let room = wanted.saturating_mul(1024).min(sys::DEFAULT_RESERVE).min(space::left() / 256);
        wanted.saturating_add(align_up_saturating(room, sys::page_size()))
    }

    /// How many bytes of a step are made present at once, at most.
    fn populated(&self, mapping: &Mapping) -> usize {
        match self.populate {
            Some(true) => usize::MAX,
            None if self.growth.populates() => {
                let huge = self.huge_pages == HugePages::Advise
                    && mapping.reserved >= HUGE_PAGE
                    && mapping.file().is_none()
                    && sys::huge_pages_on_advice();
                if huge { Growth::POPULATED_HUGE } else { usize::MAX }
            }
            _ => 0,
        }
    }

    /// Reserves `wanted` bytes, or half as much and so on; what was taken of the budget comes with it.
    fn map(&self, wanted: usize, head: usize) -> Result<(Mapping, usize), BuildError> {
        let page = sys::page_size();
        let expected = align_up_saturating(self.expected, page);
        let min = space::FLOOR.min(wanted).max(head).max(expected);
        let upfront = self.growth == Growth::Upfront && !self.checked;
        let access = if upfront { Access::ReadWrite } else { Access::None };
        let mut reserved = wanted;
        loop {
            // A checked arena's allocations have small pages of their own, and mappings that were advised differently
            // do not join again.
            let huge_pages = (!self.checked).then_some(self.huge_pages);
            let plan = Plan { reserved, guard: &self.guard, access, huge_pages, name: &self.name };
            let mapped = plan.mapped().unwrap_or(usize::MAX);
            if !space::take(mapped) {
                // The room to grow is what nobody asked for.
                if (1..reserved).contains(&expected) {
                    reserved = min.min(wanted);
                    continue;
                }
                return Err(BuildError::AddressSpace { reserve: reserved, left: space::left() });
            }
            let refused = match self.map_once(&plan) {
                Ok(mapping) => return Ok((mapping, mapped)),
                Err(error) => error,
            };
            space::give(mapped);
            match refused {
                BuildError::Refused { .. } if reserved > min => {
                    reserved = ((reserved / 2) & !(page - 1)).max(min);
                }
                error => return Err(error),
            }
        }
    }

    fn map_once(&self, plan: &Plan<'_>) -> Result<Mapping, BuildError> {
        match &self.source {
            Source::Anonymous => {
                Mapping::anonymous(plan).map_err(|errno| BuildError::from_mapping(errno, plan))
            }
            #[cfg(not(highwater_portable))]
            Source::Temp(dir) => Mapping::temporary_file(dir)
                .map_err(|error| BuildError::File { what: format!("in {}", dir.display()), error })
                .and_then(|file| Self::map_file(plan, file)),
            #[cfg(not(highwater_portable))]
            Source::File(file) => file
                .try_clone()
                .map_err(|error| BuildError::File { what: "given".into(), error })
                .and_then(|file| Self::map_file(plan, file)),
            #[cfg(highwater_portable)]
            Source::Temp(dir) => {
                let (what, error) = (format!("in {}", dir.display()), std::io::ErrorKind::Unsupported.into());
                Err(BuildError::File { what, error })
            }
            #[cfg(highwater_portable)]
            Source::File(file) => {
                let (what, error) = (format!("{file:?}"), std::io::ErrorKind::Unsupported.into());
                Err(BuildError::File { what, error })
            }
        }
    }

    #[cfg(not(highwater_portable))]
    fn map_file(plan: &Plan<'_>, file: File) -> Result<Mapping, BuildError> {
        Mapping::over_file(plan, file).map_err(|error| match error.raw_os_error() {
            Some(errno) if Errno(errno) == sys::NO_MEMORY => {
                BuildError::from_errno(Errno(errno), plan.reserved)
            }
            // A shorter file may be allowed: this is a refusal like any other.
            _ if error.kind() == std::io::ErrorKind::FileTooLarge => BuildError::Refused {
                bytes: plan.reserved,
                limit: sys::resource_limit(Limit::FileSize).map(|limit| ("RLIMIT_FSIZE", limit, 0)),
                error,
            },
            _ => BuildError::File { what: format!("of {} bytes", plan.reserved), error },
        })
    }
}

/// Why a region could not be made. Its text is one line and names the value or the limit.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A reserve of no bytes.
    ZeroReserve,
    /// A head of more bytes than the reserve or the byte limit allows.
    Head {
        /// The head asked for, in bytes.
        head: usize,
        /// The most it could be, in bytes.
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
    /// All regions together may take a quarter of the address space, and this one does not fit.
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
        /// The resource limit that stood in the way, its bytes, and what the process had of it.
        limit: Option<(&'static str, u64, u64)>,
        /// The system's error.
        error: std::io::Error,
    },
    /// A backing file cannot be had or cannot be used.
    File {
        /// Which.
        what: String,
        /// The system's error.
        error: std::io::Error,
    },
    /// A guard cannot be placed where it was asked for, or not that way.
    Guard(GuardError),
    /// The SIGSEGV handler cannot be installed.
    Handler(std::io::Error),
    /// What was to stand on the region cannot be made: a heap with options that do not go together, for example.
    Over(Box<dyn std::error::Error + Send + Sync>),
}

impl BuildError {
    /// A mapping that was refused: it takes more than the bytes that were asked for, and that more may be
    /// what a limit does not allow.
    fn from_mapping(errno: Errno, plan: &Plan<'_>) -> Self {
        match Self::from_errno(errno, plan.mapped().unwrap_or(usize::MAX)) {
            BuildError::Refused { limit, error, .. } => {
                BuildError::Refused { bytes: plan.reserved, limit, error }
            }
            other => other,
        }
    }

    fn from_errno(errno: Errno, bytes: usize) -> Self {
        let limits: &[_] = match errno {
            sys::NO_MEMORY => &[("RLIMIT_AS", Limit::AddressSpace), ("RLIMIT_DATA", Limit::Data)],
            sys::TRY_AGAIN => &[("RLIMIT_MEMLOCK", Limit::Locked)],
            _ => &[],
        };
        let in_the_way = |&(name, resource): &(&'static str, Limit)| {
            sys::limit_in_the_way(resource, bytes).map(|(limit, size)| (name, limit, size))
        };
        let limit = limits.iter().find_map(in_the_way);
        BuildError::Refused { bytes, limit, error: errno.into() }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::ZeroReserve => f.write_str("a reserve of 0 bytes holds nothing"),
            BuildError::Head { head, most } => {
                write!(f, "a head of {head} bytes is more than the {most} bytes that may be committed")
            }
            BuildError::Limit { limit: 0, .. } => f.write_str("a limit of 0 bytes allows nothing"),
            BuildError::Limit { limit, reserve } => {
                write!(f, "a limit of {limit} bytes is more than the reserve of {reserve} bytes")
            }
            BuildError::Step { first: 0, .. } => f.write_str("a growth step of 0 bytes never arrives"),
            BuildError::Step { first, max } => {
                write!(f, "a first growth step of {first} bytes is more than the largest, {max} bytes")
            }
            BuildError::AddressSpace { reserve, left } => write!(
                f,
                "a reserve of {reserve} bytes and its guards is more than the {left} bytes left of the quarter \
                 of the address space that all regions together may take"
            ),
            BuildError::Refused { bytes, limit: Some((name, limit, size)), .. } => write!(
                f,
                "out of memory: {bytes} bytes refused by {name}, whose limit is {limit} bytes of which {size} are taken"
            ),
            BuildError::Refused { bytes, limit: None, error } => {
                write!(f, "out of memory: {bytes} bytes refused by the system: {error}")
            }
            BuildError::File { what, error } => write!(f, "backing file {what}: {error}"),
            BuildError::Guard(error) => error.fmt(f),
            BuildError::Handler(error) => write!(f, "the SIGSEGV handler cannot be installed: {error}"),
            BuildError::Over(error) => error.fmt(f),
        }
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
