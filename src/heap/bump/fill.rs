//! Filling slices, emptying them, and finding them again.

use super::super::ground::Ground;
use super::super::options::Bump;
use super::super::{HeapError, HeapStats};
use super::marks::Mark;
use super::slices::{Kind, PAGE, Slices};
use crate::math::page::align_up_saturating;
use core::ptr::NonNull;

pub(super) struct Fill {
    pub(super) slices: Slices,
    grain: usize,
    /// The slice that is being filled, from here to there; where there is none they are equal.
    current: usize,
    next: usize,
    end: usize,
    /// The slices from the first one up to this one were in use at some time.
    top: usize,
    is_open: bool,
    free: usize,
    live_blocks: usize,
    live_bytes: usize,
    peak_live_bytes: usize,
}

/// No slice.
const NONE: usize = usize::MAX;

/// A live block: where it is, its slice, and its length in bytes.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) position: usize,
    slice: usize,
    pub(super) len: usize,
    is_large: bool,
}

impl Fill {
    pub(super) fn new(ground: &Ground, options: Bump) -> Self {
        let slices = Slices::of(ground, options.slice, options.grain);
        Fill {
            grain: options.grain,
            current: NONE,
            next: 0,
            end: 0,
            top: slices.first,
            is_open: false,
            free: 0,
            live_blocks: 0,
            live_bytes: 0,
            peak_live_bytes: 0,
            slices,
        }
    }

    /// Everything is free, as in the beginning.
    pub(super) fn restart(&mut self) {
        *self = Fill {
            current: NONE,
            next: 0,
            end: 0,
            top: self.slices.first,
            free: 0,
            live_blocks: 0,
            live_bytes: 0,
            peak_live_bytes: 0,
            ..*self
        };
    }

    /// What a block of so many bytes takes.
    #[inline]
    fn rounded(&self, size: usize) -> usize {
        align_up_saturating(size, self.grain)
    }

    #[inline]
    fn is_small(&self, len: usize, align: usize) -> bool {
        len.max(align) <= self.slices.largest_small()
    }

    #[inline]
    fn count(&mut self, before: usize, after: usize) {
        self.live_bytes = self.live_bytes - before + after;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }

    #[inline]
    pub(super) fn allocate(
        &mut self,
        ground: &Ground,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let len = self.rounded(size);
        if !self.is_small(len, align) {
            return self.allocate_large(ground, size, align);
        }
        let mut start = align_up_saturating(self.next, align.max(self.grain));
        if start + len > self.end {
            start = self.refill(ground, size, len, align)?;
        }
        let end = start + len;
        ground.commit(self.slices.offset(self.next), self.slices.offset(end), size)?;
        let marks = self.slices.marks(self.current);
        let (before, first) = (self.slices.grain(self.next), self.slices.grain(start));
        marks.erase(before, first + len / self.grain);
        if before != first {
            marks.set(before, Mark::Padding);
        }
        marks.set(first, Mark::Live);
        self.slices.set_live(self.current, self.slices.live(self.current) + 1);
        self.next = end;
        self.live_blocks += 1;
        self.count(0, len);
        Ok(self.slices.at(start))
    }

    /// Begins another slice; where a block starts in it.
    #[cold]
    #[inline(never)]
    fn refill(&mut self, ground: &Ground, size: usize, len: usize, align: usize) -> Result<usize, HeapError> {
        self.open(ground, size)?;
        let slices = self.slices;
        let slice = slices.next(slices.first, self.top, true);
        // (The last slice may not have been full.)
        let is_last = self.current != NONE && self.current + 1 == self.top;
        let used = if is_last { self.next } else { self.used() };
        let used = slices.offset(used);
        let start = align_up_saturating(slices.data(slice), align.max(self.grain));
        // (Only the last slice may be too short.)
        if slice >= slices.count || start + len > slices.end_of(slice) {
            let to = (used + len).max(slices.offset(slices.end()) + 1);
            return ground.refuse(used, to, slices.offset(slices.end()), size);
        }
        ground.commit(used, slices.offset(start + len), size)?;
        if slice == self.top {
            slices.set_kind(slice, Kind::Fresh);
            self.top += 1;
        } else {
            self.free -= 1;
        }
        slices.set_free(slice, false);
        self.leave();
        if !matches!(slices.kind(slice), Kind::Blocks(_)) {
            slices.marks(slice).clear();
        }
        slices.set_kind(slice, Kind::Blocks(0));
        slices.set_live(slice, 0);
        (self.current, self.next, self.end) = (slice, slices.data(slice), slices.end_of(slice));
        Ok(start)
    }

