//! Where memory may run out: the memory cgroups of this process, and the machine. What their figures say is available.

use super::cgroup::{self, Level};
use super::scratch;
use crate::fallible::{self, Exhausted};
use crate::policy::Headroom;
use crate::region::{committed_untouched, live_control_blocks};
use crate::sys::{self, PolledFile};
use core::ptr::NonNull;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// What is queried.
pub(super) struct Sources {
    levels: Vec<Level>,
    memory: Option<PolledFile>,
}

/// Made once and never given back. Not a `OnceLock`: in a child that was forked while another thread made it, nobody
/// would ever finish that.
static SOURCES: AtomicPtr<Sources> = AtomicPtr::new(core::ptr::null_mut());

/// The machine itself, among the places that memory may run out in.
pub(super) const SYSTEM: u16 = u16::MAX - 1;
/// What is left free: a 64th of the limit, at least and at most so much.
const MIN_MARGIN: u64 = 2 << 20;
pub(super) const MAX_MARGIN: u64 = 64 << 20;

/// Finds out what to query; the first region does so. Outside of any signal.
pub(crate) fn prepare() -> Result<(), Exhausted> {
    if get().is_some() {
        return Ok(());
    }
    // (Without it a child may be refused what there is, and that is all.)
    #[cfg(not(highwater_portable))]
    let _ = sys::on_fork_in_child(super::grants::in_child);
    let memory = fallible::c_string(&[b"/proc/meminfo"])?.and_then(PolledFile::open);
    let made = Box::into_raw(fallible::boxed(Sources { levels: cgroup::levels()?, memory })?);
    if SOURCES.compare_exchange(core::ptr::null_mut(), made, AcqRel, Acquire).is_err() {
        // SAFETY: nobody has seen it.
        drop(unsafe { Box::from_raw(made) });
    }
    Ok(())
}

pub(super) fn get() -> Option<&'static Sources> {
    // SAFETY: what is published was leaked.
    NonNull::new(SOURCES.load(Acquire)).map(|sources| unsafe { sources.as_ref() })
}

/// The path of a cgroup that a refusal named.
pub(super) fn cgroup_path(place: u16) -> &'static str {
    get().and_then(|sources| sources.levels.get(usize::from(place))).map_or("", |level| level.path.as_str())
}

/// A memory cgroup, as it stands. Sizes are bytes.
pub(crate) struct Cgroup {
    pub(crate) path: &'static str,
    pub(crate) usage: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) reclaimable: u64,
    /// How often its limit was met.
    pub(crate) failures: Option<u64>,
}

/// The memory cgroups of this process, its own first. Signal-safe.
pub(crate) fn each_cgroup(mut tell: impl FnMut(Cgroup)) {
    let Some(sources) = get() else { return };
    for level in &sources.levels {
        // Given back before the facts are told: whoever is told may want it.
        let cgroup = scratch::borrow().and_then(|mut scratch| {
            let (limit, usage) = (level.limit(&mut *scratch), level.usage(&mut *scratch)?);
            let reclaimable = level.reclaimable(&mut *scratch).map_or(0, |figures| figures.in_all());
            let failures = level.failures(&mut *scratch);
            Some(Cgroup { path: &level.path, usage, limit, reclaimable, failures })
        });
        cgroup.into_iter().for_each(&mut tell);
    }
}

/// What is left free, and whether by somebody who can spill.
#[derive(Clone, Copy)]
pub(super) struct Policy {
    pub(super) headroom: Headroom,
    pub(super) spills: bool,
}

impl Policy {
    pub(super) fn is_off(self) -> bool {
        self.headroom == Headroom::Off
    }

    pub(super) fn is_auto(self) -> bool {
        self.headroom == Headroom::Auto && !self.spills
    }

    /// What is left free at a place beyond the usual.
    pub(super) fn beyond_auto(self, at: &Availability) -> i64 {
        at.margin(self).saturating_sub_unsigned(at.auto_margin()).max(0)
    }

