//! What happened: counters per region and one ring of the last growths of the process.

use crate::policy::RegionEngine;
use crate::sys;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU64, AtomicUsize, fence};

/// The figures of a region at one moment. Sizes are bytes.
///
/// ```
/// let arena = highwater::Arena::new();
/// arena.alloc(7u64);
/// assert!(arena.stats().used >= 8);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The address space reserved, guards not counted.
    pub reserved: usize,
    /// The committed part: where the frontier stands.
    pub committed: usize,
    /// The largest `committed` there has been.
    pub peak_committed: usize,
    /// What allocations take, padding included. From an [`Arena`](crate::Arena) or a scope it is exact; from
    /// a [`Monitor`](crate::Monitor) or a [`Region`](crate::Region) it is the lower bound that growth has
    /// seen since the last reset, because the position is a value of the allocating thread.
    pub used: usize,
    /// Growths by fault.
    pub faults: u64,
    /// Growths in all, by fault and by request.
    pub commits: u64,
    /// Bytes whose pages were made present at once.
    pub populated: u64,
    /// Nanoseconds spent growing, in the handler or in a call.
    pub growth_ns: u64,
    /// How the region grows: what was chosen when it was made, [`RegionEngine::Paged`] under valgrind and with
    /// [`Growth::Upfront`](crate::Growth::Upfront), and [`RegionEngine::Explicit`] for what commits everything itself, a heap for
    /// example.
    pub engine: RegionEngine,
}

/// The counters behind [`Stats`], one set per region, written inside the signal.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) peak: AtomicUsize,
    pub(crate) touched: AtomicUsize,
    pub(crate) faults: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) populated: AtomicU64,
    pub(crate) growth_ns: AtomicU64,
}

impl Counters {
    pub(crate) const fn new() -> Self {
        Counters {
            peak: AtomicUsize::new(0),
            touched: AtomicUsize::new(0),
            faults: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            populated: AtomicU64::new(0),
            growth_ns: AtomicU64::new(0),
        }
    }

    pub(crate) fn clear(&self) {
        self.peak.store(0, Relaxed);
        self.touched.store(0, Relaxed);
        self.faults.store(0, Relaxed);
        self.commits.store(0, Relaxed);
        self.populated.store(0, Relaxed);
        self.growth_ns.store(0, Relaxed);
    }
}

/// One growth: `bytes` were added at `offset` (the old frontier) of the region numbered `region`.
///
/// ```
/// let arena = highwater::Arena::new();
/// arena.commit_ahead(1 << 20)?;
/// let events = highwater::stats::recent_growth();
/// assert!(events.iter().all(|event| event.bytes > 0));
/// # Ok::<(), highwater::OutOfMemory>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrowthEvent {
    /// The region's number, as [`Region::id`](crate::Region::id) gives it.
    pub region: u64,
    /// The frontier before, in bytes from the region's base.
    pub offset: usize,
    /// How far it moved, in bytes.
    pub bytes: usize,
    /// When it began: nanoseconds on the monotonic clock.
    pub at_ns: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// The kernel's number of the thread that grew.
    pub thread: u32,
}

/// How many growths the process remembers.
pub const GROWTH_RING: usize = 4096;

/// A slot of the ring. `turn` is even when the slot can be read, and tells whose event it holds; a writer
/// makes it odd first. A reader that sees it change leaves the event out.
struct RingSlot {
    turn: AtomicU64,
    words: [AtomicU64; 6],
}

static NEXT: AtomicU64 = AtomicU64::new(0);
static RING: [RingSlot; GROWTH_RING] =
    [const { RingSlot { turn: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; 6] } }; GROWTH_RING];

fn slot(ordinal: u64) -> &'static RingSlot {
    // The remainder is below the length, so the compiler drops the bounds check: no panic in the signal.
    &RING[(ordinal % GROWTH_RING as u64) as usize]
}

