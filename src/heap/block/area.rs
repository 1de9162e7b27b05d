//! The run of blocks: made at first use, grown and shrunk at its end.

use super::super::HeapError;
use super::super::backing::HeapBacking;
use super::block_memory::{BlockMemory, BlockTag, SHORTEST, UNIT};
use super::free_tree::FreeTree;
use super::usable;
use crate::math::page::{align_down, align_up};
use crate::policy::Blocks;
use crate::sys;
use core::ptr::NonNull;

/// The start of the first block, in units. (Not 0, which stands for no block.)
pub(super) const FIRST: u32 = 1;

pub(super) struct BlockArea {
    pub(super) memory: BlockMemory,
    options: Blocks,
    pub(super) tree: FreeTree,
    /// The unit where the last block ends, with a header of length 0. 0 while there are no blocks.
    pub(super) end: u32,
    pub(super) live_blocks: usize,
    pub(super) live_bytes: usize,
    pub(super) peak_live_bytes: usize,
    pub(super) free_blocks: usize,
    pub(super) free_units: usize,
}

/// How many units a block of so many bytes takes with its header.
fn units(size: usize) -> usize {
    size.div_ceil(UNIT) + 1
}

impl BlockArea {
    pub(super) fn new(base: NonNull<u8>, options: Blocks) -> Self {
        BlockArea {
            memory: BlockMemory::new(base),
            options,
            tree: FreeTree::new(options.fit),
            end: 0,
            live_blocks: 0,
            live_bytes: 0,
            peak_live_bytes: 0,
            free_blocks: 0,
            free_units: 0,
        }
    }

    pub(super) fn options(&self) -> Blocks {
        self.options
    }

    pub(super) fn end_bytes(&self) -> usize {
        self.end as usize * UNIT
    }

    pub(super) fn allocate(
        &mut self,
        backing: &HeapBacking,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let need = units(size);
        // The space before an aligned block must be long enough for a block itself.
        let padded = if align <= UNIT { need } else { need.saturating_add(align / UNIT + 1) };
        let found = u32::try_from(padded).ok().and_then(|units| self.tree.find(&self.memory, units));
        let block = match found {
            Some(block) => {
                self.take_out(block);
                block
            }
            None => self.grow(backing, padded, size)?,
        };
        let lead = self.lead(block, align);
        // (It fits into the block that was found, so it fits into a `u32`.)
        let block = self.split(block, lead, need as u32)?;
        Ok(self.memory.block(block))
    }

    /// How many units before an aligned block stay free: none, or enough for a block.
    fn lead(&self, block: u32, align: usize) -> u32 {
        if align <= UNIT {
            return 0;
        }
        let address = self.memory.block(block).addr().get();
        let missing = address.wrapping_neg() & (align - 1);
        let lead = if missing == UNIT { missing + align } else { missing };
        (lead / UNIT) as u32
    }

    /// Makes a live block of `need` units within a free one that is not in the tree, after `lead` units. The rest stays free.
    fn split(&mut self, start: u32, lead: u32, need: u32) -> Result<u32, HeapError> {
        let len = self.memory.len(start) - lead;
        let (block, rest) = (start + lead, len - need);
        let taken = if rest >= SHORTEST { need } else { len };
        if taken == len {
            let next = self.memory.expect(block + len)?;
            self.memory.set(block + len, next.after_free(false));
        }
        if lead > 0 {
            self.put_in(start, lead);
        }
        self.memory.set(block, BlockTag::live(taken).after_free(lead > 0));
        if taken < len {
            self.put_in(block + need, rest);
        }
        self.live_blocks += 1;
        self.count(0, usable(BlockTag::live(taken)));
        Ok(block)
    }

    /// The live bytes of one block have changed.
    fn count(&mut self, before: usize, after: usize) {
        self.live_bytes = self.live_bytes - before + after;
        self.peak_live_bytes = self.peak_live_bytes.max(self.live_bytes);
    }

    /// Makes a free block and puts it into the tree. The caller updates the header after it.
    fn put_in(&mut self, block: u32, len: u32) {
        self.memory.set_free(block, len);
        self.tree.insert(&self.memory, block);
        self.free_blocks += 1;
        self.free_units += len as usize;
    }

    /// Takes a free block out of the tree.
    fn take_out(&mut self, block: u32) {
        self.tree.remove(&self.memory, block);
        self.free_blocks -= 1;
        self.free_units -= self.memory.len(block) as usize;
    }

    /// Grows the area: returns a free block of at least `need` units at its end, which is not in the tree. It includes the free
    /// block that was there, if there was one.
    #[cold]
    fn grow(&mut self, backing: &HeapBacking, need: usize, size: usize) -> Result<u32, HeapError> {
        let page = sys::page_size();
        let is_first = self.end == 0;
        let old_end = if is_first { FIRST } else { self.end };
        let trailing = self.trailing()?;
        let start = trailing.unwrap_or(old_end);
        // (With the header at the end.)
        let min = need.saturating_add(start as usize + 1).saturating_mul(UNIT);
        // (A header can hold so many units.)
        let max = backing.control().usable_bytes().min(u32::MAX as usize * UNIT);
        if min > max {
            let used = start as usize * UNIT;
            return backing.refuse(used, min - used, max, size);
        }
        let wanted = if is_first {
            min.saturating_add(self.options.margin)
        } else {
            min.max(self.end_bytes() + UNIT + page)
        };
        let wanted = align_up(wanted, page).unwrap_or(max).min(align_down(max, UNIT));
        let end = match backing.commit(self.end_bytes(), wanted, size) {
            Ok(()) => wanted,
            Err(HeapError::OutOfMemory(error)) if wanted > min && !error.is_injected() => {
                backing.commit(self.end_bytes(), min, size)?;
                min
            }
            Err(error) => return Err(error),
        };
        if let Some(block) = trailing {
            self.take_out(block);
            // (The area no longer ends there.)
            self.memory.erase(self.end);
        }
        self.end = (end / UNIT) as u32 - 1;
        self.memory.set_free(start, self.end - start);
        self.memory.set(self.end, BlockTag::live(0).after_free(true));
        Ok(start)
    }

