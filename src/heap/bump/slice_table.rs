//! The slices of a region and the kind of each: a table at the region's beginning.
//!
//! SliceTable lie on a grid of addresses that are multiples of their size, so the first and the last one may be cut short.
//! All positions are bytes from the grid's first line, which is at or below the region's first byte.

use super::super::backing::HeapBacking;
use super::super::{HeapError, MIN_ALIGN};
use super::marks::BlockMarks;
use crate::math::page::{align_down, align_up_saturating};
use core::ptr::NonNull;

/// The kind of a slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SliceKind {
    /// It was never used.
    Fresh,
    /// Small blocks, up to this position in it.
    Blocks(usize),
    /// The first slice of a large block of so many pages.
    Large(usize),
    /// Another slice of a large block: so many after the first.
    Inner(usize),
}

/// The pages that a large block's length is counted in, in bytes.
pub(super) const PAGE: usize = 4096;

const KIND_BITS: u32 = 30;
const MAX_NUMBER: usize = (1 << KIND_BITS) - 1;

#[derive(Clone, Copy)]
#[repr(C)]
struct SliceEntry {
    live: u32,
    /// The kind, and its number: units of 8 bytes, pages, or slices.
    kind: u32,
}

/// The layout of the region, which does not change.
#[derive(Clone, Copy)]
pub(super) struct SliceTable {
    base: NonNull<u8>,
    shift: u32,
    grain_shift: u32,
    /// Derived from these: the words of one map of marks, the bytes of both, and the maximum length of a small block.
    words: usize,
    header: usize,
    largest: usize,
    /// The positions of the region's start and end.
    start: usize,
    end: usize,
    /// Where the table ends.
    table_end: usize,
    /// Where the first slice begins.
    low: usize,
    /// The first slice with space for blocks, and the number of all slices.
    pub(super) first: usize,
    pub(super) count: usize,
}

// SAFETY: an address and numbers; the heap's lock guards the memory there.
unsafe impl Send for SliceTable {}

impl SliceTable {
    pub(super) fn of(backing: &HeapBacking, slice: usize, grain: usize) -> Self {
        let max = backing.control().usable_bytes();
        // A small region has small slices, so that there are several.
        let few = (max / 8).max(PAGE).ilog2();
        let shift = slice.ilog2().min(few);
        let start = backing.start() & ((1 << shift) - 1);
        let end = start + max;
        let count = end.div_ceil(1 << shift);
        let table = count * size_of::<SliceEntry>() + count.div_ceil(64) * 8;
        let table_end = align_up_saturating(start + table, 64);
        let mut slices = SliceTable {
            base: backing.at(0),
            shift,
            grain_shift: grain.ilog2(),
            words: (1usize << shift >> grain.ilog2()).div_ceil(64),
            header: align_up_saturating(BlockMarks::bytes(1 << shift >> grain.ilog2()), MIN_ALIGN),
            largest: (1 << shift) / 4,
            low: 0,
            start,
            end,
            table_end,
            first: table_end >> shift,
            count,
        };
        // (The rest of a slice after the table may be less than its marks need.)
        while slices.first < count
            && slices.data(slices.first) + 2 * slices.largest_small() > slices.end_of(slices.first)
        {
            slices.first += 1;
        }
        slices.low = slices.marks_start(slices.first);
        slices
    }

    /// Bytes in a slice.
    #[inline]
    pub(super) fn size(&self) -> usize {
        1 << self.shift
    }

    /// The maximum length and alignment of small blocks, which share slices.
    #[inline]
    pub(super) fn largest_small(&self) -> usize {
        self.largest
    }

    /// Bytes from the region's first one to a position.
    #[inline]
    pub(super) fn offset(&self, position: usize) -> usize {
        position - self.start
    }

    /// The address of a position.
    #[inline]
    pub(super) fn at(&self, position: usize) -> NonNull<u8> {
        debug_assert!(position >= self.start && position <= self.end, "a position in the region");
        // SAFETY: callers pass positions in the region or its end, so the address is in the region or its end.
        unsafe { self.base.add(position - self.start) }
    }

    /// The position of an address, which may be outside the region.
    #[inline]
    pub(super) fn position(&self, address: usize) -> usize {
        address.wrapping_sub(self.base.addr().get()).wrapping_add(self.start)
    }

    #[inline]
    pub(super) fn slice_of(&self, position: usize) -> usize {
        position >> self.shift
    }

    #[inline]
    pub(super) fn start_of(&self, slice: usize) -> usize {
        slice << self.shift
    }

    #[inline]
    pub(super) fn end_of(&self, slice: usize) -> usize {
        ((slice + 1) << self.shift).min(self.end)
    }

    /// The maximum position at which a block may end.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Where a slice's marks are.
    #[inline]
    fn marks_start(&self, slice: usize) -> usize {
        self.start_of(slice).max(self.table_end)
    }

    /// Where the first slice begins.
    #[inline]
    pub(super) fn low(&self) -> usize {
        self.low
    }

    /// Where the blocks of a slice begin.
    #[inline]
    pub(super) fn data(&self, slice: usize) -> usize {
        self.marks_start(slice) + self.header
    }

