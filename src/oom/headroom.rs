//! How much memory there is, asked before the kernel would kill.
//!
//! A commit is charged to nobody until it is touched, and a memory cgroup's limit is never an error: the process
//! gets SIGKILL. So what may be committed is what the system has, less what was committed already and not touched
//! yet, less what other threads are committing at this moment.
//!
//! Looking takes system calls, so a look grants a part of what there is, and steps take from the grant until it is
//! used up. One thread looks at a time. Who finds it looking may take from all that the last look found.

use super::cause::{Cause, Reason, Refusal};
use super::cgroup::{self, Level};
use super::scratch;
use crate::policy::Headroom;
use crate::region::{committed_unseen, live_slots};
use crate::sys::{self, Probe};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU16, AtomicU64};

/// What is looked at.
struct Watch {
    levels: Vec<Level>,
    memory: Option<Probe>,
}

/// Made once and never given back. Not a `OnceLock`: in a child that was forked while another thread made it, nobody
/// would ever finish that.
static WATCH: AtomicPtr<Watch> = AtomicPtr::new(core::ptr::null_mut());

fn watch() -> Option<&'static Watch> {
    // SAFETY: what is published was leaked.
    NonNull::new(WATCH.load(Acquire)).map(|watch| unsafe { watch.as_ref() })
}

/// Bytes that may be committed without another look, margin included.
static GRANT: AtomicI64 = AtomicI64::new(0);
/// What the last look found beyond the grant: for those who cannot look because another thread does.
static REST: AtomicI64 = AtomicI64::new(0);
/// Twice the number of looks, and odd while one is being published: the two above belong together.
static LOOKS: AtomicU64 = AtomicU64::new(0);
/// The margin of [`Headroom::Auto`] at the tightest place, in bytes.
static MARGIN: AtomicU64 = AtomicU64::new(MOST_MARGIN);
/// Bytes that threads are committing at this moment.
static IN_FLIGHT: AtomicI64 = AtomicI64::new(0);
/// The tightest place of the last look: which (`SYSTEM` or a level), its limit and usage.
static TIGHTEST: (AtomicU16, AtomicU64, AtomicU64) =
    (AtomicU16::new(SYSTEM), AtomicU64::new(0), AtomicU64::new(0));

/// The machine itself, among the places that memory may run out in.
const SYSTEM: u16 = u16::MAX - 1;
/// What is left free: a 64th of the limit, at least and at most so much.
const LEAST_MARGIN: u64 = 2 << 20;
const MOST_MARGIN: u64 = 64 << 20;
/// So much of what is mapped from files counts as needed.
const MOST_RUNNING: u64 = 16 << 20;

/// Finds out what to look at; the first region does so. Outside of any signal.
pub(crate) fn prepare() {
    if watch().is_some() {
        return;
    }
    // (Without it a child may be refused what there is, and that is all.)
    #[cfg(not(highwater_portable))]
    let _ = sys::on_fork_in_child(in_child);
    let made = Watch { levels: cgroup::levels(), memory: Probe::open(c"/proc/meminfo".into()) };
    let made = Box::into_raw(Box::new(made));
    if WATCH.compare_exchange(core::ptr::null_mut(), made, AcqRel, Acquire).is_err() {
        // SAFETY: nobody has seen it.
        drop(unsafe { Box::from_raw(made) });
    }
}

/// What other threads were in the middle of goes on in the parent alone.
#[cfg(not(highwater_portable))]
extern "C" fn in_child() {
    IN_FLIGHT.store(0, Release);
    REST.store(0, Release);
    GRANT.store(0, Release);
    LOOKS.fetch_add(LOOKS.load(Acquire) & 1, AcqRel);
}