    /// What is left to the cache of a file that is spilled to: a quarter of the limit, and in a small cgroup a half. Where all
    /// that it has is being written, the kernel does not wait long before it kills.
    fn file_cache(limit: u64) -> u64 {
        const MIN: u64 = 8 << 20;
        (limit / 4).max(MIN.min(limit / 2))
    }

    /// The bytes that stay free at a place with this limit (none for the machine), where `auto` is the usual.
    pub(super) fn margin(self, auto: u64, limit: u64) -> i64 {
        let bytes = match self.headroom {
            Headroom::AtLeast(bytes) => bytes as u64,
            Headroom::Auto | Headroom::Off => auto,
        };
        let bytes = if self.spills { bytes.max(Self::file_cache(limit)) } else { bytes };
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }
}

/// What there is at one place.
#[derive(Clone, Copy)]
pub(super) struct Availability {
    pub(super) place: u16,
    pub(super) limit: u64,
    /// What is in use, or on its way, and cannot be had back.
    pub(super) usage: u64,
    /// What is counted as in use and can be had back once it is written to its file.
    pub(super) dirty: u64,
    /// The part of that which is being written.
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

    pub(super) fn margin(&self, policy: Policy) -> i64 {
        policy.margin(self.auto_margin(), self.spill_limit())
    }

    /// Bytes that may be committed at once.
    pub(super) fn spare(&self, policy: Policy) -> i64 {
        self.left().saturating_sub(self.margin(policy))
    }

    /// Bytes that may be committed when the kernel has written out what it can.
    pub(super) fn spare_in_time(&self, policy: Policy) -> i64 {
        self.spare(policy).saturating_add_unsigned(self.dirty)
    }
}

/// The tightest places.
#[derive(Clone, Copy)]
pub(super) struct Outlook {
    /// Where there is the least at once.
    pub(super) now: Availability,
    /// Where there is the least in time.
    pub(super) in_time: Availability,
    /// What the regions have committed and not touched, if that was asked.
    pub(super) untouched: Option<Untouched>,
}

/// What the regions have committed and not touched.
#[derive(Clone, Copy, Default)]
pub(super) struct Untouched {
    pub(super) bytes: u64,
    /// The part that nobody has asked for: the rest of steps.
    pub(super) ahead: u64,
    /// How many regions have some.
    pub(super) regions: u32,
}

impl Sources {
    /// Queries every place: by the cheap figures if those have `enough` to spare, for certain otherwise. `in_flight` is
    /// what other threads are committing: it is in neither figure yet.
    pub(super) fn query(&self, policy: Policy, enough: i64, in_flight: u64, buffer: &mut [u8]) -> Outlook {
        // As if nothing that is committed had been touched, and nothing could be reclaimed.
        let all = committed_untouched().saturating_add(in_flight);
        let cheap = self.tightest(policy, enough, all, false, buffer);
        if cheap.now.spare(policy) >= enough {
            return cheap;
        }
        let untouched = self.untouched(buffer);
        let pending = untouched.bytes.saturating_add(in_flight);
        Outlook { untouched: Some(untouched), ..self.tightest(policy, enough, pending, true, buffer) }
    }

    /// Whether the cheap figures leave room for so many bytes, without a buffer.
    pub(super) fn has_plenty(&self, policy: Policy, bytes: i64, pending: u64) -> bool {
        let mut text = [0u8; 64];
        let levels = self.levels.iter().filter_map(|level| {
            let limit = level.limit(&mut text)?;
            Some((limit, (limit as i64).saturating_sub(level.usage(&mut text)? as i64)))
        });
        let system = sys::free_memory().map_or((0, 0), |free| (0, free as i64));
        levels.chain([system]).all(|(limit, left)| {
            let margin = policy.margin(MAX_MARGIN, limit);
            left.saturating_sub(pending as i64) >= bytes.saturating_add(margin)
        })
    }

