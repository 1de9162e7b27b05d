//! From what was asked for to a region.

use super::control::{self, Init};
use super::mapping::{Mapping, Plan};
use super::name::Name;
use super::role::Role;
use super::{BuildError, GuardError, Region};
use super::{registry, space};
use crate::fallible;
use crate::math::page::{HUGE_PAGE, KIB, align_down, align_up_saturating};
use crate::policy::{Growth, GuardMechanism, GuardPolicy, Headroom, HugePages, RegionEngine, Reserve};
#[cfg(not(highwater_portable))]
use crate::sys::Resource;
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Errno, Protection};
use core::sync::atomic::Ordering::Relaxed;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The head when none is asked for, in bytes.
const DEFAULT_HEAD: usize = 64 * KIB;

/// All that can be asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) name: Name,
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
    pub(crate) source: Source,
    pub(crate) headroom: Headroom,
    /// Where to go on when memory runs out.
    pub(crate) spill: Option<PathBuf>,
    /// For a checked arena, whose allocations have guards between them.
    pub(crate) checked: bool,
    pub(crate) engine: RegionEngine,
    /// The maximum of a region that is accessible as a whole.
    pub(crate) max_accessible: Option<usize>,
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
        // Whoever gives memory back later goes by this answer: there may be no files to open then.
        sys::overcommit_was_strict();
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
            GuardMechanism::Auto => sys::supports_guards(),
            GuardMechanism::Advice if !sys::supports_guards() => return Err(no_mechanism()),
            GuardMechanism::Advice => true,
            GuardMechanism::Protect => false,
        };
        let upfront = self.growth == Growth::Upfront && !self.checked;
        let default_head = if matches!(self.growth, Growth::Stress { .. }) { page } else { DEFAULT_HEAD };
        let least = self.head.unwrap_or(0).max(self.limit.unwrap_or(0));
        let is_accessible = upfront && matches!(self.source, Source::Anonymous);
        let wanted = space::wanted(self.reserve, least, self.expected, is_accessible);
        // What is accessible from the start is all that admission is asked about, so the reservation ends there.
        let wanted = match self.max_accessible.filter(|_| upfront) {
            Some(bytes) => wanted.min(align_down(bytes, page).max(self.head.unwrap_or(DEFAULT_HEAD))),
            None => wanted,
        };
        let most = self.limit.map_or(wanted, |limit| align_up_saturating(limit, page).min(wanted));
        let head = match self.head {
            Some(head) if head > space::left() && self.reserve == Reserve::Default => {
                return Err(BuildError::no_room(head, head));
            }
            Some(head) if head > most => return Err(BuildError::Head { head, most }),
            Some(head) => align_up_saturating(head, page).min(most),
            None if upfront => 0,
            None => default_head.min(most),
        };
        let spills = self.spill.is_some();
        if spills && (self.checked || !sys::HAS_PROTECTION || !matches!(self.source, Source::Anonymous)) {
            let error = std::io::Error::from(ErrorKind::Unsupported);
            let what = fallible::text(format_args!(
                "to spill to, for a checked arena, one in a file, or where memory cannot be mapped"
            ));
            return Err(BuildError::File { what, error });
        }
        #[cfg_attr(highwater_portable, allow(unused_mut, reason = "nothing spills there"))]
        let (mut mapping, taken) = self.map(self.with_room_for_guards(wanted), head)?;
        let spill = self.prepare_spill(&mut mapping).inspect_err(|_| space::give(taken))?;
        let asked = wanted.min(mapping.reserved);
        let populate = self.populated(&mapping);
        let control = match control::acquire() {
            Ok(control) => control,
            Err(errno) => {
                space::give(taken);
                return Err(BuildError::refused(
                    errno,
                    RefusedCall::MapWritable(size_of::<control::ControlBlock>()),
                ));
            }
        };
        control.begin(Init {
            base: mapping.base,
            reserved: mapping.reserved,
            tail_end: mapping.tail_end,
            limit: self.limit.filter(|_| !self.checked).unwrap_or(mapping.reserved),
            usable: self.limit.unwrap_or(asked),
            requested_reserve: if self.checked { asked } else { mapping.reserved },
            growth: self.growth,
            engine: self.engine,
            populate,
            file: mapping.file(),
            guard: &self.guard,
            by_advice,
            headroom: self.headroom,
            spill,
            name: self.name,
            role: self.role,
        });
        // From here on dropping the region undoes everything.
        let (start, len) = mapping.guarded_range();
        #[cfg_attr(highwater_portable, allow(unused_mut, reason = "no leak checker is told of it there"))]
        let mut region = Region {
            control,
            mapping,
            taken,
            #[cfg(not(highwater_portable))]
            is_root: false,
        };
        registry::insert(start, len, control)
            .map_err(|errno| BuildError::refused(errno, RefusedCall::MapWritable(registry::CHUNK_BYTES)))?;
        #[cfg(not(highwater_portable))]
        {
            // SAFETY: what is readable in a region may be read; it is unregistered before it is unmapped.
            unsafe { sys::register_root(region.as_ptr(), region.mapping.reserved) };
            region.is_root = true;
        }
        let head = if upfront { region.mapping.reserved } else { head };
        if head > 0 {
            let anonymous_upfront = upfront && region.mapping.file().is_none();
            if !anonymous_upfront {
                control.make_accessible(0, head).map_err(|errno| match region.mapping.file() {
                    Some(_) if errno != sys::Errno::ENOMEM => BuildError::File {
                        what: fallible::text(format_args!("cannot be extended by {head} bytes")),
                        error: errno.into(),
                    },
                    _ => BuildError::refused(errno, RefusedCall::Commit(head)),
                })?;
            }
            control.set_committed(head);
            control.border.reset(head);
            control.counters.peak.store(head, Relaxed);
            control.head.store(head, Relaxed);
        }
        for guard in &self.guard.placed {
            control.place_guard(guard.clone()).map_err(BuildError::Guard)?;
        }
        if self.guard.mechanism == GuardMechanism::Advice && !control.guards_as_asked() {
            return Err(no_mechanism());
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
            let why = match error.kind() {
                ErrorKind::Unsupported => {
                    ", a file system in memory (tmpfs), where spilling would free nothing"
                }
                _ => "",
            };
            let what = fallible::text(format_args!("to spill to, in {}{why}", dir.display()));
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
        if !self.checked || !sys::HAS_PROTECTION || self.reserve == Reserve::Default {
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
        let access = if upfront { Protection::ReadWrite } else { Protection::None };
        let mut reserved = wanted;
        loop {
            // A checked arena's allocations have small pages of their own, and mappings that were advised differently
            // do not join again.
            let huge_pages = (!self.checked).then_some(self.huge_pages);
            let plan = Plan { reserved, guard: &self.guard, access, huge_pages, name: self.name };
            let mapped = plan.mapped().unwrap_or(usize::MAX);
            if !space::take(mapped) {
                // The room to grow is what nobody asked for.
                if expected > 0 && reserved > min {
                    reserved = min;
                    continue;
                }
                return Err(BuildError::no_room(reserved, mapped));
            }
            let failed = match self.map_once(&plan) {
                Ok(mapping) => return Ok((mapping, mapped)),
                Err(failed) => failed,
            };
            space::give(mapped);
            match failed {
                Failed::Refused(_) | Failed::Error(BuildError::Refused { .. }) if reserved > min => {
                    let mut half = reserved / 2;
                    if upfront && matches!(failed, Failed::Refused(_)) {
                        // Not all that the kernel still promises: others want some of it.
                        half = half.min(space::share_of_commit_limit(true));
                    }
                    reserved = (half & !(page - 1)).max(min);
                }
                Failed::Error(error) => return Err(error),
                // A mapping takes more than the bytes that were asked for, and that more may be what a limit does not
                // allow.
                Failed::Refused(errno) => {
                    let wanted =
                        if upfront { RefusedCall::MapWritable(mapped) } else { RefusedCall::Reserve(mapped) };
                    return Err(BuildError::refused_of(errno, wanted, reserved));
                }
            }
        }
    }

    fn map_once(&self, plan: &Plan<'_>) -> Result<Mapping, Failed> {
        match &self.source {
            Source::Anonymous => Mapping::anonymous(plan).map_err(Failed::Refused),
            #[cfg(not(highwater_portable))]
            Source::Temp(dir) => Mapping::temporary_file(dir)
                .map_err(|error| {
                    BuildError::File { what: fallible::text(format_args!("in {}", dir.display())), error }
                        .into()
                })
                .and_then(|file| Self::map_file(plan, file)),
            #[cfg(not(highwater_portable))]
            Source::File(file) => file
                .try_clone()
                .map_err(|error| {
                    BuildError::File { what: fallible::text(format_args!("given")), error }.into()
                })
                .and_then(|file| Self::map_file(plan, file)),
            #[cfg(highwater_portable)]
            Source::Temp(dir) => {
                let what = fallible::text(format_args!("in {}", dir.display()));
                Err(BuildError::File { what, error: ErrorKind::Unsupported.into() }.into())
            }
            #[cfg(highwater_portable)]
            Source::File(file) => {
                let what = fallible::text(format_args!("{file:?}"));
                Err(BuildError::File { what, error: ErrorKind::Unsupported.into() }.into())
            }
        }
    }

    #[cfg(not(highwater_portable))]
    fn map_file(plan: &Plan<'_>, file: File) -> Result<Mapping, Failed> {
        Mapping::over_file(plan, file).map_err(|error| match error.raw_os_error().map(Errno) {
            Some(errno @ (sys::Errno::ENOMEM | sys::Errno::EAGAIN)) => Failed::Refused(errno),
            // A shorter file may be allowed: this is a refusal like any other.
            _ if error.kind() == ErrorKind::FileTooLarge => {
                let limit = sys::resource_limit(Resource::FileSize).map(|limit| ("RLIMIT_FSIZE", limit, 0));
                BuildError::Refused { bytes: plan.reserved, limit, kept_back: 0, error }.into()
            }
            _ => BuildError::File { what: fallible::text(format_args!("of {} bytes", plan.reserved)), error }
                .into(),
        })
    }
}

fn no_mechanism() -> BuildError {
    BuildError::Guard(GuardError::NoMechanism(GuardMechanism::Advice))
}

/// Why a mapping could not be made.
enum Failed {
    /// The system refused. Why is found out when nothing less is tried any more.
    Refused(Errno),
    Error(BuildError),
}

impl From<BuildError> for Failed {
    fn from(error: BuildError) -> Self {
        Failed::Error(error)
    }
}
