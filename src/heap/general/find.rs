//! From an address to its page, or to the error that says what the address is instead.

use super::GeneralHeap;
use super::classes::SLICE_SHIFT;
use super::page::{BLOCK_PAGE, CONTINUATION, FREE_RUN, LARGE_BLOCK, Page, UNUSED};
use super::thread_slot::ThreadSlot;
use crate::heap::HeapError;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

impl<T: ThreadSlot> GeneralHeap<T> {
    /// The page of a block, if a block can start at this address.
    pub(super) fn find(&self, block: NonNull<u8>) -> Result<&Page, HeapError> {
        let address = block.addr().get();
        let offset = address.wrapping_sub(self.origin.addr());
        let end = self.end.load(Relaxed);
        if offset >= end {
            return Err(self.outside(address, end));
        }
        let mut index = offset >> SLICE_SHIFT;
        // SAFETY: table entries below `end` are committed; a continuation's entry leads to the first slice of its page.
        let page = unsafe {
            let entry = &*self.entry(index);
            if entry.kind.get() == CONTINUATION {
                index = index.saturating_sub(entry.slices_to_first.get() as usize);
            }
            &*self.entry(index)
        };
        let within = offset.wrapping_sub(index << SLICE_SHIFT);
        match page.kind.get() {
            LARGE_BLOCK if within == 0 => Ok(page),
            LARGE_BLOCK => Err(HeapError::InsideBlock { address, block: address - within }),
            BLOCK_PAGE => {
                let size = page.size.get() as usize;
                match within.checked_rem(size).unwrap_or(0) {
                    0 if size == 0 => Err(HeapError::NotABlock { address }),
                    0 if within / size < page.capacity.get() as usize => Ok(page),
                    0 => Err(HeapError::NotABlock { address }),
                    inside => Err(HeapError::InsideBlock { address, block: address - inside }),
                }
            }
            FREE_RUN if within == 0 => Err(HeapError::DoubleFree { address }),
            UNUSED => Err(self.inside_run(address, index)),
            _ => Err(HeapError::NotABlock { address }),
        }
    }

    #[cold]
    fn outside(&self, address: usize, end: usize) -> HeapError {
        let start = self.origin.addr();
        if address < start {
            HeapError::BelowHeap { address, start }
        } else {
            HeapError::AboveHeap { address, end: start + end }
        }
    }

    /// The error for an address in a slice whose own entry is unused.
    #[cold]
    fn inside_run(&self, address: usize, mut index: usize) -> HeapError {
        let _held = self.slices.lock();
        while index > 0 {
            index -= 1;
            // SAFETY: the entry is below one that is committed, and the table is committed from its beginning.
            let entry = unsafe { &*self.entry(index) };
            match entry.kind.get() {
                UNUSED => {}
                LARGE_BLOCK => return HeapError::InsideBlock { address, block: self.slice_at(index).addr() },
                _ => break,
            }
        }
        HeapError::NotABlock { address }
    }
}

impl Page {
    /// How many bytes of each of its blocks may be used.
    pub(super) fn usable_size(&self) -> usize {
        if self.kind.get() == LARGE_BLOCK { self.bytes() } else { self.size.get() as usize }
    }
}
