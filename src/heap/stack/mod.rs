//! [`HeapPolicy::Stack`](super::HeapPolicy::Stack): blocks bumped upwards, and given back from the top.
//!
//! ```text
//!   header │ block    │ padding │ header │ block      │ header │ block │
//!     ^         `────────── below ───┘ ^    `─ below ────┘                ^ top
//! ```
//!
//! A header is the 16 bytes before its block: where the block below starts, how long this one is, and whether it was
//! freed, with a stamp over all of that. Freeing the top block takes the top down to the highest block that lives;
//! freed headers stay behind in the free memory, so that a block which is freed again is told from one that never was.

use super::backing::HeapBacking;
use super::block_allocator::BlockAllocator;
use super::header_secret::HeaderSecret;
use super::{HeapError, HeapStats};
use crate::heap::options::Stack;
use crate::math::page::align_up;
use crate::region::Region;
use crate::sys::SpinLock;
use core::ptr::NonNull;

const HEADER: usize = 16;
/// Offsets and lengths are this long in a header; the rest of its words is the stamp.
const BITS: u32 = 48;
const MASK: u64 = (1 << BITS) - 1;
/// How far the second half of the stamp is below the first.
const HALF: u32 = u64::BITS - BITS;
/// What the stamp in the second word of a freed block differs in.
const FREED: u64 = 0x5555;
/// An offset where no block starts.
const NONE: usize = 0;

pub(crate) struct StackHeap {
    backing: HeapBacking,
    align: usize,
    /// What lengths are rounded up to, so that the next header is aligned.
    grain: usize,
    state: SpinLock<StackState>,
}

/// (In this order no two neighbours are always changed together: written as one and read as two, or the other way round,
/// they would have to go all the way to the cache.)
#[repr(C)]
struct StackState {
    secret: HeaderSecret,
    /// The offset at which the last block ends.
    top: usize,
    /// Up to here everything is known to be committed.
    ready: usize,
    /// Where the last block starts, which lives; `NONE` if there is none.
    last: usize,
    /// The words of its header, which was found to be one.
    words: HeaderWords,
    live_blocks: usize,
    peak_live_bytes: usize,
    live_bytes: usize,
    /// Of freed blocks below the top.
    freed_bytes: usize,
}

/// A header as it stands in memory: where the block below starts and how long this one is, each with half of the stamp.
type HeaderWords = (u64, u64);

/// A header, read.
#[derive(Clone, Copy)]
struct StackHeader {
    /// Where the block below starts, `NONE` if there is none.
    below: usize,
    len: usize,
    is_freed: bool,
}

impl StackHeap {
    pub(crate) fn over(region: Region, options: Stack) -> Result<Self, HeapError> {
        let align = options.align;
        if !align.is_power_of_two() || !(8..=4096).contains(&align) {
            let expected = "alignment of a stack's blocks: a power of two from 8 to 4096";
            return Err(HeapError::Option { expected, value: align });
        }
        let state = StackState::new(region.as_ptr().addr());
        // SAFETY: whoever chose it promised that no two calls overlap.
        let state = unsafe { SpinLock::new_unless(options.is_single, state) };
        Ok(StackHeap { backing: HeapBacking::new(region), align, grain: align.min(HEADER), state })
    }

    pub(crate) fn reset(&mut self) {
        let start = self.backing.start();
        *self.state.lock() = StackState::new(start);
    }

    /// Where a block's header stands.
    #[inline]
    fn header(&self, block: usize) -> NonNull<u64> {
        self.backing.at(block - HEADER).cast()
    }

    /// Writes the header of a live block; what it is in memory.
    #[inline]
    fn write(&self, state: &StackState, block: usize, below: usize, len: usize) -> HeaderWords {
        let (first, second) = (below as u64, len as u64);
        let stamp = state.secret.short(block, first, second);
        let words = (first | (stamp & !MASK), second | ((stamp << HALF) & !MASK));
        let at = self.header(block);
        // SAFETY: the header of a block below the top, or of one that is being made: committed, aligned to 8, ours.
        unsafe {
            at.write(words.0);
            at.add(1).write(words.1);
        }
        words
    }

    /// What stands in memory where a header would be: the offset is a multiple of 8, and committed memory is before it.
    #[inline]
    fn words(&self, block: usize) -> HeaderWords {
        let at = self.header(block);
        // SAFETY: committed memory of the region, aligned to 8. If it is inside a block that somebody writes to at this
        // moment, the caller of the heap broke its promise, and gets an error.
        unsafe { (at.read(), at.add(1).read()) }
    }

