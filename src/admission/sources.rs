//! The sources of truth about memory: the memory cgroups of this process, and the machine.

use super::availability::{Availability, HeadroomPolicy, MAX_MARGIN, SYSTEM, TightestPlaces, Untouched};
use super::cgroup::{self, CgroupLevel};
use super::scratch;
use crate::fallible::{self, Exhausted};
use crate::region::{committed_untouched, live_control_blocks};
use crate::sys::{self, PolledFile};
use core::ptr::NonNull;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// The files that are queried.
pub(super) struct Sources {
    levels: Vec<CgroupLevel>,
    memory: Option<PolledFile>,
}

/// Made once and never freed. Not a `OnceLock`: in a child that was forked while another thread made it, it would never be
/// finished.
static SOURCES: AtomicPtr<Sources> = AtomicPtr::new(core::ptr::null_mut());

/// Finds the cgroups and opens their files; the first region does so. Not signal-safe.
pub(crate) fn prepare() -> Result<(), Exhausted> {
    if get().is_some() {
        return Ok(());
    }
    // (Where this fails, a forked child may be refused memory that there is, and nothing worse happens.)
    #[cfg(not(highwater_portable))]
    let _ = sys::on_fork_in_child(super::grants::in_child);
    let memory = fallible::c_string(&[b"/proc/meminfo"])?.and_then(PolledFile::open);
    let made = Box::into_raw(fallible::boxed(Sources { levels: cgroup::levels()?, memory })?);
    if SOURCES.compare_exchange(core::ptr::null_mut(), made, AcqRel, Acquire).is_err() {
        // SAFETY: the box was not published, so this is its only pointer.
        drop(unsafe { Box::from_raw(made) });
    }
    Ok(())
}

pub(super) fn get() -> Option<&'static Sources> {
    // SAFETY: the pointer is null or that of a box that was leaked when it was published.
    NonNull::new(SOURCES.load(Acquire)).map(|sources| unsafe { sources.as_ref() })
}

/// The path of a cgroup that a refusal named.
pub(super) fn cgroup_path(place: u16) -> &'static str {
    get().and_then(|sources| sources.levels.get(usize::from(place))).map_or("", |level| level.path.as_str())
}

/// A memory cgroup, as it stands. Sizes are bytes.
pub(crate) struct CgroupFigures {
    pub(crate) path: &'static str,
    pub(crate) usage: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) reclaimable: u64,
    /// How often its limit was met.
    pub(crate) failures: Option<u64>,
}

/// The memory cgroups of this process, its own first. Signal-safe.
pub(crate) fn each_cgroup(mut call: impl FnMut(CgroupFigures)) {
    let Some(sources) = get() else { return };
    for level in &sources.levels {
        // The buffer is free again before the call, which may want it.
        let cgroup = scratch::borrow().and_then(|mut scratch| {
            let (limit, usage) = (level.limit(&mut *scratch), level.usage(&mut *scratch)?);
            let reclaimable = level.reclaimable(&mut *scratch).map_or(0, |figures| figures.in_all());
            let failures = level.failures(&mut *scratch);
            Some(CgroupFigures { path: &level.path, usage, limit, reclaimable, failures })
        });
        cgroup.into_iter().for_each(&mut call);
    }
}

impl Sources {
    /// Queries every place: by the cheap figures if those have `enough` to spare, for certain otherwise. `in_flight` is
    /// what other threads are committing: it is in neither figure yet.
    pub(super) fn query(
        &self,
        policy: HeadroomPolicy,
        enough: i64,
        in_flight: u64,
        buffer: &mut [u8],
    ) -> TightestPlaces {
        // As if none of the committed bytes had been touched, and nothing could be reclaimed.
        let all = committed_untouched().saturating_add(in_flight);
        let cheap = self.tightest(policy, enough, all, false, buffer);
        if cheap.now.spare(policy) >= enough {
            return cheap;
        }
        let untouched = self.untouched(buffer);
        let pending = untouched.bytes.saturating_add(in_flight);
        TightestPlaces { untouched: Some(untouched), ..self.tightest(policy, enough, pending, true, buffer) }
    }

    /// Whether the cheap figures leave room for so many bytes, without a buffer.
    pub(super) fn has_plenty(&self, policy: HeadroomPolicy, bytes: i64, pending: u64) -> bool {
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

    /// The smallest limit of the cgroups, without a buffer.
    pub(super) fn smallest_limit(&self) -> Option<u64> {
        let mut text = [0u8; 64];
        self.levels.iter().filter_map(|level| level.limit(&mut text)).min()
    }

    /// The places with the least left, with `pending` bytes on their way.
    fn tightest(
        &self,
        policy: HeadroomPolicy,
        enough: i64,
        pending: u64,
        certain: bool,
        buffer: &mut [u8],
    ) -> TightestPlaces {
        let system = self.system(policy, enough, pending, buffer);
        let mut tightest = TightestPlaces { now: system, in_time: system, untouched: None };
        for (place, level) in self.levels.iter().enumerate() {
            let Some((limit, usage)) = level.limit(buffer).zip(level.usage(buffer)) else { continue };
            let reclaimable = if certain { level.reclaimable(buffer) } else { Some(Default::default()) };
            let (Some(reclaimable), Ok(place)) = (reclaimable, u16::try_from(place)) else { continue };
            let usage = usage.saturating_sub(reclaimable.in_all()).saturating_add(reclaimable.dirty);
            let this = Availability {
                place,
                limit,
                usage: usage.saturating_add(pending),
                dirty: reclaimable.dirty,
                writeback: reclaimable.writeback,
            };
            // What counts is what each place has beyond its own margin.
            if this.spare(policy) <= tightest.now.spare(policy) {
                tightest.now = this;
            }
            if this.spare_in_time(policy) <= tightest.in_time.spare_in_time(policy) {
                tightest.in_time = this;
            }
        }
        tightest
    }

    /// The machine's memory: what is free, if that is plenty, and what is available otherwise. (What is available
    /// includes what can be written out.)
    fn system(&self, policy: HeadroomPolicy, enough: i64, pending: u64, buffer: &mut [u8]) -> Availability {
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
        // A figure that cannot be read refuses nothing.
        found(available.unwrap_or(i64::MAX as u64))
    }

    /// The bytes of all regions that are committed and not present.
    fn untouched(&self, buffer: &mut [u8]) -> Untouched {
        let page = sys::page_size();
        let mut untouched = Untouched::default();
        let mut all_present = 0u64;
        for control in live_control_blocks().filter(|control| !control.needs_no_headroom()) {
            let (trims, id) = (control.trims.load(Acquire), control.id.load(Acquire));
            let (resident, prefix) = (control.resident.load(Relaxed), control.resident_prefix.load(Relaxed));
            let frontier = control.in_memory(control.frontier.get());
            // A prefix that was resident stays so; only the pages behind it are looked at again.
            let begin = prefix.min(frontier);
            // SAFETY: the call reads no memory. (The region may be dropped meanwhile: then the call fails, or counts the
            // pages of another mapping once.)
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
                    let _ = control.resident_prefix.compare_exchange(prefix, frontier, Relaxed, Relaxed);
                }
                let _ = control.resident.compare_exchange(resident, present, Relaxed, Relaxed);
                all_present = all_present.saturating_add(present as u64);
            }
        }
        let never_seen = committed_untouched();
        // A page that was only read is present and charged to no one: no more can have been written than the process has
        // resident.
        let only_read =
            sys::resident_anonymous_bytes().map_or(0, |resident| all_present.saturating_sub(resident));
        Untouched { bytes: never_seen.saturating_add(only_read), ..untouched }
    }
}
