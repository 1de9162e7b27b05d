//! One record per allocation of a checked arena, found by address, readable inside the signal.
//!
//! The table has a place for every page of the region; an allocation's record stands at the place of its first
//! page. It is reserved as a whole and paged in where it is used. Fields are atomics because a handler on any
//! thread may look while the arena's owner writes; the owner is one at a time.

use super::{Allocation, PageState};
use crate::math::page::align_up_saturating;
use crate::region::GuardError;
use crate::sys::evidence::RefusedCall;
use crate::sys::{self, Errno, Protection};
use core::panic::Location;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

/// An allocation. Offsets are bytes from the region's first one.
#[repr(align(64))]
pub(super) struct AllocationRecord {
    /// 1 more than the offset of its first byte; 0 where there is no record.
    start: AtomicUsize,
    size: AtomicUsize,
    /// What was in use before it, as an unchecked arena would count it.
    before: AtomicUsize,
    caller: AtomicPtr<Location<'static>>,
    ordinal: AtomicU64,
    /// The logarithm of its alignment, and `GUARDED`.
    align: AtomicU32,
    born: AtomicU32,
    /// The generation it ended in, 0 while it lives.
    ended: AtomicU32,
    /// The live allocations made before and after it: 1 more than their places, 0 for none.
    previous: AtomicU32,
    following: AtomicU32,
}

/// In `align`: a guard follows.
const GUARDED: u32 = 1 << 8;

/// The owner's view of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordSnapshot {
    pub(super) start: usize,
    pub(super) size: usize,
    pub(super) before: usize,
    pub(super) caller: &'static Location<'static>,
    pub(super) ordinal: u64,
    pub(super) align: usize,
    pub(super) born: u32,
    pub(super) ended: u32,
    pub(super) previous: Option<u32>,
    pub(super) following: Option<u32>,
    pub(super) guarded: bool,
}

impl RecordSnapshot {
    pub(super) fn end(&self) -> usize {
        self.start.wrapping_add(self.size)
    }

    pub(super) fn allocation(&self) -> Allocation {
        Allocation {
            offset: self.start,
            size: self.size,
            align: self.align,
            ordinal: self.ordinal,
            generation: self.born,
            ended: (self.ended != 0).then_some(self.ended),
            caller: self.caller,
        }
    }
}

fn link(place: Option<u32>) -> u32 {
    place.map_or(0, |place| place + 1)
}

/// The records of one region.
pub(super) struct RecordTable {
    records: NonNull<AllocationRecord>,
    places: usize,
    page: usize,
    /// The places at and after this one have never been used.
    unused: AtomicUsize,
    /// Bytes of the table that are accessible.
    committed: AtomicUsize,
}

impl RecordTable {
    /// A table for a region of this many bytes.
    pub(super) fn for_region(bytes: usize) -> Result<Self, GuardError> {
        let page = sys::page_size();
        let places = bytes / page;
        // Links between records are 32 bits wide.
        let max_places = u32::MAX as usize;
        if places >= max_places {
            let limit =
                ("the records of a checked arena", max_places.saturating_mul(page) as u64, bytes as u64);
            return Err(GuardError::Limited { bytes, limit, error: sys::Errno::ENOMEM.into() });
        }
        let len = Self::bytes(places);
        let records = sys::reserve(len, Protection::None)
            .map_err(|errno| GuardError::refused(errno, RefusedCall::Reserve(len)))?
            .cast();
        Ok(RecordTable { records, places, page, unused: AtomicUsize::new(0), committed: AtomicUsize::new(0) })
    }

    /// Makes the places below the one of an offset usable. The table is reserved like a region: it counts against
    /// no limit until it is used.
    pub(super) fn grow(&self, offset: usize) -> Result<(), Errno> {
        /// Bytes of a step.
        const STEP: usize = 256 << 10;
        let needed = (offset / self.page).min(self.places).saturating_mul(size_of::<AllocationRecord>());
        let committed = self.committed.load(Relaxed);
        if needed > committed {
            let to = align_up_saturating(needed, STEP).min(Self::bytes(self.places));
            let start = self.records.as_ptr().cast::<u8>().wrapping_add(committed);
            // SAFETY: the range lies in the table's mapping.
            unsafe { sys::commit(start, to - committed)? };
            self.committed.store(to, Release);
        }
        Ok(())
    }

    fn bytes(places: usize) -> usize {
        align_up_saturating(places.saturating_mul(size_of::<AllocationRecord>()), sys::page_size())
    }

    fn at(&self, place: usize) -> Option<&AllocationRecord> {
        if place >= self.committed.load(Acquire) / size_of::<AllocationRecord>() {
            return None;
        }
        // SAFETY: that many places are accessible, zeroed or written, which is valid for all fields; the table is
        // given back with `self`.
        Some(unsafe { self.records.add(place).as_ref() })
    }