    /// Commits the table, once.
    fn open(&mut self, ground: &Ground, size: usize) -> Result<(), HeapError> {
        if !self.is_open {
            self.slices.open(ground, size)?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Where the last slice that was ever in use ends.
    fn used(&self) -> usize {
        self.slices.start_of(self.top).min(self.slices.end()).max(self.slices.low())
    }

    /// Fills the current slice no further.
    fn leave(&mut self) {
        if self.current == NONE {
            return;
        }
        let end = self.next - self.slices.start_of(self.current);
        self.slices.set_kind(self.current, Kind::Blocks(end));
        if self.slices.live(self.current) == 0 {
            self.give_back(self.current, 1);
        }
        (self.current, self.next, self.end) = (NONE, 0, 0);
    }

    fn give_back(&mut self, slice: usize, count: usize) {
        (slice..slice + count).for_each(|slice| self.slices.set_free(slice, true));
        self.free += count;
    }

    fn allocate_large(
        &mut self,
        ground: &Ground,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        self.open(ground, size)?;
        let slices = self.slices;
        let pages = size.div_ceil(PAGE);
        let count = (pages * PAGE).div_ceil(slices.size());
        let slice = self.find_run(count, align);
        let start = slices.start_of(slice);
        let end = start.saturating_add(pages * PAGE);
        let used = slices.offset(self.used());
        if pages > Slices::MOST_PAGES || slice >= slices.count || end > slices.end() {
            let to = slices.offset(end.max(slices.end() + 1));
            return ground.refuse(used, to, slices.offset(slices.end()), size);
        }
        ground.commit(used.min(slices.offset(start)), slices.offset(end), size)?;
        self.take(slice, count);
        slices.set_live(slice, 1);
        slices.set_kind(slice, Kind::Large(pages));
        (1..count).for_each(|back| slices.set_kind(slice + back, Kind::Inner(back)));
        self.live_blocks += 1;
        self.count(0, pages * PAGE);
        Ok(slices.at(start))
    }

    /// The first slice of `count` free ones, or of those that nothing was ever in.
    fn find_run(&self, count: usize, align: usize) -> usize {
        let slices = &self.slices;
        let mut slice = slices.aligned(slices.first, align);
        while slice < self.top {
            let end = slices.next(slice, self.top, false);
            if end - slice >= count || end == self.top {
                return slice;
            }
            slice = slices.aligned(slices.next(end, self.top, true), align);
        }
        slice
    }

    /// Takes free slices, or such that nothing was ever in; what is left out below them is free.
    fn take(&mut self, slice: usize, count: usize) {
        while self.top < slice + count {
            self.slices.set_kind(self.top, Kind::Fresh);
            self.slices.set_live(self.top, 0);
            self.give_back(self.top, 1);
            self.top += 1;
        }
        (slice..slice + count).for_each(|slice| self.slices.set_free(slice, false));
        self.free -= count;
    }

    pub(super) fn free(&mut self, block: Found) {
        let slices = self.slices;
        self.live_blocks -= 1;
        self.count(block.len, 0);
        let live = slices.live(block.slice) - 1;
        slices.set_live(block.slice, live);
        if block.is_large {
            self.give_back(block.slice, block.len.div_ceil(slices.size()));
            return;
        }
        // The start stays marked, should the same block be freed once more.
        slices.marks(block.slice).set(slices.grain(block.position), Mark::Freed);
        if live > 0 {
            return;
        }
        if block.slice == self.current {
            self.next = slices.data(self.current);
        } else {
            self.give_back(block.slice, 1);
        }
    }

    /// Makes a live block as long as `size` bytes need, where it is; whether that was possible.
    pub(super) fn resize(&mut self, ground: &Ground, block: Found, size: usize) -> Result<bool, HeapError> {
        let slices = self.slices;
        if block.is_large {
            return self.resize_large(ground, block, size);
        }
        let len = self.rounded(size);
        let (old_end, end) = (block.position + block.len, block.position.saturating_add(len));
        if block.slice != self.current || old_end != self.next || end > self.end {
            return Ok(len <= block.len);
        }
        if end > old_end {
            ground.commit(slices.offset(old_end), slices.offset(end), size)?;
            slices
                .marks(block.slice)
                .erase(slices.grain(block.position) + 1, slices.grain(block.position) + len / self.grain);
        }
        self.next = end;
        self.count(block.len, len);
        Ok(true)
    }

    fn resize_large(&mut self, ground: &Ground, block: Found, size: usize) -> Result<bool, HeapError> {
        let slices = self.slices;
        let pages = size.div_ceil(PAGE);
        let (old, new) = (block.len.div_ceil(slices.size()), (pages * PAGE).div_ceil(slices.size()));
        let behind = block.slice + old;
        let end = block.position.saturating_add(pages * PAGE);
        if pages > Slices::MOST_PAGES || end > slices.end() {
            return Ok(false);
        }
        let known = self.top.min(block.slice + new);
        if new > old && slices.next(behind, known, false) < known {
            return Ok(false);
        }
        ground.commit(slices.offset(block.position + block.len), slices.offset(end), size)?;
        if new > old {
            self.take(behind, new - old);
            (old..new).for_each(|back| slices.set_kind(block.slice + back, Kind::Inner(back)));
        } else if new < old {
            self.give_back(block.slice + new, old - new);
        }
        slices.set_kind(block.slice, Kind::Large(pages));
        self.count(block.len, pages * PAGE);
        Ok(true)
    }

    /// Where the blocks of a slice end.
    #[inline]
    fn filled(&self, slice: usize, end: usize) -> usize {
        if slice == self.current { self.next } else { self.slices.start_of(slice) + end }
    }

    /// The live block at an address.
    #[inline]
    pub(super) fn find(&self, address: usize) -> Result<Found, HeapError> {
        let slices = &self.slices;
        let position = slices.position(address);
        let slice = slices.slice_of(position);
        if slice >= self.top || slice < slices.first || position < slices.low() {
            return Err(self.outside(address));
        }
        match slices.kind(slice) {
            Kind::Blocks(end) => {
                let (marks, grain) = (slices.marks(slice), slices.grain(position));
                let end = self.filled(slice, end);
                let is_start = position.is_multiple_of(self.grain) && position >= slices.data(slice);
                if is_start && position < end && marks.get(grain) == Mark::Live {
                    let first = slices.start_of(slice);
                    let next = marks.next(grain + 1, (end - first) / self.grain);
                    return Ok(Found {
                        position,
                        slice,
                        len: next * self.grain + first - position,
                        is_large: false,
                    });
                }
                Err(self.name_small(address, slice, end))
            }
            Kind::Large(pages) if position == slices.start_of(slice) && slices.live(slice) == 1 => {
                Ok(Found { position, slice, len: pages * PAGE, is_large: true })
            }
            _ => Err(self.name_large(address, slice)),
        }
    }

    #[cold]
    fn outside(&self, address: usize) -> HeapError {
        let slices = &self.slices;
        let start = slices.at(slices.low().min(slices.end())).addr().get();
        if address < start {
            return HeapError::BelowHeap { address, start };
        }
        HeapError::AboveHeap { address, end: slices.at(self.used().min(slices.end())).addr().get() }
    }

    #[cold]
    fn name_small(&self, address: usize, slice: usize, end: usize) -> HeapError {
        let slices = &self.slices;
        let position = slices.position(address);
        let marks = slices.marks(slice);
        let is_start = position.is_multiple_of(self.grain) && position >= slices.data(slice);
        // (Above the end are the marks of what was there before.)
        if is_start && matches!(marks.get(slices.grain(position)), Mark::Freed) {
            return HeapError::DoubleFree { address };
        }
        if position >= slices.data(slice) && position < end {
            let last = marks.last(slices.grain(position)).filter(|&grain| marks.get(grain) == Mark::Live);
            if let Some(grain) = last {
                let block = slices.at(slices.start_of(slice) + grain * self.grain).addr().get();
                return HeapError::InsideBlock { address, block };
            }
        }
        HeapError::NotABlock { address }
    }

    #[cold]
    fn name_large(&self, address: usize, slice: usize) -> HeapError {
        let slices = &self.slices;
        let position = slices.position(address);
        let (first, is_first) = match slices.kind(slice) {
            Kind::Large(_) => (slice, position == slices.start_of(slice)),
            Kind::Inner(back) => (slice - back, false),
            _ => return HeapError::NotABlock { address },
        };
        match slices.kind(first) {
            Kind::Large(_) if is_first => HeapError::DoubleFree { address },
            Kind::Large(pages)
                if !slices.is_free(slice) && position < slices.start_of(first) + pages * PAGE =>
            {
                HeapError::InsideBlock { address, block: slices.at(slices.start_of(first)).addr().get() }
            }
            _ => HeapError::NotABlock { address },
        }
    }

    /// Gives free slices at the top up; where what is in use ends, in bytes from the region's first.
    pub(super) fn lower(&mut self) -> usize {
        if self.current != NONE && self.slices.live(self.current) == 0 {
            self.leave();
        }
        while self.top > self.slices.first && self.slices.is_free(self.top - 1) {
            self.top -= 1;
            self.free -= 1;
        }
        if self.is_open { self.slices.offset(self.used()) } else { 0 }
    }

    pub(super) fn check(&self) -> Result<(), HeapError> {
        let slices = &self.slices;
        let (mut blocks, mut bytes, mut free) = (0, 0, 0);
        for slice in slices.first..self.top {
            let (live, bytes_here) = match slices.kind(slice) {
                Kind::Blocks(end) => self.add_up(slice, self.filled(slice, end)),
                Kind::Large(pages) if !slices.is_free(slice) => (1, pages * PAGE),
                Kind::Large(_) | Kind::Fresh => (0, 0),
                Kind::Inner(back) => {
                    let first = slice.wrapping_sub(back);
                    let is_there = slices.is_free(slice)
                        || (first >= slices.first
                            && matches!(slices.kind(first), Kind::Large(pages) if (pages * PAGE).div_ceil(slices.size()) > back));
                    if !is_there {
                        return Err(self.corrupt(slice));
                    }
                    (0, 0)
                }
            };
            let is_inner = matches!(slices.kind(slice), Kind::Inner(_));
            let is_empty = live == 0 && slice != self.current && !is_inner;
            if (!is_inner && live != slices.live(slice) as usize)
                || (!is_inner && is_empty != slices.is_free(slice))
                || slices.is_free(slice) && slice == self.current
            {
                return Err(self.corrupt(slice));
            }
            (blocks, bytes, free) =
                (blocks + live, bytes + bytes_here, free + usize::from(slices.is_free(slice)));
        }
        if (blocks, bytes, free) == (self.live_blocks, self.live_bytes, self.free) {
            return Ok(());
        }
        Err(self.corrupt(slices.first))
    }

    #[cold]
    fn corrupt(&self, slice: usize) -> HeapError {
        let address = self.slices.at(self.slices.start_of(slice).max(self.slices.low())).addr().get();
        HeapError::Corrupt { address, what: "what is known of the slice" }
    }

    /// The live blocks of a slice, and their bytes.
    fn add_up(&self, slice: usize, end: usize) -> (usize, usize) {
        let slices = &self.slices;
        let (marks, first) = (slices.marks(slice), slices.start_of(slice));
        let (mut grain, last) = (slices.grain(slices.data(slice)), end.saturating_sub(first) / self.grain);
        let (mut blocks, mut grains) = (0, 0);
        while grain < last {
            let next = marks.next(grain + 1, last);
            if marks.get(grain) == Mark::Live {
                (blocks, grains) = (blocks + 1, grains + next - grain);
            }
            grain = next;
        }
        (blocks, grains * self.grain)
    }

    pub(super) fn stats(&self, ground: &Ground) -> HeapStats {
        let slices = &self.slices;
        // The last slice need not be committed as a whole.
        let reach = (slices.low().max(slices.start_of(self.top)))
            .min(slices.end())
            .min(slices.position(ground.at(ground.committed()).addr().get()));
        let is_empty =
            |slice: usize| slices.is_free(slice) || (slice == self.current && slices.live(slice) == 0);
        let (mut runs, mut run, mut longest, mut free) = (0, 0, 0, 0);
        for slice in slices.first..self.top {
            let end = slices.end_of(slice).min(reach);
            if is_empty(slice) {
                let start = slices.start_of(slice).max(slices.low());
                runs += usize::from(run == 0);
                run += end.saturating_sub(start);
                free += end.saturating_sub(start);
            } else {
                run = 0;
                // What is left of the slice that is being filled can be had as well.
                free += if slice == self.current { end.saturating_sub(self.next) } else { 0 };
            }
            longest = longest.max(run);
        }
        HeapStats {
            live_blocks: self.live_blocks,
            live_bytes: self.live_bytes,
            peak_live_bytes: self.peak_live_bytes,
            used: if self.is_open { slices.offset(reach) } else { 0 },
            free_bytes: free,
            free_runs: runs,
            largest_free_run: longest,
            ..HeapStats::default()
        }
    }
}
