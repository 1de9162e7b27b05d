//! [`HeapPolicy::Stack`](super::HeapPolicy::Stack): blocks are allocated upwards and freed from the top.
//!
//! ```text
//!   header │ block    │ padding │ header │ block      │ header │ block │
//!     ^         `────────── below ───┘ ^    `─ below ────┘                ^ top
//! ```
//!
//! A header is the 16 bytes before its block: the start of the block below, the length of this one, and whether it was freed,
//! with a stamp over all of that. Freeing the top block moves the top down to the highest live block. Headers of freed blocks
//! remain in the free memory, so that a double free differs from an address that never was a block.

mod check;
mod header;

use super::backing::HeapBacking;
use super::header_secret::HeaderSecret;
use super::placement_policy::PlacementPolicy;
use super::{HeapError, HeapStats};
use crate::math::page::align_up;
use crate::policy::Stack;
use crate::region::Region;
use crate::sys::SpinLock;
use core::ptr::NonNull;
use header::{HEADER, HeaderWords, MASK, NO_BLOCK, StackHeader};

pub(crate) struct StackHeap {
    backing: HeapBacking,
    align: usize,
    /// Lengths are rounded up to this, so that the next header is aligned.
    grain: usize,
    state: SpinLock<StackState>,
}

/// (In this order no two neighbours are always written together. Neighbours that are would be stored as one and loaded as two,
/// which defeats store forwarding.)
#[repr(C)]
struct StackState {
    secret: HeaderSecret,
    /// The offset of the end of the last block.
    top: usize,
    /// Everything up to this offset is known to be committed.
    ready: usize,
    /// The start of the last block, which is live, or `NO_BLOCK`.
    last: usize,
    /// The words of its header, which were checked.
    words: HeaderWords,
    live_blocks: usize,
    peak_live_bytes: usize,
    live_bytes: usize,
    /// The bytes of freed blocks below the top.
    freed_bytes: usize,
}

impl StackHeap {
    pub(crate) fn over(region: Region, options: Stack) -> Result<Self, HeapError> {
        let align = options.align;
        if !align.is_power_of_two() || !(8..=4096).contains(&align) {
            let expected = "alignment of a stack's blocks: a power of two from 8 to 4096";
            return Err(HeapError::Option { expected, value: align });
        }
        let state = StackState::new(region.as_ptr().addr());
        // SAFETY: `is_single` is set by `Stack::single_threaded`, whose contract is that no two calls overlap in time.
        let state = unsafe { SpinLock::new_unless(options.is_single, state) };
        Ok(StackHeap { backing: HeapBacking::new(region), align, grain: align.min(HEADER), state })
    }

    pub(crate) fn reset(&mut self) {
        let start = self.backing.start();
        *self.state.lock() = StackState::new(start);
    }

    /// The offset and header of a live block.
    #[inline]
    fn find(&self, state: &StackState, block: NonNull<u8>) -> Result<(usize, StackHeader), HeapError> {
        let offset = block.addr().get().wrapping_sub(self.backing.start());
        if offset < state.top && offset >= HEADER && offset.is_multiple_of(8) {
            match self.read(state, offset) {
                Some(header) if !header.is_freed => return Ok((offset, header)),
                _ => {}
            }
        }
        Err(self.name(state, block))
    }

    /// Where a block would start and end above `from`; `None` if no address is that high.
    fn bounds(&self, from: usize, size: usize, align: usize) -> Option<(usize, usize)> {
        let start = align_up(self.backing.start() + from + HEADER, align.max(self.align))?;
        let end = start.checked_add(self.rounded(size)?)?;
        Some((start - self.backing.start(), end - self.backing.start()))
    }

    /// The length of a block of so many bytes.
    fn rounded(&self, size: usize) -> Option<usize> {
        align_up(size, self.grain)
    }

    fn push(&self, state: &mut StackState, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let (start, end) = self.bounds(state.top, size, align).unwrap_or((state.top, usize::MAX));
        self.backing.commit(state.top, end, size)?;
        state.ready = self.backing.committed();
        Ok(self.put(state, start, end))
    }

    /// Makes a block of a committed range above the top.
    #[inline]
    fn put(&self, state: &mut StackState, start: usize, end: usize) -> NonNull<u8> {
        state.words = self.write(state, start, state.last, end - start);
        (state.top, state.last) = (end, start);
        state.live_blocks += 1;
        state.count(end - start);
        self.backing.at(start)
    }

