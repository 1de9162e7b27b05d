//! [`Kind::Stack`](super::Kind::Stack): blocks bumped upwards, and given back from the top.
//!
//! ```text
//!   header │ block    │ padding │ header │ block      │ header │ block │
//!     ^         `────────── below ───┘ ^    `─ below ────┘                ^ top
//! ```
//!
//! A header is the 16 bytes before its block: where the block below starts, how long this one is, and whether it was
//! freed, with a stamp over all of that. Freeing the top block takes the top down to the highest block that lives;
//! freed headers stay behind in the free memory, so that a block which is freed again is told from one that never was.

use super::ground::Ground;
use super::lock::Lock;
use super::options::Stack;
use super::policy::Policy;
use super::stamp::Secret;
use super::{HeapError, HeapStats};
use crate::math::page::align_up;
use crate::region::Region;
use core::ptr::NonNull;

const HEADER: usize = 16;
/// Offsets and lengths are this long in a header; the rest of its words is the stamp.
const BITS: u32 = 48;
const MASK: u64 = (1 << BITS) - 1;
/// What the stamp of a freed block differs in.
const FREED: u64 = 0x5555_0000_0000_5555;
/// An offset where no block starts.
const NONE: usize = 0;

pub(crate) struct StackHeap {
    ground: Ground,
    align: usize,
    state: Lock<State>,
}

struct State {
    secret: Secret,
    /// The offset at which the last block ends.
    top: usize,
    /// Where the last block starts, which lives; `NONE` if there is none.
    last: usize,
    live_blocks: usize,
    live_bytes: usize,
    peak_live_bytes: usize,
    /// Of freed blocks below the top.
    freed_bytes: usize,
}

