//! The memory of the blocks, in units of 16 bytes, and the tags in it.
//!
//! ```text
//!   unit n                                                n + len
//!   │ len  │ flags │ stamp        │ block …                │ next header
//!   │ len  │ flags │ stamp        │ left │ right │ longest │ …  │ len │   where it is free
//! ```
//!
//! A header is one unit before its block. The last word of a free block is its length once more, for the block after
//! it, whose header says that the one before is free.

use super::super::HeapError;
use super::super::header_secret::HeaderSecret;
use core::ptr::NonNull;

/// Bytes in a unit: a header, and what blocks are aligned to.
pub(super) const UNIT: usize = 16;
/// The shortest block, with its header, in units.
pub(super) const SHORTEST: u32 = 2;

const FREE: u64 = 1 << 32;
const AFTER_FREE: u64 = 2 << 32;

/// What a header says.
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

/// A free block's words that the tree has.
#[derive(Clone, Copy)]
pub(super) enum TreeLink {
    Left = 4,
    Right = 5,
    /// The longest free block of this one and those below it in the tree.
    Longest = 6,
}

/// Units of committed memory that this heap alone writes to, but for the live blocks in it.
#[derive(Clone, Copy)]
pub(super) struct BlockMemory {
    base: NonNull<u8>,
    secret: HeaderSecret,
}

// SAFETY: it is an address; the lock of the heap decides who uses it.
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
        // SAFETY: units are within the region.
        unsafe { self.base.add((unit as usize + 1) * UNIT) }
    }

    #[inline]
    fn word(&self, unit: u32, index: isize) -> NonNull<u32> {
        // SAFETY: units are within the region, and so is the word before one that is not the first.
        unsafe { self.base.add(unit as usize * UNIT).cast::<u32>().offset(index) }
    }

    #[inline]
    pub(super) fn set(&self, unit: u32, tag: BlockTag) {
        let word = tag.word();
        let at = self.word(unit, 0).cast::<u64>();
        // SAFETY: a header of the heap's, committed and aligned.
        unsafe {
            at.write(word);
            at.add(1).write(self.secret.stamp(unit as usize, word, 0));
        }
    }

    /// Leaves no header where there was one.
    pub(super) fn erase(&self, unit: u32) {
        let at = self.word(unit, 0).cast::<u64>();
        // SAFETY: as above.
        unsafe { at.write(0) };
    }

    /// What the header at `unit`, which is committed, says; `None` where there is none.
    #[inline]
    pub(super) fn get(&self, unit: u32) -> Option<BlockTag> {
        let at = self.word(unit, 0).cast::<u64>();
        // SAFETY: committed and aligned. If it is inside a block that somebody writes to at this moment, the caller of
        // the heap broke its promise, and gets an error.
        let (word, stamp) = unsafe { (at.read(), at.add(1).read()) };
        (stamp == self.secret.stamp(unit as usize, word, 0)).then_some(BlockTag {
            len: word as u32,
            is_free: word & FREE != 0,
            is_after_free: word & AFTER_FREE != 0,
        })
    }

    /// The same where there has to be one.
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
        // SAFETY: the last word of a free block.
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
        // SAFETY: the last word of the block.
        unsafe { self.word(unit + len, -1).write(len) };
    }

    /// The length of a free block that is known to be one.
    #[inline]
    pub(super) fn len(&self, unit: u32) -> u32 {
        // SAFETY: a header of the heap's.
        unsafe { self.word(unit, 0).read() }
    }

    #[inline]
    pub(super) fn link(&self, unit: u32, link: TreeLink) -> u32 {
        // SAFETY: a word of a free block.
        unsafe { self.word(unit, link as isize).read() }
    }

    #[inline]
    pub(super) fn set_link(&self, unit: u32, link: TreeLink, to: u32) {
        // SAFETY: a word of a free block.
        unsafe { self.word(unit, link as isize).write(to) };
    }

    /// A number that says nothing about the unit.
    #[inline]
    pub(super) fn drawn(&self, unit: u32) -> u64 {
        self.secret.stamp(unit as usize, 0, 1)
    }
}
