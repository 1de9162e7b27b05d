//! What an address is if it is no live block, the check of all headers, and the figures.

use super::header::{HEADER, NO_BLOCK, StackHeader};
use super::{StackHeap, StackState};
use crate::heap::{HeapError, HeapStats};
use core::ptr::NonNull;

impl StackHeap {
    /// The error for an address that is no live block.
    #[cold]
    pub(super) fn name(&self, state: &StackState, block: NonNull<u8>) -> HeapError {
        let address = block.addr().get();
        let offset = address.wrapping_sub(self.backing.start());
        // (Above the top are the headers of freed blocks.)
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
            // (If a block starts there, the header above it was overwritten.)
            Ok(_) => HeapError::NotABlock { address },
        }
    }

    /// Calls `found` for every block from the last one down, until it returns something.
    pub(super) fn each_below<T>(
        &self,
        state: &StackState,
        mut found: impl FnMut(usize, StackHeader) -> Option<T>,
    ) -> Result<Option<T>, HeapError> {
        let (mut block, mut above) = (state.last, state.top);
        while block != NO_BLOCK {
            let fits = |header: &StackHeader| {
                block + header.len <= above && (header.below == NO_BLOCK || header.below + HEADER < block)
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

    #[cold]
    pub(super) fn corrupt(&self, block: usize) -> HeapError {
        HeapError::Corrupt { address: self.backing.start() + block - HEADER, what: "a block's header" }
    }
    pub(super) fn check_all(&self, state: &StackState) -> Result<(), HeapError> {
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

    pub(super) fn collect_stats(&self, state: &StackState) -> HeapStats {
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
}