/// A header, read.
#[derive(Clone, Copy)]
struct Header {
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
        let state = State::new(region.as_ptr().addr());
        // SAFETY: whoever chose it promised that no two calls overlap.
        let state = unsafe { Lock::unless(options.is_single, state) };
        Ok(StackHeap { ground: Ground::new(region), align, state })
    }

    pub(crate) fn reset(&mut self) {
        let start = self.ground.start();
        *self.state.lock() = State::new(start);
    }

    /// Where a block's header stands.
    fn header(&self, block: usize) -> NonNull<u64> {
        self.ground.at(block - HEADER).cast()
    }

    fn write(&self, state: &State, block: usize, header: Header) {
        let words = (header.below as u64, header.len as u64);
        let stamp = state.secret.stamp(block, words.0, words.1) ^ if header.is_freed { FREED } else { 0 };
        let at = self.header(block);
        // SAFETY: the header of a block below the top, or of one that is being made: committed, aligned to 8, ours.
        unsafe {
            at.write(words.0 | (stamp & !MASK));
            at.add(1).write(words.1 | (stamp << BITS));
        }
    }

    /// The header before an offset, if there is one: the offset is a multiple of 8, and committed memory is before it.
    #[inline]
    fn read(&self, state: &State, block: usize) -> Option<Header> {
        let at = self.header(block);
        // SAFETY: committed memory of the region, aligned to 8. If it is inside a block that somebody writes to at this
        // moment, the caller of the heap broke its promise, and gets an error.
        let (first, second) = unsafe { (at.read(), at.add(1).read()) };
        let words = (first & MASK, second & MASK);
        let expected = state.secret.stamp(block, words.0, words.1);
        let difference = ((first ^ expected) & !MASK) | ((second >> BITS) ^ expected) & (u64::MAX >> BITS);
        let is_freed = difference == FREED;
        (difference == 0 || is_freed).then_some(Header {
            below: words.0 as usize,
            len: words.1 as usize,
            is_freed,
        })
    }

    /// The offset and header of a live block.
    #[inline]
    fn find(&self, state: &State, block: NonNull<u8>) -> Result<(usize, Header), HeapError> {
        let offset = block.addr().get().wrapping_sub(self.ground.start());
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
    fn name(&self, state: &State, block: NonNull<u8>) -> HeapError {
        let address = block.addr().get();
        let offset = address.wrapping_sub(self.ground.start());
        // The memory above the top keeps the headers of what was freed.
        let known = offset.wrapping_sub(HEADER) < self.ground.committed().saturating_sub(HEADER);
        if known && offset.is_multiple_of(8) && self.read(state, offset).is_some_and(|header| header.is_freed)
        {
            return HeapError::DoubleFree { address };
        }
        if let Err(error) = self.ground.offset(block, state.top) {
            return error;
        }
        match self.each_below(state, |start, header| (start <= offset).then_some((start, header))) {
            Err(error) => error,
            Ok(Some((start, header))) if offset < start + header.len => {
                HeapError::InsideBlock { address, block: self.ground.start() + start }
            }
            // (The one above it was overwritten, if it is the start of one.)
            Ok(_) => HeapError::NotABlock { address },
        }
    }

    /// Shows every block from the last one down, until one is found.
    fn each_below<T>(
        &self,
        state: &State,
        mut found: impl FnMut(usize, Header) -> Option<T>,
    ) -> Result<Option<T>, HeapError> {
        let (mut block, mut above) = (state.last, state.top);
        while block != NONE {
            let fits = |header: &Header| {
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
        let start = align_up(self.ground.start() + from + HEADER, align.max(self.align))?;
        let end = start.checked_add(self.rounded(size)?)?;
        Some((start - self.ground.start(), end - self.ground.start()))
    }

    /// What a block of so many bytes takes: so that the next header is aligned.
    fn rounded(&self, size: usize) -> Option<usize> {
        align_up(size, self.align.min(HEADER))
    }

    fn push(&self, state: &mut State, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let (start, end) = self.place(state.top, size, align).unwrap_or((state.top, usize::MAX));
        self.ground.commit(state.top, end, size)?;
        self.write(state, start, Header { below: state.last, len: end - start, is_freed: false });
        (state.top, state.last) = (end, start);
        state.live_blocks += 1;
        state.count(end - start);
        Ok(self.ground.at(start))
    }

    fn pop(&self, state: &mut State, block: usize, header: Header) -> Result<(), HeapError> {
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
            (state.last, state.top) = (last, top);
            state.freed_bytes -= returned;
        } else {
            state.freed_bytes += header.len;
        }
        self.write(state, block, Header { is_freed: true, ..header });
        state.live_blocks -= 1;
        state.live_bytes -= header.len;
        Ok(())
    }

    #[cold]
    fn corrupt(&self, block: usize) -> HeapError {
        HeapError::Corrupt { address: self.ground.start() + block - HEADER, what: "a block's header" }
    }
}

impl State {
    fn new(start: usize) -> Self {
        State {
            secret: Secret::new(start),
            top: 0,
            last: NONE,
            live_blocks: 0,
            live_bytes: 0,
            peak_live_bytes: 0,
            freed_bytes: 0,
        }
    }

    fn count(&mut self, bytes: usize) {
        self.live_bytes += bytes;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }
}

impl Policy for StackHeap {
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
                self.ground.commit(state.top, end, size)?;
                self.write(state, offset, Header { len: end - offset, ..header });
                state.live_bytes -= header.len;
                state.count(end - offset);
                state.top = end;
                return Ok(self.ground.at(offset));
            }
            if size <= header.len {
                return Ok(self.ground.at(offset));
            }
        }
        let moved = self.push(state, size, align)?;
        // SAFETY: both are blocks of ours, and as long; the new one is above the old one.
        unsafe { moved.copy_from_nonoverlapping(self.ground.at(offset), header.len.min(size)) };
        // It is not the top any more, so nothing but itself is looked at.
        self.pop(state, offset, header)?;
        Ok(moved)
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        Ok(self.find(&self.state.lock(), block)?.1.len)
    }

    fn ground(&self) -> &Ground {
        &self.ground
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
        let address = self.ground.start();
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
        let state = &*self.state.lock();
        // SAFETY: nothing is in use above the top, and nobody else is here.
        unsafe { self.ground.release(state.top.saturating_add(keep)) }
    }

    fn before_fork(&self) {
        self.state.hold_for_fork();
    }

    unsafe fn after_fork(&self, _is_child: bool) {
        // SAFETY: the caller's promise.
        unsafe { self.state.open_after_fork() };
    }
}