    /// The places with the least left, with `pending` bytes on their way.
    fn tightest(
        &self,
        policy: Policy,
        enough: i64,
        pending: u64,
        certain: bool,
        buffer: &mut [u8],
    ) -> Outlook {
        let system = self.system(policy, enough, pending, buffer);
        let mut outlook = Outlook { now: system, in_time: system, untouched: None };
        for (place, level) in self.levels.iter().enumerate() {
            let Some((limit, usage)) = level.limit(buffer).zip(level.usage(buffer)) else { continue };
            let had_back = if certain { level.reclaimable(buffer) } else { Some(Default::default()) };
            let (Some(had_back), Ok(place)) = (had_back, u16::try_from(place)) else { continue };
            let usage = usage.saturating_sub(had_back.in_all()).saturating_add(had_back.dirty);
            let this = Availability {
                place,
                limit,
                usage: usage.saturating_add(pending),
                dirty: had_back.dirty,
                writeback: had_back.writeback,
            };
            // What counts is what each place has beyond its own margin.
            if this.spare(policy) <= outlook.now.spare(policy) {
                outlook.now = this;
            }
            if this.spare_in_time(policy) <= outlook.in_time.spare_in_time(policy) {
                outlook.in_time = this;
            }
        }
        outlook
    }

    /// The machine's memory: what is free, if that is plenty, and what is available otherwise. (What is available
    /// includes what can be written out.)
    fn system(&self, policy: Policy, enough: i64, pending: u64, buffer: &mut [u8]) -> Availability {
        let total = sys::physical_memory() as u64;
        let found = |free: u64| {
            let limit = total.max(free);
            let usage = limit.saturating_sub(free).saturating_add(pending);
            Availability { place: SYSTEM, limit, usage, dirty: 0, writeback: 0 }
        };
        if let Some(free) = sys::free_memory()
            && found(free).spare(policy) >= enough
        {
            return found(free);
        }
        let available = self.memory.as_ref().and_then(|memory| {
            let info = sys::MemInfo::parse(memory.read(buffer)?)?;
            Some(info.available?.saturating_add(info.swap_free))
        });
        // What cannot be asked does not refuse.
        found(available.unwrap_or(i64::MAX as u64))
    }

    /// The bytes of all regions that are committed and not present.
    fn untouched(&self, buffer: &mut [u8]) -> Untouched {
        let page = sys::page_size();
        let mut untouched = Untouched::default();
        let mut seen_in_all = 0u64;
        for control in live_control_blocks().filter(|control| !control.needs_no_headroom()) {
            let (trims, id) = (control.trims.load(Acquire), control.id.load(Acquire));
            let (seen, whole) = (control.resident.load(Relaxed), control.resident_prefix.load(Relaxed));
            let frontier = control.in_memory(control.frontier.get());
            // The beginning that is present as a whole stays so; only what is behind it is asked for again.
            let begin = whole.min(frontier);
            // SAFETY: a live region's own range. (One that is dropped meanwhile makes the call fail, or count
            // somebody else's pages once.)
            let present = unsafe {
                sys::resident_pages(
                    control.base().wrapping_add(begin),
                    frontier.saturating_sub(begin),
                    buffer,
                )
            };
            let present = begin.saturating_add(present.saturating_mul(page)).min(frontier);
            let absent = frontier.saturating_sub(present);
            let ahead = absent.min(frontier.saturating_sub(control.needed_end.load(Relaxed)));
            untouched.ahead = untouched.ahead.saturating_add(ahead as u64);
            untouched.regions = untouched.regions.saturating_add(u32::from(absent > 0));
            // Not if memory was given back meanwhile, or the block is another region's.
            if control.trims.load(Acquire) == trims && control.id.load(Acquire) == id {
                if present == frontier {
                    let _ = control.resident_prefix.compare_exchange(whole, frontier, Relaxed, Relaxed);
                }
                let _ = control.resident.compare_exchange(seen, present, Relaxed, Relaxed);
                seen_in_all = seen_in_all.saturating_add(present as u64);
            }
        }
        let unseen = committed_untouched();
        // A page that was only read is present and charged to nobody: no more can have been written than the process
        // has.
        let only_read =
            sys::resident_anonymous_bytes().map_or(0, |resident| seen_in_all.saturating_sub(resident));
        Untouched { bytes: unseen.saturating_add(only_read), ..untouched }
    }
}