/// Remembers a growth. Signal-safe and wait-free; the oldest event is overwritten.
pub(crate) fn remember(event: &GrowthEvent) {
    let ordinal = NEXT.fetch_add(1, Relaxed);
    let slot = slot(ordinal);
    // Turn 2n + 2 says "holds event n". A writer that was overtaken by a whole round leaves its event out,
    // so that two writers never mix their words.
    let before = slot.turn.load(Relaxed);
    let mine = ordinal.wrapping_mul(2).wrapping_add(2);
    if before & 1 == 1
        || before >= mine
        || slot.turn.compare_exchange(before, mine - 1, Acquire, Relaxed).is_err()
    {
        return;
    }
    fence(Release);
    let [region, offset, bytes, at_ns, duration_ns, thread] = &slot.words;
    region.store(event.region, Relaxed);
    offset.store(event.offset as u64, Relaxed);
    bytes.store(event.bytes as u64, Relaxed);
    at_ns.store(event.at_ns, Relaxed);
    duration_ns.store(event.duration_ns, Relaxed);
    thread.store(u64::from(event.thread), Relaxed);
    slot.turn.store(mine, Release);
}

/// The last growths of all regions of this process, oldest first, at most [`GROWTH_RING`] of them. An event
/// that is being written at this moment is left out.
///
/// ```
/// let arena = highwater::Arena::builder().name("events").build();
/// arena.alloc_slice_fill_copy(1 << 20, 1u8);
/// let grown = highwater::stats::recent_growth();
/// assert!(grown.iter().any(|event| event.region == arena.id() && event.bytes > 0));
/// ```
pub fn recent_growth() -> Vec<GrowthEvent> {
    let mut events = Vec::with_capacity(GROWTH_RING.min(NEXT.load(Acquire) as usize));
    each_recent(GROWTH_RING, &mut |event| events.push(event));
    events
}

/// The last growths, at most so many, oldest first. Signal-safe.
pub(crate) fn each_recent(max: usize, call: &mut dyn FnMut(GrowthEvent)) {
    let end = NEXT.load(Acquire);
    for ordinal in end.saturating_sub(max.min(GROWTH_RING) as u64)..end {
        let slot = slot(ordinal);
        let turn = slot.turn.load(Acquire);
        if turn != ordinal.wrapping_mul(2).wrapping_add(2) {
            continue;
        }
        let [region, offset, bytes, at_ns, duration_ns, thread] = &slot.words;
        let event = GrowthEvent {
            region: region.load(Relaxed),
            offset: offset.load(Relaxed) as usize,
            bytes: bytes.load(Relaxed) as usize,
            at_ns: at_ns.load(Relaxed),
            duration_ns: duration_ns.load(Relaxed),
            thread: thread.load(Relaxed) as u32,
        };
        fence(Acquire);
        if slot.turn.load(Relaxed) == turn {
            call(event);
        }
    }
}

/// Nanoseconds on the clock that [`GrowthEvent::at_ns`] is read from.
pub fn now_ns() -> u64 {
    sys::monotonic_ns()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_write_while_one_reads_and_no_event_is_mixed() {
        let writers = 3u64;
        std::thread::scope(|scope| {
            for writer in 0..writers {
                scope.spawn(move || {
                    for i in 0..20_000u64 {
                        let n = (1 << 63) | (writer << 32) | i;
                        remember(&GrowthEvent {
                            region: n,
                            offset: n as usize,
                            bytes: n as usize,
                            at_ns: n,
                            duration_ns: n,
                            thread: i as u32,
                        });
                    }
                });
            }
            for _ in 0..200 {
                for event in recent_growth().iter().filter(|event| event.region >> 63 == 1) {
                    let n = event.region;
                    assert_eq!((event.offset as u64, event.bytes as u64), (n, n));
                    assert_eq!((event.at_ns, event.duration_ns, event.thread), (n, n, n as u32));
                }
            }
        });
        assert!(recent_growth().len() > GROWTH_RING / 2);
    }
}
