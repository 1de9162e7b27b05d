//! Block headers: read, written, and recognised by their stamp.

use super::{StackHeap, StackState};
use core::ptr::NonNull;

pub(super) const HEADER: usize = 16;
/// How many bits offsets and lengths have in a header; the rest of its two words is the stamp.
const BITS: u32 = 48;
pub(super) const MASK: u64 = (1 << BITS) - 1;
/// How many bits the second half of the stamp is below the first.
const HALF: u32 = u64::BITS - BITS;
/// The bits in which the second word of a freed block differs from a live one.
const FREED: u64 = 0x5555;
/// An offset at which no block starts.
pub(super) const NO_BLOCK: usize = 0;

/// A header in memory: the start of the block below and the length of this one, each with half of the stamp.
pub(super) type HeaderWords = (u64, u64);

/// A decoded header.
#[derive(Clone, Copy)]
pub(super) struct StackHeader {
    /// The start of the block below, or `NO_BLOCK`.
    pub(super) below: usize,
    pub(super) len: usize,
    pub(super) is_freed: bool,
}

impl StackHeap {
    /// The address of a block's header.
    #[inline]
    pub(super) fn header(&self, block: usize) -> NonNull<u64> {
        self.backing.at(block - HEADER).cast()
    }

    /// Writes the header of a live block. Returns its words.
    #[inline]
    pub(super) fn write(&self, state: &StackState, block: usize, below: usize, len: usize) -> HeaderWords {
        let (first, second) = (below as u64, len as u64);
        let stamp = state.secret.short(block, first, second);
        let words = (first | (stamp & !MASK), second | ((stamp << HALF) & !MASK));
        let at = self.header(block);
        // SAFETY: the 16 bytes before a block that is below the top or being made: committed, aligned to 8, and in no block.
        unsafe {
            at.write(words.0);
            at.add(1).write(words.1);
        }
        words
    }

    /// The words in memory where a header would be. The offset must be a multiple of 8, with committed memory before it.
    #[inline]
    pub(super) fn words(&self, block: usize) -> HeaderWords {
        let at = self.header(block);
        // SAFETY: committed memory of the region, aligned to 8. If it is inside a block that another thread is writing to, the
        // address was no block, which the heap's caller must not pass, and it gets an error.
        unsafe { (at.read(), at.add(1).read()) }
    }

    /// In which stamp bits these words differ from the header of a live block, for each word, shifted to the lowest bits.
    #[inline]
    pub(super) fn differences(state: &StackState, block: usize, (first, second): HeaderWords) -> (u64, u64) {
        let stamp = state.secret.short(block, first & MASK, second & MASK);
        ((first ^ stamp) >> BITS, (second ^ (stamp << HALF)) >> BITS)
    }

    #[inline]
    pub(super) fn is_live(state: &StackState, block: usize, words: HeaderWords) -> bool {
        let stamp = state.secret.short(block, words.0 & MASK, words.1 & MASK);
        ((words.0 ^ stamp) | (words.1 ^ (stamp << HALF))) >> BITS == 0
    }

    /// The header before an offset, if there is one. The offset must be as for [`words`](Self::words).
    #[inline]
    pub(super) fn read(&self, state: &StackState, block: usize) -> Option<StackHeader> {
        let words = self.words(block);
        let difference = Self::differences(state, block, words);
        let is_freed = difference == (0, FREED);
        (difference == (0, 0) || is_freed).then_some(StackHeader {
            below: (words.0 & MASK) as usize,
            len: (words.1 & MASK) as usize,
            is_freed,
        })
    }

    /// Marks a live block's header as freed.
    #[inline]
    pub(super) fn mark_freed(&self, block: usize) {
        // SAFETY: the header of a block that was below the top: committed, aligned to 8, and in no block.
        unsafe { *self.header(block).add(1).as_mut() ^= FREED << BITS };
    }
}
