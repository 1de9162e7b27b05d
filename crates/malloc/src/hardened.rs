//! Canaries: behind the size asked for, a block has bytes that must not change, and that size in its last word.

use crate::misuse;
use core::ptr::NonNull;
use highwater::heap::{Heap, HeapError};
use highwater::internal::heap::ThreadSlot;

/// How much larger a block is than asked for, at least: the size, and some canary bytes before it.
const OVERHEAD: usize = 16;
/// How many canary bytes are written and checked, at most.
const MAX_CANARY: usize = 64;

/// What canaries and sizes are made of; another one in each process.
#[derive(Clone, Copy)]
pub(crate) struct CanarySecret(u64);

impl CanarySecret {
    pub(crate) fn new() -> Self {
        let mut random = 0u64;
        // SAFETY: AT_RANDOM is null or the address of 16 bytes that the kernel wrote for this process.
        unsafe {
            let given = libc::getauxval(libc::AT_RANDOM) as *const u64;
            if !given.is_null() {
                random = given.add(1).read_unaligned();
            }
        }
        // (No byte is ASCII, and the lowest is odd.)
        CanarySecret(random | 0x8080_8080_8080_8081)
    }

    fn byte(self) -> u8 {
        self.0 as u8
    }

    fn word(self, block: NonNull<u8>, size: usize) -> u64 {
        size as u64 ^ self.0.rotate_left(32) ^ block.addr().get() as u64
    }

    /// Allocates a block of the heap with a canary.
    pub(crate) fn allocate<T: ThreadSlot>(
        self,
        heap: &Heap<T>,
        size: usize,
        align: usize,
        is_zeroed: bool,
    ) -> Result<NonNull<u8>, HeapError> {
        let whole = size.checked_add(OVERHEAD).ok_or(HeapError::TooLarge { size })?;
        let block = if is_zeroed { heap.allocate_zeroed(whole, align) } else { heap.allocate(whole, align) }?;
        // SAFETY: the block was allocated just now, and its usable size is at least `size + OVERHEAD`.
        unsafe {
            let usable = heap.usable_size(block)?;
            block.add(size).write_bytes(self.byte(), (usable - 8 - size).min(MAX_CANARY));
            block.add(usable - 8).cast::<u64>().write_unaligned(self.word(block, size));
        }
        Ok(block)
    }

    /// The size that was asked for. A canary that changed ends the process.
    ///
    /// # Safety
    /// That of [`Heap::usable_size`]; if it is a live block, [`allocate`](Self::allocate) returned it.
    pub(crate) unsafe fn usable_size<T: ThreadSlot>(
        self,
        heap: &Heap<T>,
        block: NonNull<u8>,
    ) -> Result<usize, HeapError> {
        // SAFETY: the heap has found that the block is live, so its usable bytes are readable. They are at least `OVERHEAD`,
        // and the size is compared before it is used as an offset.
        unsafe {
            let usable = heap.usable_size(block)?;
            let word = block.add(usable - 8).cast::<u64>().read_unaligned();
            let size = (word ^ self.word(block, 0)) as usize;
            if size > usable - OVERHEAD {
                misuse::die_of_overflow(block, None);
            }
            let canary =
                core::slice::from_raw_parts(block.add(size).as_ptr(), (usable - 8 - size).min(MAX_CANARY));
            if let Some(at) = canary.iter().position(|byte| *byte != self.byte()) {
                misuse::die_of_overflow(block, Some((size, at)));
            }
            Ok(size)
        }
    }

    /// Deallocates a block, whose canary is checked.
    ///
    /// # Safety
    /// That of [`Heap::deallocate`]; if it is a live block, [`allocate`](Self::allocate) returned it.
    pub(crate) unsafe fn deallocate<T: ThreadSlot>(
        self,
        heap: &Heap<T>,
        block: NonNull<u8>,
    ) -> Result<(), HeapError> {
        // SAFETY: if the block is a live block of the heap, it has a canary and is not used any more: this function's contract.
        unsafe {
            self.usable_size(heap, block)?;
            heap.deallocate(block)
        }
    }
}
