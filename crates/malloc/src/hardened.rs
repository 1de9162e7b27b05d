//! Canaries: behind what was asked for, a block has bytes that nobody may write to, and its size at the very end.

use crate::wrong;
use core::ptr::NonNull;
use highwater::heap::{Heap, HeapError};
use highwater::internal::heap::ThreadSlot;

/// What a block has more than was asked for, at least: the size, and some bytes before it.
const MORE: usize = 16;
/// So many bytes behind a block are looked at, at most.
const FILLED: usize = 64;

/// What the bytes and the sizes are made of; another one in each process.
#[derive(Clone, Copy)]
pub(crate) struct Secret(u64);

impl Secret {
    pub(crate) fn new() -> Self {
        let mut random = 0u64;
        // SAFETY: 16 bytes that the kernel made for this process, or nothing.
        unsafe {
            let given = libc::getauxval(libc::AT_RANDOM) as *const u64;
            if !given.is_null() {
                random = given.add(1).read_unaligned();
            }
        }
        // (Without an even byte that may be in a text.)
        Secret(random | 0x8080_8080_8080_8081)
    }

    fn byte(self) -> u8 {
        self.0 as u8
    }

    fn word(self, block: NonNull<u8>, size: usize) -> u64 {
        size as u64 ^ self.0.rotate_left(32) ^ block.addr().get() as u64
    }

    /// A block of the heap, marked.
    pub(crate) fn place<T: ThreadSlot>(
        self,
        heap: &Heap<T>,
        size: usize,
        align: usize,
        is_zero: bool,
    ) -> Result<NonNull<u8>, HeapError> {
        let whole = size.checked_add(MORE).ok_or(HeapError::TooLarge { size })?;
        let block = if is_zero { heap.allocate_zeroed(whole, align) } else { heap.allocate(whole, align) }?;
        // SAFETY: a fresh block, at least so long.
        unsafe {
            let usable = heap.usable_size(block)?;
            block.add(size).write_bytes(self.byte(), (usable - 8 - size).min(FILLED));
            block.add(usable - 8).cast::<u64>().write_unaligned(self.word(block, size));
        }
        Ok(block)
    }

    /// The size that was asked for. What was written behind the block ends the process.
    ///
    /// # Safety
    /// As for [`Heap::usable_size`].
    pub(crate) unsafe fn size<T: ThreadSlot>(
        self,
        heap: &Heap<T>,
        block: NonNull<u8>,
    ) -> Result<usize, HeapError> {
        // SAFETY: the caller's promise.
        unsafe {
            let usable = heap.usable_size(block)?;
            let word = block.add(usable - 8).cast::<u64>().read_unaligned();
            let size = (word ^ self.word(block, 0)) as usize;
            if size > usable - MORE {
                wrong::overflow(block, None);
            }
            let behind =
                core::slice::from_raw_parts(block.add(size).as_ptr(), (usable - 8 - size).min(FILLED));
            if let Some(at) = behind.iter().position(|byte| *byte != self.byte()) {
                wrong::overflow(block, Some((size, at)));
            }
            Ok(size)
        }
    }

    /// Takes a block back that is as it was left.
    ///
    /// # Safety
    /// As for [`Heap::deallocate`].
    pub(crate) unsafe fn take<T: ThreadSlot>(
        self,
        heap: &Heap<T>,
        block: NonNull<u8>,
    ) -> Result<(), HeapError> {
        // SAFETY: the caller's promise.
        unsafe {
            self.size(heap, block)?;
            heap.deallocate(block)
        }
    }
}
