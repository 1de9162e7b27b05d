//! The memory of the blocks, in units of 16 bytes, and the tags in it.
//!
//! ```text
//!   unit n                                                n + len
//!   │ len  │ flags │ stamp        │ block …                │ next header
//!   │ len  │ flags │ stamp        │ left │ right │ longest │ …  │ len │   where it is free
//! ```
//!
//! A header is one unit before its block. The last word of a free block is its length again, for the block after it, whose
//! header has the flag that the block before it is free.

use super::super::HeapError;
use super::super::header_secret::HeaderSecret;
use core::ptr::NonNull;

/// Bytes in a unit: a header, and what blocks are aligned to.
pub(super) const UNIT: usize = 16;
/// The shortest block, with its header, in units.
pub(super) const SHORTEST: u32 = 2;

const FREE: u64 = 1 << 32;
const AFTER_FREE: u64 = 2 << 32;

/// The content of a header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockTag {
    /// In units, with the header.
    pub(super) len: u32,
    pub(super) is_free: bool,
    /// The block before is free.
    pub(super) is_after_free: bool,
}

impl BlockTag {
    pub(super) const fn live(len: u32) -> Self {
        BlockTag { len, is_free: false, is_after_free: false }
    }

    pub(super) const fn free(len: u32) -> Self {
        BlockTag { len, is_free: true, is_after_free: false }
    }

    pub(super) const fn after_free(self, is_after_free: bool) -> Self {
        BlockTag { is_after_free, ..self }
    }

    fn word(self) -> u64 {
        let free = if self.is_free { FREE } else { 0 };
        let after = if self.is_after_free { AFTER_FREE } else { 0 };
        u64::from(self.len) | free | after
    }
}

/// The words of a free block that the tree uses.
#[derive(Clone, Copy)]
pub(super) enum TreeLink {
    Left = 4,
    Right = 5,
    /// The maximum length of this block and those below it in the tree.
    Longest = 6,
}

/// The committed memory of the blocks and their headers, in units.
#[derive(Clone, Copy)]
pub(super) struct BlockMemory {
    base: NonNull<u8>,
    secret: HeaderSecret,
}

// SAFETY: an address and a number; the heap's lock guards the memory there.
unsafe impl Send for BlockMemory {}

impl BlockMemory {
    pub(super) fn new(base: NonNull<u8>) -> Self {
        BlockMemory { base, secret: HeaderSecret::new(base.addr().get()) }
    }

    pub(super) fn address(&self, unit: u32) -> usize {
        self.base.addr().get() + unit as usize * UNIT
    }

    /// The block whose header is at `unit`.
    #[inline]
    pub(super) fn block(&self, unit: u32) -> NonNull<u8> {
        // SAFETY: callers pass units of the area, so the address is in the region.
        unsafe { self.base.add((unit as usize + 1) * UNIT) }
    }

    #[inline]
    fn word(&self, unit: u32, index: isize) -> NonNull<u32> {
        // SAFETY: callers pass units of the area; the first unit is 1, so the word before it is in the region as well.
        unsafe { self.base.add(unit as usize * UNIT).cast::<u32>().offset(index) }
    }

    #[inline]
    pub(super) fn set(&self, unit: u32, tag: BlockTag) {
        let word = tag.word();
        let at = self.word(unit, 0).cast::<u64>();
        // SAFETY: a header within the area: committed, aligned to 16, and in no block.
        unsafe {
            at.write(word);
            at.add(1).write(self.secret.stamp(unit as usize, word, 0));
        }
    }

    /// Erases a header.
    pub(super) fn erase(&self, unit: u32) {
        let at = self.word(unit, 0).cast::<u64>();
        // SAFETY: a header within the area: committed, aligned to 16, and in no block.
        unsafe { at.write(0) };
    }

    /// The header at `unit`, which is committed; `None` if there is none.
    #[inline]
    pub(super) fn get(&self, unit: u32) -> Option<BlockTag> {
        let at = self.word(unit, 0).cast::<u64>();
        // SAFETY: committed and aligned to 16. If it is inside a block that another thread is writing to, the address was no block,
        // which the heap's caller must not pass, and it gets an error.
        let (word, stamp) = unsafe { (at.read(), at.add(1).read()) };
        (stamp == self.secret.stamp(unit as usize, word, 0)).then_some(BlockTag {
            len: word as u32,
            is_free: word & FREE != 0,
            is_after_free: word & AFTER_FREE != 0,
        })
    }

    /// [`get`](Self::get) where there must be a header.
    #[inline]
    pub(super) fn expect(&self, unit: u32) -> Result<BlockTag, HeapError> {
        self.get(unit).ok_or_else(|| self.corrupt(unit))
    }

    #[cold]
    pub(super) fn corrupt(&self, unit: u32) -> HeapError {
        HeapError::Corrupt { address: self.address(unit), what: "a block's header" }
    }

    /// The free block that ends at `unit`.
    pub(super) fn before(&self, unit: u32) -> Result<(u32, BlockTag), HeapError> {
        // SAFETY: the word before a header, which is in the region because the first unit is 1.
        let len = unsafe { self.word(unit, -1).read() };
        let start = unit.checked_sub(len).filter(|_| len >= SHORTEST);
        let found = start.and_then(|start| Some((start, self.get(start)?)));
        found
            .filter(|&(_, tag)| tag == BlockTag::free(len))
            .ok_or(HeapError::Corrupt { address: self.address(unit) - 4, what: "the end of a free block" })
    }

    /// Makes a free block.
    #[inline]
    pub(super) fn set_free(&self, unit: u32, len: u32) {
        self.set(unit, BlockTag::free(len));
        // SAFETY: the last word of the block, which is in the area and not in a live block.
        unsafe { self.word(unit + len, -1).write(len) };
    }

    /// The length of a block that is known to be free.
    #[inline]
    pub(super) fn len(&self, unit: u32) -> u32 {
        // SAFETY: the header of a free block of the area.
        unsafe { self.word(unit, 0).read() }
    }

    #[inline]
    pub(super) fn link(&self, unit: u32, link: TreeLink) -> u32 {
        // SAFETY: a word of a free block of the area, which has at least two units.
        unsafe { self.word(unit, link as isize).read() }
    }

    #[inline]
    pub(super) fn set_link(&self, unit: u32, link: TreeLink, to: u32) {
        // SAFETY: a word of a free block of the area, which has at least two units.
        unsafe { self.word(unit, link as isize).write(to) };
    }

    /// A pseudorandom number for a unit.
    #[inline]
    pub(super) fn priority(&self, unit: u32) -> u64 {
        self.secret.stamp(unit as usize, 0, 1)
    }
}