    /// What these words differ in from the header of a live block: for each the half of the stamp, lowest.
    #[inline]
    fn differences(state: &StackState, block: usize, (first, second): HeaderWords) -> (u64, u64) {
        let stamp = state.secret.short(block, first & MASK, second & MASK);
        ((first ^ stamp) >> BITS, (second ^ (stamp << HALF)) >> BITS)
    }

    #[inline]
    fn is_live(state: &StackState, block: usize, words: HeaderWords) -> bool {
        let stamp = state.secret.short(block, words.0 & MASK, words.1 & MASK);
        ((words.0 ^ stamp) | (words.1 ^ (stamp << HALF))) >> BITS == 0
    }

    /// The header before an offset, if there is one: as for [`words`](Self::words).
    #[inline]
    fn read(&self, state: &StackState, block: usize) -> Option<StackHeader> {
        let words = self.words(block);
        let difference = Self::differences(state, block, words);
        let is_freed = difference == (0, FREED);
        (difference == (0, 0) || is_freed).then_some(StackHeader {
            below: (words.0 & MASK) as usize,
            len: (words.1 & MASK) as usize,
            is_freed,
        })
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

    /// What an address is that is no live block.
    #[cold]
    fn name(&self, state: &StackState, block: NonNull<u8>) -> HeapError {
        let address = block.addr().get();
        let offset = address.wrapping_sub(self.backing.start());
        // The memory above the top keeps the headers of what was freed.
        let known = offset.wrapping_sub(HEADER) < self.backing.committed().saturating_sub(HEADER);
        if known && offset.is_multiple_of(8) && self.read(state, offset).is_some_and(|header| header.is_freed)
        {
            return HeapError::DoubleFree { address };
        }
        if let Err(error) = self.backing.offset(block, state.top) {
            return error;
        }
        match self.each_below(state, |start, header| (start <= offset).then_some((start, header))) {
            Err(error) => error,
            Ok(Some((start, header))) if offset < start + header.len => {
                HeapError::InsideBlock { address, block: self.backing.start() + start }
            }
            // (The one above it was overwritten, if it is the start of one.)
            Ok(_) => HeapError::NotABlock { address },
        }
    }

    /// Shows every block from the last one down, until one is found.
    fn each_below<T>(
        &self,
        state: &StackState,
        mut found: impl FnMut(usize, StackHeader) -> Option<T>,
    ) -> Result<Option<T>, HeapError> {
        let (mut block, mut above) = (state.last, state.top);
        while block != NONE {
            let fits = |header: &StackHeader| {
                block + header.len <= above && (header.below == NONE || header.below + HEADER < block)
            };
            let Some(header) = self.read(state, block).filter(fits) else {
                return Err(self.corrupt(block));
            };
            if let Some(found) = found(block, header) {
                return Ok(Some(found));
            }
            above = block - HEADER;
            block = header.below;
        }
        Ok(None)
    }

    /// Where a block would start and end above `from`; `None` where no address is that high.
    fn place(&self, from: usize, size: usize, align: usize) -> Option<(usize, usize)> {
        let start = align_up(self.backing.start() + from + HEADER, align.max(self.align))?;
        let end = start.checked_add(self.rounded(size)?)?;
        Some((start - self.backing.start(), end - self.backing.start()))
    }

    /// What a block of so many bytes takes.
    fn rounded(&self, size: usize) -> Option<usize> {
        align_up(size, self.grain)
    }

    fn push(&self, state: &mut StackState, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let (start, end) = self.place(state.top, size, align).unwrap_or((state.top, usize::MAX));
        self.backing.commit(state.top, end, size)?;
        state.ready = self.backing.committed();
        Ok(self.put(state, start, end))
    }

    /// A block from here to there, above the top and committed.
    #[inline]
    fn put(&self, state: &mut StackState, start: usize, end: usize) -> NonNull<u8> {
        state.words = self.write(state, start, state.last, end - start);
        (state.top, state.last) = (end, start);
        state.live_blocks += 1;
        state.count(end - start);
        self.backing.at(start)
    }

    /// A block for `size` bytes if it is at hand: there is committed memory for it on the top, and the alignment, which
    /// is a power of two, is no wider than every block's. The fast path of an allocation.
    #[inline]
    pub(crate) fn allocate_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let state = &mut *self.state.try_lock()?;
        // (No bytes at all wrap to more than there can be.)
        if align > self.align || size.wrapping_sub(1) >= state.ready {
            return None;
        }
        let up = |offset: usize, to: usize| (offset + (to - 1)) & !(to - 1);
        // The region starts at a page, so what is said of an offset is true of the address.
        let start = up(state.top + HEADER, self.align);
        let end = start + up(size, self.grain);
        if end <= state.ready { Some(self.put(state, start, end)) } else { None }
    }

