//! What an address is, the check of all headers and of the tree, and the figures.

use super::super::backing::HeapBacking;
use super::super::{HeapError, HeapStats};
use super::area::{BlockArea, FIRST};
use super::block_memory::{BlockTag, SHORTEST, UNIT};
use super::free_tree::NIL;
use super::usable;
use core::ptr::NonNull;

impl BlockArea {
    /// The live block at an address.
    #[inline]
    pub(super) fn find(
        &self,
        backing: &HeapBacking,
        block: NonNull<u8>,
    ) -> Result<(u32, BlockTag), HeapError> {
        let offset = block.addr().get().wrapping_sub(backing.start());
        let first = (FIRST as usize + 1) * UNIT;
        if offset < self.end_bytes() && offset >= first && offset.is_multiple_of(UNIT) {
            let unit = (offset / UNIT) as u32 - 1;
            match self.memory.get(unit) {
                Some(tag) if !tag.is_free && tag.len >= SHORTEST => return Ok((unit, tag)),
                Some(tag) if tag.is_free => {
                    return Err(HeapError::DoubleFree { address: block.addr().get() });
                }
                _ => {}
            }
        }
        Err(self.name(backing, block))
    }

    /// The error for an address that is no live block.
    #[cold]
    fn name(&self, backing: &HeapBacking, block: NonNull<u8>) -> HeapError {
        let address = block.addr().get();
        let start = self.memory.block(FIRST).addr().get();
        if address < start {
            return HeapError::BelowHeap { address, start };
        }
        if let Err(error) = backing.offset(block, self.end_bytes()) {
            return error;
        }
        let holds = |unit: u32, tag: BlockTag| {
            (address < self.memory.address(unit + tag.len))
                .then_some((self.memory.block(unit).addr().get(), tag))
        };
        match self.walk(holds) {
            Err(error) => error,
            Ok(Some((block, tag))) if !tag.is_free && address >= block => {
                HeapError::InsideBlock { address, block }
            }
            Ok(_) => HeapError::NotABlock { address },
        }
    }

    /// Calls `found` for every block from the first one up, until it returns something.
    fn walk<T>(&self, mut found: impl FnMut(u32, BlockTag) -> Option<T>) -> Result<Option<T>, HeapError> {
        let mut unit = if self.end == 0 { 0 } else { FIRST };
        while unit < self.end {
            let tag = self.memory.expect(unit)?;
            if tag.len < SHORTEST || tag.len > self.end - unit {
                return Err(self.memory.corrupt(unit));
            }
            if let Some(found) = found(unit, tag) {
                return Ok(Some(found));
            }
            unit += tag.len;
        }
        Ok(None)
    }

    pub(super) fn check(&self) -> Result<(), HeapError> {
        let (mut blocks, mut bytes, mut free_blocks, mut free_units) = (0, 0, 0, 0);
        let mut last_was_free = false;
        let wrong = self.walk(|unit, tag| {
            if tag.is_free {
                (free_blocks, free_units) = (free_blocks + 1, free_units + tag.len as usize);
                if let Err(error) = self.memory.before(unit + tag.len) {
                    return Some(error);
                }
            } else {
                (blocks, bytes) = (blocks + 1, bytes + usable(tag));
            }
            let is_wrong = tag.is_after_free != last_was_free || (tag.is_free && last_was_free);
            last_was_free = tag.is_free;
            is_wrong.then(|| self.memory.corrupt(unit))
        })?;
        if let Some(error) = wrong {
            return Err(error);
        }
        if self.end != 0 && self.memory.expect(self.end)? != BlockTag::live(0).after_free(last_was_free) {
            return Err(self.memory.corrupt(self.end));
        }
        let is_free = |unit: u32| {
            unit > NIL
                && unit < self.end
                && self.memory.get(unit).is_some_and(|tag| tag.is_free && tag.len >= SHORTEST)
        };
        let in_tree = self.tree.count(&self.memory, free_blocks, is_free);
        let in_tree = in_tree.map_err(|unit| self.links(unit))?;
        let known = (self.live_blocks, self.live_bytes, self.free_blocks, self.free_units);
        if (blocks, bytes, free_blocks, free_units) != known || in_tree != free_blocks {
            return Err(self.links(FIRST));
        }
        Ok(())
    }

    #[cold]
    fn links(&self, unit: u32) -> HeapError {
        HeapError::Corrupt { address: self.memory.address(unit) + UNIT, what: "the tree of free blocks" }
    }

    pub(super) fn stats(&self) -> HeapStats {
        HeapStats {
            live_blocks: self.live_blocks,
            live_bytes: self.live_bytes,
            peak_live_bytes: self.peak_live_bytes,
            used: if self.end == 0 { 0 } else { self.end_bytes() + UNIT },
            free_bytes: self.free_units * UNIT,
            free_runs: self.free_blocks,
            largest_free_run: self.tree.longest(&self.memory) as usize * UNIT,
            ..HeapStats::default()
        }
    }
}
