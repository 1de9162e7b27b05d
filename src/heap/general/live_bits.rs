//! The live bits of a checked heap: one for every address where a block can start.

use super::GeneralHeap;
use super::classes::GRAIN;
use super::thread_slot::ThreadSlot;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{AcqRel, Acquire};

impl<T: ThreadSlot> GeneralHeap<T> {
    /// The word and the bit of an address in a checked heap.
    fn live_bit(&self, block: NonNull<u8>) -> (&AtomicU64, u64) {
        let grain = block.addr().get().wrapping_sub(self.origin.addr()) / GRAIN;
        // SAFETY: callers pass addresses below `end`, whose bits are committed with their table entries.
        (unsafe { &*self.metadata.bits().wrapping_add(grain / 64) }, 1 << (grain % 64))
    }

    pub(super) fn mark_live(&self, block: NonNull<u8>) {
        let (word, bit) = self.live_bit(block);
        word.fetch_or(bit, AcqRel);
    }

    /// Returns whether the block was live.
    pub(super) fn unmark_live(&self, block: NonNull<u8>) -> bool {
        let (word, bit) = self.live_bit(block);
        word.fetch_and(!bit, AcqRel) & bit != 0
    }

    pub(super) fn is_marked_live(&self, block: NonNull<u8>) -> bool {
        let (word, bit) = self.live_bit(block);
        word.load(Acquire) & bit != 0
    }
}
