//! The guards inside a region, as a list that a signal handler can read.

use super::atomic::AtomicUsize;
use super::guard_error::GuardError;
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Protection};
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The maximum number of guards in one region.
const MAX_GUARDS: usize = 4096;

/// A guard's first byte and the byte after its last one, as offsets.
struct GuardRange([AtomicUsize; 2]);

/// The guards of one region. While the region lives guards are only added; an entry is written before it is counted. The
/// memory stays with the control block.
#[derive(Debug)]
pub(super) struct GuardList {
    ranges: AtomicPtr<GuardRange>,
    count: AtomicUsize,
    /// Where the first one begins; `usize::MAX` when there is none.
    first: AtomicUsize,
}

/// The bytes of an entry: two words.
pub(super) const ENTRY_BYTES: usize = size_of::<GuardRange>();

impl GuardList {
    /// Where the address of the list is, and where its length.
    pub(super) const RANGES_OFFSET: usize = core::mem::offset_of!(GuardList, ranges);
    pub(super) const COUNT_OFFSET: usize = core::mem::offset_of!(GuardList, count);

    pub(super) const fn new() -> Self {
        GuardList {
            ranges: AtomicPtr::new(core::ptr::null_mut()),
            count: AtomicUsize::new(0),
            first: AtomicUsize::new(usize::MAX),
        }
    }

    pub(super) fn clear(&self) {
        self.count.store(0, Release);
        self.first.store(usize::MAX, Relaxed);
    }

    /// Where the first guard begins; `usize::MAX` when there is none.
    #[inline]
    pub(super) fn first(&self) -> usize {
        self.first.load(Relaxed)
    }

    fn ranges(&self) -> &[GuardRange] {
        let count = self.count.load(Acquire).min(MAX_GUARDS);
        match NonNull::new(self.ranges.load(Acquire)) {
            // SAFETY: the memory holds `MAX_GUARDS` entries, zeroed or written, and is never unmapped.
            Some(ranges) => unsafe { core::slice::from_raw_parts(ranges.as_ptr(), count) },
            None => &[],
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.ranges().iter().map(|GuardRange([start, end])| start.load(Relaxed)..end.load(Relaxed))
    }

    /// The first guard that has bytes of `[from, to)`, cut to that range.
    pub(super) fn next_in(&self, from: usize, to: usize) -> Option<Range<usize>> {
        // (An empty range inside a guard overlaps nothing: a step may end there.)
        let mut first: Option<Range<usize>> = None;
        for guard in self.iter() {
            let overlaps = guard.start.max(from) < guard.end.min(to);
            if overlaps && first.as_ref().is_none_or(|first| guard.start < first.start) {
                first = Some(guard);
            }
        }
        first.map(|guard| guard.start.max(from)..guard.end.min(to))
    }

    /// Adds a guard. Only one thread does so at a time: it borrows the region exclusively, or builds it.
    pub(super) fn push(&self, guard: &Range<usize>) -> Result<(), GuardError> {
        let count = self.count.load(Relaxed);
        if count == MAX_GUARDS {
            return Err(GuardError::TooMany { most: MAX_GUARDS });
        }
        if self.ranges.load(Acquire).is_null() {
            let bytes = MAX_GUARDS * size_of::<GuardRange>();
            let fresh = sys::reserve(bytes, Protection::ReadWrite)
                .map_err(|errno| GuardError::refused(errno, RefusedCall::MapWritable(bytes)))?;
            if self
                .ranges
                .compare_exchange(core::ptr::null_mut(), fresh.as_ptr().cast(), AcqRel, Acquire)
                .is_err()
            {
                // SAFETY: the mapping was not published, so no other thread has its address.
                unsafe { sys::release(fresh, bytes) };
            }
        }
        // SAFETY: there is room for `MAX_GUARDS` entries, and `count` is below that.
        let GuardRange([start, end]) = unsafe { &*self.ranges.load(Acquire).add(count) };
        start.store(guard.start, Relaxed);
        end.store(guard.end, Relaxed);
        self.count.store(count + 1, Release);
        self.first.fetch_min(guard.start, Relaxed);
        Ok(())
    }
}