/// The path of a cgroup that a refusal named.
pub(super) fn cgroup_path(place: u16) -> &'static str {
    watch().and_then(|watch| watch.levels.get(usize::from(place))).map_or("", |level| level.path.as_str())
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
    let Some(watch) = watch() else { return };
    for level in &watch.levels {
        // Given back before the facts are told: whoever is told may want it.
        let cgroup = scratch::borrow().and_then(|mut scratch| {
            Some(Cgroup {
                path: &level.path,
                usage: number(level.usage.read(&mut *scratch)?)?,
                limit: level.limit.read(&mut *scratch).and_then(number),
                reclaimable: level.reclaimable(&mut *scratch).unwrap_or(0),
                failures: level.failures(&mut *scratch),
            })
        });
        cgroup.into_iter().for_each(&mut tell);
    }
}

/// Bytes that were admitted and are being committed. What of them turns out not to be needed is not given back to the
/// grant: a look that saw them taken and not given back would grant them twice. The next look finds them.
#[must_use]
pub(crate) struct Ticket {
    granted: i64,
}

impl Ticket {
    pub(super) const FREE: Ticket = Ticket { granted: 0 };
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.granted > 0 {
            IN_FLIGHT.fetch_sub(self.granted, AcqRel);
        }
    }
}

/// Whether `step` bytes more may be committed. Signal-safe.
///
/// With a file to spill to, a quarter of the limit is left to the cache of that.
pub(super) fn admit(headroom: Headroom, spills: bool, step: usize) -> Result<Ticket, Refusal> {
    let (Some(watch), false) = (watch(), headroom == Headroom::Off) else { return Ok(Ticket::FREE) };
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let headroom = (headroom, spills);
    match take(headroom, step, 0) {
        Some(ticket) => Ok(ticket),
        None => look_and_admit(watch, headroom, step),
    }
}

/// The side of [`admit`] that has to look.
#[cold]
#[inline(never)]
fn look_and_admit(watch: &Watch, headroom: Wish, step: i64) -> Result<Ticket, Refusal> {
    /// A look is short, but whoever looks may be kept from the processor by those who wait.
    const PATIENCE_NS: u64 = 1_000_000_000;
    let began = sys::monotonic_ns();
    loop {
        if let Some(mut scratch) = scratch::to_look() {
            // Perhaps another thread has just looked.
            if let Some(ticket) = take(headroom, step, 0) {
                return Ok(ticket);
            }
            let mut has_room = false;
            sys::with_room(|| has_room = watch.look(headroom, step, &mut *scratch));
            // Nobody else publishes now, so the rest is the one that belongs to the grant.
            if let Some(ticket) = take(headroom, step, REST.load(Acquire)) {
                return Ok(ticket);
            }
            if !has_room || sys::monotonic_ns().wrapping_sub(began) > PATIENCE_NS {
                return Err(tightest(step));
            }
            // Others have taken it meanwhile: there may be more.
            continue;
        }
        let looks = LOOKS.load(Acquire);
        if looks.is_multiple_of(2)
            && let Some(ticket) = take(headroom, step, REST.load(Acquire))
        {
            if LOOKS.load(Acquire) == looks {
                return Ok(ticket);
            }
            // That rest is not what is left any more.
            drop(ticket);
        }
        // Somebody is at it, perhaps counting pages, perhaps without a processor. Where there is plenty it takes no
        // buffer to see that.
        if let Some(ticket) = watch.take_at_a_glance(headroom, step) {
            return Ok(ticket);
        }
        if sys::monotonic_ns().wrapping_sub(began) > PATIENCE_NS {
            return Err(tightest(step));
        }
        std::thread::yield_now();
    }
}

/// What is left free, and whether by somebody who can spill.
type Wish = (Headroom, bool);