    /// Allocates a block if there is committed memory for it above the top, and `align`, a power of two, is at most every
    /// block's alignment: the fast path of an allocation.
    #[inline]
    pub(crate) fn allocate_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let state = &mut *self.state.try_lock()?;
        // (0 bytes wrap to more than there can be.)
        if align > self.align || size.wrapping_sub(1) >= state.ready {
            return None;
        }
        let up = |offset: usize, to: usize| (offset + (to - 1)) & !(to - 1);
        // The region starts at a page, so an aligned offset is an aligned address.
        let start = up(state.top + HEADER, self.align);
        let end = start + up(size, self.grain);
        if end <= state.ready { Some(self.put(state, start, end)) } else { None }
    }

    /// Frees the last block if the one below it is live: the fast path of a free. Returns whether it did.
    #[inline]
    pub(crate) fn deallocate_fast(&self, block: NonNull<u8>) -> bool {
        let Some(mut state) = self.state.try_lock() else { return false };
        let state = &mut *state;
        let offset = block.addr().get().wrapping_sub(self.backing.start());
        if offset != state.last || offset == NO_BLOCK {
            return false;
        }
        if self.words(offset) != state.words {
            return false;
        }
        let below = (state.words.0 & MASK) as usize;
        let len = (state.words.1 & MASK) as usize;
        if below == NO_BLOCK {
            (state.last, state.top) = (NO_BLOCK, 0);
        } else {
            let words = self.words(below);
            if !Self::is_live(state, below, words) {
                return false;
            }
            (state.last, state.top, state.words) = (below, below + (words.1 & MASK) as usize, words);
        }
        self.mark_freed(offset);
        state.live_blocks -= 1;
        state.live_bytes -= len;
        true
    }

    /// Makes a live block, or none, the last one.
    fn set_last(&self, state: &mut StackState, last: usize, top: usize) {
        (state.last, state.top) = (last, top);
        if last != NO_BLOCK {
            state.words = self.words(last);
        }
    }

    fn pop(&self, state: &mut StackState, block: usize, header: StackHeader) -> Result<(), HeapError> {
        if block == state.last {
            let (mut last, mut top, mut returned) = (header.below, 0, 0);
            while last != NO_BLOCK {
                let Some(below) = self.read(state, last) else { return Err(self.corrupt(last)) };
                if !below.is_freed {
                    top = last + below.len;
                    break;
                }
                (last, returned) = (below.below, returned + below.len);
            }
            self.set_last(state, last, top);
            state.freed_bytes -= returned;
        } else {
            state.freed_bytes += header.len;
        }
        self.mark_freed(block);
        state.live_blocks -= 1;
        state.live_bytes -= header.len;
        Ok(())
    }
}

impl StackState {
    fn new(start: usize) -> Self {
        StackState {
            secret: HeaderSecret::new(start),
            top: 0,
            last: NO_BLOCK,
            words: (0, 0),
            live_blocks: 0,
            live_bytes: 0,
            peak_live_bytes: 0,
            freed_bytes: 0,
            ready: 0,
        }
    }

    #[inline]
    fn count(&mut self, bytes: usize) {
        self.live_bytes += bytes;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }
}

impl PlacementPolicy for StackHeap {
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        self.push(&mut self.state.lock(), size, align)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let state = &mut *self.state.lock();
        let (offset, header) = self.find(state, block)?;
        self.pop(state, offset, header)
    }

    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let state = &mut *self.state.lock();
        let (offset, header) = self.find(state, block)?;
        if block.addr().get().is_multiple_of(align) {
            if offset == state.last {
                let end = self.rounded(size).and_then(|len| offset.checked_add(len)).unwrap_or(usize::MAX);
                self.backing.commit(state.top, end, size)?;
                state.words = self.write(state, offset, header.below, end - offset);
                state.live_bytes -= header.len;
                state.count(end - offset);
                state.top = end;
                return Ok(self.backing.at(offset));
            }
            if size <= header.len {
                return Ok(self.backing.at(offset));
            }
        }
        let moved = self.push(state, size, align)?;
        // SAFETY: the old block has `header.len` bytes, the new one at least `size`, and it is above the old one.
        unsafe { moved.copy_from_nonoverlapping(self.backing.at(offset), header.len.min(size)) };
        // (It is no longer the last block, so only its own header changes.)
        self.pop(state, offset, header)?;
        Ok(moved)
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        Ok(self.find(&self.state.lock(), block)?.1.len)
    }

    fn backing(&self) -> &HeapBacking {
        &self.backing
    }

    fn check(&self) -> Result<(), HeapError> {
        self.check_all(&self.state.lock())
    }

    fn stats(&self) -> HeapStats {
        self.collect_stats(&self.state.lock())
    }

    fn trim(&self, keep: usize) -> usize {
        let state = &mut *self.state.lock();
        state.ready = 0;
        // SAFETY: no live block is above the top, and the lock excludes other calls.
        unsafe { self.backing.trim(state.top.saturating_add(keep)) }
    }

    fn is_locked(&self) -> bool {
        self.state.is_held()
    }

    fn before_fork(&self) {
        // SAFETY: no call of this heap has two guards at a time.
        unsafe { self.state.lock_for_fork() };
    }

    unsafe fn after_fork(&self, _is_child: bool) {
        // SAFETY: this thread, or the one it is a copy of, called `before_fork`: this function's contract.
        unsafe { self.state.unlock_after_fork() };
    }
}