    /// The last block, if it is free.
    fn trailing(&self) -> Result<Option<u32>, HeapError> {
        if self.end == 0 || !self.memory.expect(self.end)?.is_after_free {
            return Ok(None);
        }
        Ok(Some(self.memory.before(self.end)?.0))
    }

    /// Frees a live block and joins it with free neighbours.
    pub(super) fn free(&mut self, block: u32, tag: BlockTag) -> Result<(), HeapError> {
        // Everything is checked before anything is changed.
        let next = block + tag.len;
        let next_tag = self.memory.expect(next)?;
        let before = if tag.is_after_free { Some(self.memory.before(block)?) } else { None };
        let after_next = next + next_tag.len;
        let after_tag = if next_tag.is_free { self.memory.expect(after_next)? } else { next_tag };
        // (The header remains, so that a double free is detected.)
        self.memory.set(block, BlockTag { is_free: true, ..tag });
        let (mut start, mut len) = (block, tag.len);
        if next_tag.is_free {
            self.take_out(next);
            len += next_tag.len;
        }
        if let Some((at, tag)) = before {
            self.take_out(at);
            (start, len) = (at, len + tag.len);
        }
        self.put_in(start, len);
        self.memory.set(start + len, after_tag.after_free(true));
        self.live_blocks -= 1;
        self.count(usable(tag), 0);
        Ok(())
    }

    /// Changes the length of a live block without moving it. Returns whether that was possible.
    pub(super) fn resize(
        &mut self,
        backing: &HeapBacking,
        block: u32,
        tag: BlockTag,
        size: usize,
    ) -> Result<bool, HeapError> {
        let need = units(size);
        let mut next = block + tag.len;
        let mut next_tag = self.memory.expect(next)?;
        if need > tag.len as usize {
            let free = if next_tag.is_free { next_tag.len } else { 0 };
            let missing = need - tag.len as usize;
            if free as usize >= missing {
                self.take_out(next);
            } else if next + free == self.end {
                // (The new space is joined with the free block there.)
                match self.grow(backing, missing, size) {
                    Ok(start) => next = start,
                    // (There may be a free block elsewhere that is large enough.)
                    Err(HeapError::OutOfMemory(error)) if !error.is_injected() => return Ok(false),
                    Err(error) => return Err(error),
                }
            } else {
                return Ok(false);
            }
            next_tag = self.memory.expect(next)?;
        } else if tag.len as usize - need < SHORTEST as usize {
            return Ok(true);
        } else if next_tag.is_free {
            self.take_out(next);
        } else {
            next_tag = BlockTag::free(0);
        }
        // From here on the block and the free block behind it are one, which is not in the tree.
        let len = tag.len + next_tag.len;
        let behind = self.memory.expect(block + len)?;
        let rest = len - need as u32;
        let taken = if rest >= SHORTEST { need as u32 } else { len };
        self.memory.set(block, BlockTag { len: taken, ..tag });
        if rest >= SHORTEST {
            self.put_in(block + taken, rest);
        }
        self.memory.set(block + len, behind.after_free(rest >= SHORTEST));
        self.count(usable(tag), usable(BlockTag::live(taken)));
        self.shrink(backing);
        Ok(true)
    }

    /// Lowers the end if most of the area is free there.
    #[inline]
    pub(super) fn shrink(&mut self, backing: &HeapBacking) {
        let margin = self.options.margin;
        // (No single free block is longer than all of them.)
        if self.free_units * UNIT > margin.saturating_mul(2).max(self.end_bytes() / 2) {
            self.shrink_to(backing, margin, margin.saturating_mul(2).max(self.end_bytes() / 2));
        }
    }

    /// Returns all but `keep` free bytes at the end to the system, if there are more than `min`.
    #[cold]
    fn shrink_to(&mut self, backing: &HeapBacking, keep: usize, min: usize) -> usize {
        let Ok(Some(start)) = self.trailing() else { return 0 };
        let len = self.memory.len(start);
        if len as usize * UNIT <= min {
            return 0;
        }
        let end = (start + SHORTEST + 1) as usize * UNIT;
        let end = end.checked_add(keep).and_then(|end| align_up(end, sys::page_size()));
        let Some(end) = end.filter(|&end| end < self.end_bytes()) else { return 0 };
        self.take_out(start);
        self.memory.erase(self.end);
        self.end = (end / UNIT) as u32 - 1;
        self.put_in(start, self.end - start);
        self.memory.set(self.end, BlockTag::live(0).after_free(true));
        // SAFETY: no live block is behind the new end, and the heap's lock is held.
        unsafe { backing.trim(end) }
    }

    pub(super) fn trim(&mut self, backing: &HeapBacking, keep: usize) -> usize {
        let shrunk = self.shrink_to(backing, keep, keep);
        let used = if self.end == 0 { keep } else { self.end_bytes() + UNIT };
        // SAFETY: no live block is behind the end, and the heap's lock is held.
        shrunk + unsafe { backing.trim(used) }
    }
}