    /// The marks of a slice of blocks.
    #[inline]
    pub(super) fn marks(&self, slice: usize) -> BlockMarks {
        // SAFETY: the marks of a slice of small blocks are committed, at a multiple of 8, in front of its blocks; the heap's lock is
        // held while they are used.
        unsafe { BlockMarks::at(self.at(self.marks_start(slice)), self.words) }
    }

    /// A placeholder for marks that must not be used.
    pub(super) fn marks_of_none(&self) -> BlockMarks {
        // SAFETY: maps of 0 words need no memory.
        unsafe { BlockMarks::at(NonNull::<u64>::dangling().cast(), 0) }
    }

    /// Bytes to grains.
    #[inline]
    pub(super) fn grains(&self, bytes: usize) -> usize {
        bytes >> self.grain_shift
    }

    /// Grains to bytes.
    #[inline]
    pub(super) fn bytes(&self, grains: usize) -> usize {
        grains << self.grain_shift
    }

    /// The grain of a position within its slice.
    #[inline]
    pub(super) fn grain(&self, position: usize) -> usize {
        self.grains(position & (self.size() - 1))
    }

    /// The first slice from `slice` on that a large block may start in and whose address is a multiple of `align`.
    pub(super) fn aligned(&self, slice: usize, align: usize) -> usize {
        let slice = slice.max(self.table_end.div_ceil(self.size()));
        let address = self.base.addr().get() - self.start + self.start_of(slice);
        let missing = align_up_saturating(address, align.max(self.size())) - address;
        slice.saturating_add(missing >> self.shift).min(self.count)
    }

    #[inline]
    fn entry(&self, slice: usize) -> NonNull<SliceEntry> {
        debug_assert!(slice < self.count, "a slice of the region");
        // SAFETY: `slice` is below `count`, and the table of `count` entries is at the region's beginning.
        unsafe { self.base.cast::<SliceEntry>().add(slice) }
    }

    /// Commits the table.
    pub(super) fn open(&self, backing: &HeapBacking, requested: usize) -> Result<(), HeapError> {
        backing.commit(0, self.offset(self.table_end), requested)
    }

    #[inline]
    pub(super) fn live(&self, slice: usize) -> u32 {
        // SAFETY: the table was committed before any slice was used; the heap's lock is held.
        unsafe { self.entry(slice).read().live }
    }

    #[inline]
    pub(super) fn set_live(&self, slice: usize, live: u32) {
        // SAFETY: the table was committed before any slice was used; the heap's lock is held.
        unsafe { (*self.entry(slice).as_ptr()).live = live };
    }

    #[inline]
    pub(super) fn kind(&self, slice: usize) -> SliceKind {
        // SAFETY: the table was committed before any slice was used; the heap's lock is held.
        let kind = unsafe { self.entry(slice).read().kind };
        let number = kind as usize & MAX_NUMBER;
        match kind >> KIND_BITS {
            0 => SliceKind::Fresh,
            1 => SliceKind::Blocks(number * 8),
            2 => SliceKind::Large(number),
            _ => SliceKind::Inner(number),
        }
    }

    #[inline]
    pub(super) fn set_kind(&self, slice: usize, kind: SliceKind) {
        let (code, number) = match kind {
            SliceKind::Fresh => (0, 0),
            SliceKind::Blocks(end) => (1, end / 8),
            SliceKind::Large(pages) => (2, pages),
            SliceKind::Inner(back) => (3, back),
        };
        debug_assert!(number <= MAX_NUMBER, "a number that an entry can hold");
        // SAFETY: the table was committed before any slice was used; the heap's lock is held.
        unsafe { (*self.entry(slice).as_ptr()).kind = code << KIND_BITS | number as u32 };
    }

    /// The maximum number of pages that an entry can hold.
    pub(super) const MAX_PAGES: usize = MAX_NUMBER;

    fn free_word(&self, slice: usize) -> NonNull<u64> {
        // SAFETY: `slice` is below `count`, and a bit for each of the `count` slices follows the table, within `table_end`.
        unsafe { self.base.cast::<SliceEntry>().add(self.count).cast::<u64>().add(slice / 64) }
    }

    /// Whether a slice that was used is free. The one that is being filled never is.
    #[inline]
    pub(super) fn is_free(&self, slice: usize) -> bool {
        // SAFETY: the words were committed with the table; the heap's lock is held.
        unsafe { self.free_word(slice).read() >> (slice % 64) & 1 != 0 }
    }

    pub(super) fn set_free(&self, slice: usize, is_free: bool) {
        let (word, bit) = (self.free_word(slice), 1 << (slice % 64));
        // SAFETY: the words were committed with the table; the heap's lock is held.
        unsafe { word.write(if is_free { word.read() | bit } else { word.read() & !bit }) };
    }

    /// The first slice from `from` on, below `to`, that is free or (`!free`) is not; otherwise `to`.
    pub(super) fn next(&self, from: usize, to: usize, free: bool) -> usize {
        let mut slice = from;
        while slice < to {
            // SAFETY: the words were committed with the table; the heap's lock is held.
            let word = unsafe { self.free_word(slice).read() };
            let found = if free { word } else { !word } >> (slice % 64);
            if found != 0 {
                return (slice + found.trailing_zeros() as usize).min(to);
            }
            slice = align_down(slice, 64) + 64;
        }
        to
    }
}
