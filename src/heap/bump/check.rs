//! What an address is, the check of all slices, and the figures.

use super::super::backing::HeapBacking;
use super::super::{HeapError, HeapStats};
use super::marks::GrainMark;
use super::slice_table::{PAGE, SliceKind};
use super::state::{BumpBlock, BumpState};

impl BumpState {
    /// Where the blocks of a slice end.
    #[inline]
    fn filled(&self, slice: usize, end: usize) -> usize {
        if slice == self.current { self.next } else { self.slices.start_of(slice) + end }
    }

    /// The live block at a position of a slice of blocks, which is filled up to `end`.
    #[inline]
    fn small(&self, slice: usize, position: usize, end: usize) -> Option<BumpBlock> {
        let slices = &self.slices;
        let (marks, grain) = (slices.marks(slice), slices.grain(position));
        let is_start = position & (self.grain - 1) == 0 && position >= slices.data(slice);
        if !is_start || position >= end || marks.get(grain) != GrainMark::Live {
            return None;
        }
        let first = slices.start_of(slice);
        let next = marks.next_near(grain + 1, slices.grains(end - first));
        Some(BumpBlock { position, slice, len: slices.bytes(next) + first - position, is_large: false })
    }

    /// The live block at an address, if it is a small one: for the fast path.
    #[inline]
    pub(super) fn find_small(&self, address: usize) -> Option<BumpBlock> {
        let slices = &self.slices;
        let position = slices.position(address);
        let slice = slices.slice_of(position);
        if slice >= self.top || slice < slices.first || position < slices.low() {
            return None;
        }
        match slices.kind(slice) {
            SliceKind::Blocks(end) => self.small(slice, position, self.filled(slice, end)),
            _ => None,
        }
    }

    /// The live block at an address.
    pub(super) fn find(&self, address: usize) -> Result<BumpBlock, HeapError> {
        let slices = &self.slices;
        let position = slices.position(address);
        let slice = slices.slice_of(position);
        if slice >= self.top || slice < slices.first || position < slices.low() {
            return Err(self.outside(address));
        }
        match slices.kind(slice) {
            SliceKind::Blocks(end) => {
                let end = self.filled(slice, end);
                self.small(slice, position, end).ok_or_else(|| self.name_small(address, slice, end))
            }
            SliceKind::Large(pages) if position == slices.start_of(slice) && slices.live(slice) == 1 => {
                Ok(BumpBlock { position, slice, len: pages * PAGE, is_large: true })
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
        let is_start = position & (self.grain - 1) == 0 && position >= slices.data(slice);
        // (Above the end are the marks of earlier blocks.)
        if is_start && matches!(marks.get(slices.grain(position)), GrainMark::Freed) {
            return HeapError::DoubleFree { address };
        }
        if position >= slices.data(slice) && position < end {
            let last =
                marks.last(slices.grain(position)).filter(|&grain| marks.get(grain) == GrainMark::Live);
            if let Some(grain) = last {
                let block = slices.at(slices.start_of(slice) + slices.bytes(grain)).addr().get();
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
            SliceKind::Large(_) => (slice, position == slices.start_of(slice)),
            SliceKind::Inner(back) => (slice - back, false),
            _ => return HeapError::NotABlock { address },
        };
        match slices.kind(first) {
            SliceKind::Large(_) if is_first => HeapError::DoubleFree { address },
            SliceKind::Large(pages)
                if !slices.is_free(slice) && position < slices.start_of(first) + pages * PAGE =>
            {
                HeapError::InsideBlock { address, block: slices.at(slices.start_of(first)).addr().get() }
            }
            _ => HeapError::NotABlock { address },
        }
    }

    pub(super) fn check(&self) -> Result<(), HeapError> {
        let slices = &self.slices;
        let (mut blocks, mut bytes, mut free) = (0, 0, 0);
        for slice in slices.first..self.top {
            let (live, bytes_here) = match slices.kind(slice) {
                SliceKind::Blocks(end) => self.add_up(slice, self.filled(slice, end)),
                SliceKind::Large(pages) if !slices.is_free(slice) => (1, pages * PAGE),
                SliceKind::Large(_) | SliceKind::Fresh => (0, 0),
                SliceKind::Inner(back) => {
                    let first = slice.wrapping_sub(back);
                    let is_there = slices.is_free(slice)
                        || (first >= slices.first
                            && matches!(slices.kind(first), SliceKind::Large(pages) if (pages * PAGE).div_ceil(slices.size()) > back));
                    if !is_there {
                        return Err(self.corrupt(slice));
                    }
                    (0, 0)
                }
            };
            let is_inner = matches!(slices.kind(slice), SliceKind::Inner(_));
            let is_empty = live == 0 && slice != self.current && !is_inner;
            if (!is_inner && (live != slices.live(slice) as usize || is_empty != slices.is_free(slice)))
                || (slices.is_free(slice) && slice == self.current)
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
        HeapError::Corrupt { address, what: "the entry of a slice" }
    }

    /// The live blocks of a slice, and their bytes.
    fn add_up(&self, slice: usize, end: usize) -> (usize, usize) {
        let slices = &self.slices;
        let (marks, first) = (slices.marks(slice), slices.start_of(slice));
        let (mut grain, last) = (slices.grain(slices.data(slice)), slices.grains(end.saturating_sub(first)));
        let (mut blocks, mut grains) = (0, 0);
        while grain < last {
            let next = marks.next(grain + 1, last);
            if marks.get(grain) == GrainMark::Live {
                (blocks, grains) = (blocks + 1, grains + next - grain);
            }
            grain = next;
        }
        (blocks, slices.bytes(grains))
    }

    pub(super) fn stats(&self, backing: &HeapBacking) -> HeapStats {
        let slices = &self.slices;
        // (The last slice may not be committed to its end.)
        let reach = (slices.low().max(slices.start_of(self.top)))
            .min(slices.end())
            .min(slices.position(backing.at(backing.committed()).addr().get()));
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
                // (The rest of the current slice can be allocated, too.)
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