    fn entry(&self, record: &AllocationRecord) -> Option<RecordSnapshot> {
        let start = record.start.load(Acquire).checked_sub(1)?;
        let caller = NonNull::new(record.caller.load(Relaxed))?;
        Some(RecordSnapshot {
            start,
            size: record.size.load(Relaxed),
            before: record.before.load(Relaxed),
            // SAFETY: only locations, which live for ever, are stored there.
            caller: unsafe { caller.as_ref() },
            ordinal: record.ordinal.load(Relaxed),
            align: 1 << (record.align.load(Relaxed) & 63),
            born: record.born.load(Relaxed),
            ended: record.ended.load(Relaxed),
            previous: record.previous.load(Relaxed).checked_sub(1),
            following: record.following.load(Relaxed).checked_sub(1),
            guarded: record.align.load(Relaxed) & GUARDED != 0,
        })
    }

    /// The record that stands at a place.
    pub(super) fn get(&self, place: u32) -> Option<RecordSnapshot> {
        self.entry(self.at(place as usize)?)
    }

    /// The place of an allocation that starts at an offset.
    pub(super) fn place_of(&self, offset: usize) -> u32 {
        (offset / self.page) as u32
    }

    /// The pages of an allocation: from its first one to the end of its last one, and to the end of its guard.
    pub(super) fn pages(&self, entry: &RecordSnapshot) -> (usize, usize, usize) {
        let end = align_up_saturating(entry.end(), self.page);
        let guard = if entry.guarded { self.page } else { 0 };
        (entry.start & !(self.page - 1), end, end.wrapping_add(guard))
    }

    /// Writes the record of an allocation whose pages end, its guard included, at `end`.
    pub(super) fn put(&self, entry: &RecordSnapshot, end: usize) -> u32 {
        let place = self.place_of(entry.start);
        let (first, beyond) = (place as usize, end / self.page);
        // What stood at these places belonged to allocations that are long gone.
        let unused = self.unused.load(Relaxed);
        for stale in (first..beyond.min(unused)).filter_map(|place| self.at(place)) {
            stale.start.store(0, Relaxed);
        }
        let Some(record) = self.at(first) else { return place };
        record.size.store(entry.size, Relaxed);
        record.before.store(entry.before, Relaxed);
        record.caller.store(core::ptr::from_ref(entry.caller).cast_mut(), Relaxed);
        record.ordinal.store(entry.ordinal, Relaxed);
        let guarded = if entry.guarded { GUARDED } else { 0 };
        record.align.store(entry.align.trailing_zeros() | guarded, Relaxed);
        record.born.store(entry.born, Relaxed);
        record.ended.store(entry.ended, Relaxed);
        record.previous.store(link(entry.previous), Relaxed);
        record.following.store(link(entry.following), Relaxed);
        record.start.store(entry.start + 1, Release);
        self.unused.store(unused.max(beyond), Release);
        place
    }

    pub(super) fn set_ended(&self, place: u32, generation: u32) {
        if let Some(record) = self.at(place as usize) {
            record.ended.store(generation, Relaxed);
        }
    }

    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(super) fn set_size(&self, place: u32, size: usize) {
        if let Some(record) = self.at(place as usize) {
            record.size.store(size, Relaxed);
        }
    }

    /// Puts one record behind the other in the order of allocation; either may be none.
    pub(super) fn join(&self, previous: Option<u32>, following: Option<u32>) {
        if let Some(record) = following.and_then(|place| self.at(place as usize)) {
            record.previous.store(link(previous), Relaxed);
        }
        if let Some(record) = previous.and_then(|place| self.at(place as usize)) {
            record.following.store(link(following), Relaxed);
        }
    }

    /// What is known of a byte, and the allocation that it is in or comes after. Signal-safe.
    pub(super) fn look(&self, offset: usize) -> (PageState, Option<RecordSnapshot>) {
        let places = self.unused.load(Acquire).min((offset / self.page).wrapping_add(1));
        let found = (0..places).rev().find_map(|place| self.entry(self.at(place)?));
        let Some(entry) = found else { return (PageState::Unallocated, None) };
        let (_, data_end, end) = self.pages(&entry);
        let place = match (entry.ended, offset) {
            (0, offset) if offset < data_end => PageState::Open,
            (0, _) => PageState::PastAllocation,
            (_, offset) if offset < end => PageState::GivenUp,
            _ => PageState::Unallocated,
        };
        (place, Some(entry))
    }
}

impl Drop for RecordTable {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours; the ledger that hands out references ends with it.
        unsafe { sys::release(self.records.cast(), Self::bytes(self.places)) };
    }
}