    /// Takes the last block back if the one below it lives, and returns whether it did: the fast path of a free.
    #[inline]
    pub(crate) fn deallocate_fast(&self, block: NonNull<u8>) -> bool {
        let Some(mut state) = self.state.try_lock() else { return false };
        let state = &mut *state;
        let offset = block.addr().get().wrapping_sub(self.backing.start());
        if offset != state.last || offset == NONE {
            return false;
        }
        if self.words(offset) != state.words {
            return false;
        }
        let below = (state.words.0 & MASK) as usize;
        let len = (state.words.1 & MASK) as usize;
        if below == NONE {
            (state.last, state.top) = (NONE, 0);
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

    /// Makes the header of a live block that of a freed one.
    #[inline]
    fn mark_freed(&self, block: usize) {
        // SAFETY: the header of a block below the top: committed, aligned to 8, ours.
        unsafe { *self.header(block).add(1).as_mut() ^= FREED << BITS };
    }

    /// Lets a live block, or none, be the last one.
    fn set_last(&self, state: &mut StackState, last: usize, top: usize) {
        (state.last, state.top) = (last, top);
        if last != NONE {
            state.words = self.words(last);
        }
    }

    fn pop(&self, state: &mut StackState, block: usize, header: StackHeader) -> Result<(), HeapError> {
        if block == state.last {
            let (mut last, mut top, mut returned) = (header.below, 0, 0);
            while last != NONE {
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

    #[cold]
    fn corrupt(&self, block: usize) -> HeapError {
        HeapError::Corrupt { address: self.backing.start() + block - HEADER, what: "a block's header" }
    }
}

impl StackState {
    fn new(start: usize) -> Self {
        StackState {
            secret: HeaderSecret::new(start),
            top: 0,
            last: NONE,
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

impl BlockAllocator for StackHeap {
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
        // SAFETY: both are blocks of ours, and as long; the new one is above the old one.
        unsafe { moved.copy_from_nonoverlapping(self.backing.at(offset), header.len.min(size)) };
        // It is not the top any more, so nothing but itself is looked at.
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
        let state = &*self.state.lock();
        let (mut blocks, mut bytes, mut freed) = (0, 0, 0);
        self.each_below(state, |_, header| {
            if header.is_freed {
                freed += header.len;
            } else {
                (blocks, bytes) = (blocks + 1, bytes + header.len);
            }
            None::<()>
        })?;
        if (blocks, bytes, freed) == (state.live_blocks, state.live_bytes, state.freed_bytes) {
            return Ok(());
        }
        let address = self.backing.start();
        Err(HeapError::Corrupt { address, what: "the chain of blocks that starts" })
    }

    fn stats(&self) -> HeapStats {
        let state = &*self.state.lock();
        let (mut runs, mut run, mut longest) = (0, 0, 0);
        let _ = self.each_below(state, |_, header| {
            runs += usize::from(header.is_freed && run == 0);
            run = if header.is_freed { run + header.len } else { 0 };
            longest = longest.max(run);
            None::<()>
        });
        HeapStats {
            live_blocks: state.live_blocks,
            live_bytes: state.live_bytes,
            peak_live_bytes: state.peak_live_bytes,
            used: state.top,
            free_bytes: state.freed_bytes,
            free_runs: runs,
            largest_free_run: longest,
            ..HeapStats::default()
        }
    }

    fn trim(&self, keep: usize) -> usize {
        let state = &mut *self.state.lock();
        state.ready = 0;
        // SAFETY: nothing is in use above the top, and nobody else is here.
        unsafe { self.backing.trim(state.top.saturating_add(keep)) }
    }

    fn is_locked(&self) -> bool {
        self.state.is_held()
    }

    fn before_fork(&self) {
        // SAFETY: every call has one guard at a time.
        unsafe { self.state.lock_for_fork() };
    }

    unsafe fn after_fork(&self, _is_child: bool) {
        // SAFETY: the caller's promise.
        unsafe { self.state.unlock_after_fork() };
    }
}