/// The bytes that stay free at a place with this limit, where `auto` is the usual.
fn margin_of((headroom, spills): Wish, auto: u64, limit: u64) -> i64 {
    let bytes = match headroom {
        Headroom::AtLeast(bytes) => bytes as u64,
        Headroom::Auto | Headroom::Off => auto,
    };
    let bytes = if spills { bytes.max(limit / 4) } else { bytes };
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn margin(wish: Wish) -> i64 {
    let limit = if TIGHTEST.0.load(Acquire) == SYSTEM { 0 } else { TIGHTEST.1.load(Relaxed) };
    margin_of(wish, MARGIN.load(Relaxed), limit)
}

/// Takes a step out of the grant, and out of the `rest` behind it, if the margin stays.
fn take(headroom: Wish, step: i64, rest: i64) -> Option<Ticket> {
    let needed = step.saturating_add(margin(headroom)).saturating_sub(rest);
    let left = |grant: i64| (grant >= needed).then(|| grant.wrapping_sub(step));
    // First it is in flight, then it is taken: a look in between counts it twice rather than not at all.
    IN_FLIGHT.fetch_add(step, AcqRel);
    if GRANT.fetch_update(AcqRel, Acquire, left).is_ok() {
        return Some(Ticket { granted: step });
    }
    IN_FLIGHT.fetch_sub(step, AcqRel);
    None
}

/// The refusal at the tightest place of the last look, with `step` bytes more in use.
fn tightest(step: i64) -> Refusal {
    let (place, limit, usage) = &TIGHTEST;
    let (limit, usage) = (limit.load(Relaxed), usage.load(Relaxed).saturating_add(step as u64));
    match place.load(Acquire) {
        SYSTEM => Refusal::new(Cause::SystemMemory, limit, usage),
        level => Refusal::because(Reason::Cgroup(level), limit, usage),
    }
}

/// What there is at one place.
#[derive(Clone, Copy)]
struct Found {
    place: u16,
    limit: u64,
    /// What is in use and cannot be had back.
    usage: u64,
}

impl Found {
    /// Bytes left, less the margin of `Auto`.
    fn left(&self, pending: u64) -> i64 {
        (self.limit as i64).saturating_sub(self.usage as i64).saturating_sub(pending as i64)
    }

    fn margin(&self) -> u64 {
        (self.limit / 64).clamp(LEAST_MARGIN, MOST_MARGIN)
    }
}

impl Watch {
    /// Looks at every place, and grants a part of what the tightest has; whether that has room for a step.
    fn look(&self, headroom: Wish, step: i64, scratch: &mut [u8]) -> bool {
        // What is taken from now on is taken from what this look finds.
        let before = GRANT.load(Acquire);
        // What others are committing is in neither figure yet. Ours is not in flight at this moment.
        let in_flight = u64::try_from(IN_FLIGHT.load(Acquire)).unwrap_or(0);
        // The cheap figures first: as if nothing that is committed had been touched, and nothing could be reclaimed.
        let all = committed_unseen();
        let mut tight = self.tightest(headroom, step, all.saturating_add(in_flight), false, scratch);
        if tight.1 < step.saturating_add(margin_at(headroom, &tight.0)) {
            // Now for certain.
            let unseen = self.unseen(scratch);
            tight = self.tightest(headroom, step, unseen.saturating_add(in_flight), true, scratch);
        }
        let (found, left) = tight;
        MARGIN.store(found.margin(), Relaxed);
        let spare = left.saturating_sub(margin_at(headroom, &found));
        // Half of it, so that what others use meanwhile is noticed; all of it when that is not enough.
        let grant = left.saturating_sub(spare.saturating_sub(spare.wrapping_div(2).max(step)).max(0));
        TIGHTEST.1.store(found.limit, Relaxed);
        TIGHTEST.2.store(found.limit.saturating_sub(u64::try_from(left).unwrap_or(0)), Relaxed);
        TIGHTEST.0.store(found.place, Release);
        LOOKS.fetch_add(1, AcqRel);
        REST.store(left.saturating_sub(grant), Release);
        GRANT.fetch_add(grant.saturating_sub(before), AcqRel);
        LOOKS.fetch_add(1, AcqRel);
        spare >= step
    }

    /// Takes a step without a grant, if the cheap figures leave room for four times as much.
    fn take_at_a_glance(&self, wish: Wish, step: i64) -> Option<Ticket> {
        // Out of the grant first, which may then be owed something (until the next look): what is left of it cannot be
        // taken on top.
        IN_FLIGHT.fetch_add(step, AcqRel);
        GRANT.fetch_sub(step, AcqRel);
        let ticket = Ticket { granted: step };
        let pending = committed_unseen().saturating_add(u64::try_from(IN_FLIGHT.load(Acquire)).unwrap_or(0));
        let mut text = [0u8; 64];
        let levels = self.levels.iter().filter_map(|level| level.figures(false, &mut text));
        let tight = levels.map(|(limit, usage)| (limit, (limit as i64).saturating_sub(usage as i64)));
        let system = sys::free_memory().map_or((0, 0), |free| (0, free as i64));
        let spacious = tight.chain([system]).all(|(limit, left)| {
            let margin = margin_of(wish, MOST_MARGIN, limit);
            left.saturating_sub(pending as i64) >= step.saturating_mul(4).saturating_add(margin)
        });
        spacious.then_some(ticket)
    }

    /// The place with the least left, and that, with `pending` bytes on their way.
    fn tightest(
        &self,
        headroom: Wish,
        step: i64,
        pending: u64,
        certain: bool,
        scratch: &mut [u8],
    ) -> (Found, i64) {
        let enough = step.saturating_add(margin(headroom)).saturating_mul(4);
        let mut tight: Option<(Found, i64)> = None;
        let levels = self.levels.iter().enumerate().filter_map(|(place, level)| {
            let (limit, usage) = level.figures(certain, scratch)?;
            Some(Found { place: u16::try_from(place).ok()?, limit, usage })
        });
        // What counts is what each place has beyond its own margin.
        let spare = |(found, left): &(Found, i64)| left.saturating_sub(margin_at(headroom, found));
        for found in levels {
            let this = (found, found.left(pending));
            if tight.as_ref().is_none_or(|tight| spare(&this) < spare(tight)) {
                tight = Some(this);
            }
        }
        let system = self.system(enough, pending, scratch);
        let system = (system, system.left(pending));
        match tight {
            Some(tight) if spare(&tight) <= spare(&system) => tight,
            _ => system,
        }
    }

    /// The machine's memory: what is free, if that is plenty, and what is available otherwise.
    fn system(&self, enough: i64, pending: u64, scratch: &mut [u8]) -> Found {
        let found = |free: u64, limit: u64| Found { place: SYSTEM, limit, usage: limit.saturating_sub(free) };
        let total = sys::physical_memory() as u64;
        if let Some(free) = sys::free_memory()
            && (free as i64).saturating_sub(pending as i64) > enough
        {
            return found(free, total.max(free));
        }
        let available = self.memory.as_ref().and_then(|memory| {
            let text = memory.read(scratch)?;
            let available = sys::kib_after(text, b"\nMemAvailable:")?;
            let swap = sys::kib_after(text, b"\nSwapFree:").unwrap_or(0);
            Some(available.saturating_add(swap))
        });
        // What cannot be asked does not refuse.
        found(available.unwrap_or(i64::MAX as u64), total.max(available.unwrap_or(i64::MAX as u64)))
    }

    /// The bytes of all regions that are committed and not present.
    fn unseen(&self, scratch: &mut [u8]) -> u64 {
        let page = sys::page_size();
        let mut seen_in_all = 0u64;
        for slot in live_slots().filter(|slot| !slot.is_unpromised()) {
            let (trims, id) = (slot.trims.load(Acquire), slot.id.load(Acquire));
            let (seen, whole) = (slot.seen.load(Relaxed), slot.whole.load(Relaxed));
            let frontier = slot.in_memory(slot.frontier.get());
            // The beginning that is present as a whole stays so; only what is behind it is asked for again.
            let begin = whole.min(frontier);
            // SAFETY: a live region's own range. (One that is dropped meanwhile makes the call fail, or count
            // somebody else's pages once.)
            let present = unsafe {
                sys::present_pages(slot.base().wrapping_add(begin), frontier.saturating_sub(begin), scratch)
            };
            let present = begin.saturating_add(present.saturating_mul(page)).min(frontier);
            // Not if memory was given back meanwhile, or the block is another region's.
            if slot.trims.load(Acquire) == trims && slot.id.load(Acquire) == id {
                if present == frontier {
                    let _ = slot.whole.compare_exchange(whole, frontier, Relaxed, Relaxed);
                }
                let _ = slot.seen.compare_exchange(seen, present, Relaxed, Relaxed);
                seen_in_all = seen_in_all.saturating_add(present as u64);
            }
        }
        let unseen = committed_unseen();
        // A page that was only read is present and charged to nobody: no more can have been written than the process
        // has.
        match sys::resident_anonymous() {
            Some(resident) => unseen.saturating_add(seen_in_all.saturating_sub(resident)),
            None => unseen,
        }
    }
}

fn margin_at(wish: Wish, found: &Found) -> i64 {
    let limit = if found.place == SYSTEM { 0 } else { found.limit };
    margin_of(wish, found.margin(), limit)
}

impl Level {
    /// The limit and what is in use; what can be reclaimed is taken off if that is to be `certain`.
    fn figures(&self, certain: bool, scratch: &mut [u8]) -> Option<(u64, u64)> {
        let limit = number(self.limit.read(scratch)?)?;
        let usage = number(self.usage.read(scratch)?)?;
        let reclaimable = if certain { self.reclaimable(scratch)? } else { 0 };
        Some((limit, usage.saturating_sub(reclaimable)))
    }

    /// How often the limit was met.
    fn failures(&self, scratch: &mut [u8]) -> Option<u64> {
        let text = self.events.read(scratch)?;
        number(text).or_else(|| figure(text, "", "max"))
    }

    /// The bytes that the kernel takes back before it kills: clean pages of files, and caches of its own.
    fn reclaimable(&self, scratch: &mut [u8]) -> Option<u64> {
        let stat = self.stat.read(scratch)?;
        let figure = |name: &str| figure(stat, self.prefix, name).unwrap_or(0);
        let clean = figure("inactive_file").saturating_add(figure("active_file"));
        let dirty = figure("dirty").saturating_add(figure("file_dirty"));
        let writing = figure("writeback").saturating_add(figure("file_writeback"));
        // Programs and libraries that are running: the kernel would rather kill than take those away.
        let running = figure("mapped_file").max(figure("file_mapped")).min(MOST_RUNNING);
        let clean = clean.saturating_sub(dirty.saturating_add(writing)).saturating_sub(running);
        Some(clean.saturating_add(figure("slab_reclaimable")))
    }
}

/// The number at the start of a file; `None` for `max` and for version 1's largest one.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    let value = text.iter().try_fold(0u64, |value, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    (!text.is_empty() && value < 1 << 62).then_some(value)
}

/// The figure of a line like `total_active_file 4096`.
fn figure(stat: &[u8], prefix: &str, name: &str) -> Option<u64> {
    stat.split(|&byte| byte == b'\n').find_map(|line| {
        let value =
            line.strip_prefix(prefix.as_bytes())?.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?;
        number(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_the_kernel_writes_them() {
        assert_eq!(number(b"1048576\n"), Some(1 << 20));
        assert_eq!(number(b"max\n"), None);
        assert_eq!(number(b"9223372036854771712\n"), None);
        assert_eq!(number(b""), None);
        let stat = b"cache 7\nactive_file 1\ntotal_active_file 4096\ntotal_dirty 12\n";
        assert_eq!(figure(stat, "total_", "active_file"), Some(4096));
        assert_eq!(figure(stat, "", "active_file"), Some(1));
        assert_eq!(figure(stat, "", "file"), None);
    }
}
