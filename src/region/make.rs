//! Making a region: reserve, fill a control block, register, commit the head.

use super::control::{ControlBlock, ControlBlockInit};
use super::error::BuildError;
use super::mapping::{Mapping, MappingPlan};
use super::options::{BackingSource, RegionOptions, no_guards_by_advice};
use super::policy_words::RegionPolicy;
use super::region_type::Region;
use super::{describe, pool, registry, space};
use crate::fallible;
use crate::math::page::{HUGE_PAGE, align_up_saturating};
use crate::policy::{Growth, GuardMechanism, HugePages};
#[cfg(not(highwater_portable))]
use crate::sys::Resource;
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Errno, Protection};
use core::sync::atomic::Ordering::Relaxed;
#[cfg(not(highwater_portable))]
use std::fs::File;
use std::io::ErrorKind;

impl RegionOptions {
    /// Makes the region. Installing the handler that grows it is the caller's task.
    pub(crate) fn make(mut self) -> Result<Region, BuildError> {
        // Memory is given back by this answer later, when it may not be possible to open the file.
        sys::overcommit_was_strict();
        self.validate()?;
        if let BackingSource::File(_) = self.source {
            // The file starts at the region's first byte, so there is no room for a guard before it.
            self.guard.before = 0;
        }
        let guards_by_advice = self.guards_by_advice()?;
        let (reserve, head) = self.sizes()?;
        #[cfg_attr(
            highwater_portable,
            allow(unused_mut, reason = "without a file to spill to it is not changed")
        )]
        let (mut mapping, budgeted) = self.map(self.with_room_for_guards(reserve), head)?;
        let spill = self.prepare_spill(&mut mapping).inspect_err(|_| space::release(budgeted))?;
        describe::keep();
        let control = pool::acquire().map_err(|errno| {
            space::release(budgeted);
            BuildError::refused(errno, RefusedCall::MapWritable(size_of::<ControlBlock>()))
        })?;
        let requested = reserve.min(mapping.reserved);
        control.begin(&ControlBlockInit {
            base: mapping.base,
            reserved: mapping.reserved,
            tail_end: mapping.tail_end,
            limit: self.limit.filter(|_| !self.checked).unwrap_or(mapping.reserved),
            usable: self.limit.unwrap_or(requested),
            requested_reserve: if self.checked { requested } else { mapping.reserved },
            policy: RegionPolicy {
                growth: self.growth,
                engine: self.engine,
                populate: self.max_populate(&mapping),
                headroom: self.headroom,
                guard: &self.guard,
                guards_by_advice,
            },
            file: mapping.file(),
            spill,
            name: self.name,
            role: self.role,
        });
        // From here on dropping the region undoes everything.
        let (start, len) = mapping.guarded_range();
        #[cfg_attr(
            highwater_portable,
            allow(unused_mut, reason = "there is no leak checker to register it with")
        )]
        let mut region = Region {
            control,
            mapping,
            budgeted,
            #[cfg(not(highwater_portable))]
            is_root: false,
        };
        registry::insert(start, len, control)
            .map_err(|errno| BuildError::refused(errno, RefusedCall::MapWritable(registry::CHUNK_BYTES)))?;
        #[cfg(not(highwater_portable))]
        {
            // SAFETY: a leak checker reads only what is readable; the range is unregistered before it is unmapped.
            unsafe { sys::register_root(region.as_ptr(), region.mapping.reserved) };
            region.is_root = true;
        }
        self.commit_head(&region, head)?;
        for guard in &self.guard.placed {
            control.place_guard(guard.clone()).map_err(BuildError::Guard)?;
        }
        if self.guard.mechanism == GuardMechanism::Advice && !control.has_requested_guards() {
            return Err(no_guards_by_advice());
        }
        Ok(region)
    }

    /// Commits the head of a region that was just mapped, or all of it.
    fn commit_head(&self, region: &Region, head: usize) -> Result<(), BuildError> {
        let (control, mapping) = (region.control(), &region.mapping);
        let head = if self.is_upfront() { mapping.reserved } else { head };
        if head == 0 {
            return Ok(());
        }
        let is_accessible = self.is_upfront() && mapping.file().is_none();
        if !is_accessible {
            control.commit(0, head).map_err(|errno| match mapping.file() {
                Some(_) if errno != Errno::ENOMEM => BuildError::File {
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
        Ok(())
    }

    /// The descriptor of the file to spill to, -1 for none.
    #[cfg(not(highwater_portable))]
    fn prepare_spill(&self, mapping: &mut Mapping) -> Result<i32, BuildError> {
        let Some(dir) = self.spill.as_deref().filter(|_| self.growth != Growth::Upfront) else {
            return Ok(-1);
        };
        mapping.prepare_spill(dir).map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::Unsupported => {
                    ", a file system in memory (tmpfs), where spilling would free nothing"
                }
                _ => "",
            };
            let what = fallible::text(format_args!("to spill to, in {}{reason}", dir.display()));
            BuildError::File { what, error }
        })
    }

    #[cfg(highwater_portable)]
    fn prepare_spill(&self, _mapping: &mut Mapping) -> Result<i32, BuildError> {
        Ok(-1)
    }

    /// How many bytes of a step are made present at once, at most.
    fn max_populate(&self, mapping: &Mapping) -> usize {
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

    /// Reserves `wanted` bytes, or half as much and so on; returns the bytes of the budget that it takes as well.
    fn map(&self, wanted: usize, head: usize) -> Result<(Mapping, usize), BuildError> {
        let page = sys::page_size();
        let expected = align_up_saturating(self.expected, page);
        let min = space::FLOOR.min(wanted).max(head).max(expected);
        let upfront = self.is_upfront();
        let access = if upfront { Protection::ReadWrite } else { Protection::None };
        let mut reserved = wanted;
        loop {
            // A checked arena's allocations have small pages of their own, and mappings that were advised differently
            // do not join again.
            let huge_pages = (!self.checked).then_some(self.huge_pages);
            let plan = MappingPlan { reserved, guard: &self.guard, access, huge_pages, name: self.name };
            let mapped = plan.mapped().unwrap_or(usize::MAX);
            if !space::acquire(mapped) {
                // Without room to grow, which was not asked for.
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
            space::release(mapped);
            match failed {
                MapFailure::Refused(_) | MapFailure::Error(BuildError::Refused { .. }) if reserved > min => {
                    let mut half = reserved / 2;
                    if upfront && matches!(failed, MapFailure::Refused(_)) {
                        // Not all that the kernel's overcommit limit leaves: other programs need some of it.
                        half = half.min(space::share_of_commit_limit(true));
                    }
                    reserved = (half & !(page - 1)).max(min);
                }
                MapFailure::Error(error) => return Err(error),
                // A mapping takes more than the bytes that were asked for, and that more may be what a limit does not
                // allow.
                MapFailure::Refused(errno) => {
                    let wanted =
                        if upfront { RefusedCall::MapWritable(mapped) } else { RefusedCall::Reserve(mapped) };
                    return Err(BuildError::refused_of(errno, wanted, reserved));
                }
            }
        }
    }

    fn map_once(&self, plan: &MappingPlan<'_>) -> Result<Mapping, MapFailure> {
        match &self.source {
            BackingSource::Anonymous => Mapping::anonymous(plan).map_err(MapFailure::Refused),
            #[cfg(not(highwater_portable))]
            BackingSource::Temp(dir) => Mapping::temporary_file(dir)
                .map_err(|error| {
                    BuildError::File { what: fallible::text(format_args!("in {}", dir.display())), error }
                        .into()
                })
                .and_then(|file| Self::map_file(plan, file)),
            #[cfg(not(highwater_portable))]
            BackingSource::File(file) => file
                .try_clone()
                .map_err(|error| {
                    BuildError::File { what: fallible::text(format_args!("given")), error }.into()
                })
                .and_then(|file| Self::map_file(plan, file)),
            #[cfg(highwater_portable)]
            BackingSource::Temp(dir) => {
                let what = fallible::text(format_args!("in {}", dir.display()));
                Err(BuildError::File { what, error: ErrorKind::Unsupported.into() }.into())
            }
            #[cfg(highwater_portable)]
            BackingSource::File(file) => {
                let what = fallible::text(format_args!("{file:?}"));
                Err(BuildError::File { what, error: ErrorKind::Unsupported.into() }.into())
            }
        }
    }

    #[cfg(not(highwater_portable))]
    fn map_file(plan: &MappingPlan<'_>, file: File) -> Result<Mapping, MapFailure> {
        Mapping::over_file(plan, file).map_err(|error| match error.raw_os_error().map(Errno) {
            Some(errno @ (sys::Errno::ENOMEM | sys::Errno::EAGAIN)) => MapFailure::Refused(errno),
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

/// Why a mapping could not be made.
enum MapFailure {
    /// The system refused. The cause is looked for when no smaller size is left to try.
    Refused(Errno),
    Error(BuildError),
}

impl From<BuildError> for MapFailure {
    fn from(error: BuildError) -> Self {
        MapFailure::Error(error)
    }
}
