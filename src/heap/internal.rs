//! What the malloc library needs of a [`Heap`] beside its public calls: part of [`internal`](crate::internal).

use super::Heap;
use super::general::ThreadSlot;
use super::heap_type::{HeapImpl, dispatch};
use super::placement_policy::PlacementPolicy;
use crate::builder::Builder;
use core::ptr::NonNull;

impl<T: ThreadSlot> Heap<T> {
    /// [`builder`](Heap::builder) for a heap whose threads find their part of it in another way.
    pub fn builder_with_slot() -> Builder<Self> {
        Builder::new()
    }

    /// [`allocate`](Heap::allocate) for a caller whose own attempt at the fast path of
    /// [`HeapPolicy::General`](super::HeapPolicy::General) failed. It goes on with the
    /// slow path, which looks at the first page of the class once more.
    ///
    /// # Errors
    /// Those of [`allocate`](Heap::allocate).
    #[inline]
    pub fn allocate_after_miss(&self, size: usize, align: usize) -> Result<NonNull<u8>, super::HeapError> {
        self.allocate_slow(size, align)
    }

    /// [`allocate_zeroed`](Heap::allocate_zeroed) for a caller whose own attempt at the fast path failed. It goes on
    /// as [`allocate_after_miss`](Heap::allocate_after_miss) does.
    ///
    /// # Errors
    /// Those of [`allocate`](Heap::allocate).
    #[inline]
    pub fn allocate_zeroed_after_miss(
        &self,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, super::HeapError> {
        self.allocate_zeroed_cold(size, align)
    }

    /// [`deallocate`](Heap::deallocate) for a caller whose own attempt at a fast path failed: it is not tried again.
    ///
    /// # Errors
    /// Those of [`deallocate`](Heap::deallocate).
    ///
    /// # Safety
    /// That of [`deallocate`](Heap::deallocate).
    #[inline]
    pub unsafe fn deallocate_after_miss(&self, block: NonNull<u8>) -> Result<(), super::HeapError> {
        // SAFETY: the contracts of the two functions are the same.
        unsafe { self.deallocate_slow(block) }
    }

    /// Frees a block if it is on a page that the calling thread owns and that is not full. Returns whether it did.
    ///
    /// # Safety
    /// That of [`deallocate`](Heap::deallocate), or `block` is null; and the heap's policy is
    /// [`HeapPolicy::General`](super::HeapPolicy::General).
    #[inline(always)]
    pub unsafe fn deallocate_local(&self, block: *mut u8) -> bool {
        match &self.blocks {
            // SAFETY: a live block is no longer used: this function's contract.
            HeapImpl::General(blocks) => unsafe { blocks.deallocate_fast(block) },
            // SAFETY: the policy is `General`: this function's contract.
            _ => unsafe { core::hint::unreachable_unchecked() },
        }
    }

    /// The fast path of [`allocate`](Heap::allocate) for the policies that lock, `Stack` and `Bump`. It commits nothing and
    /// leaves errno alone.
    #[inline]
    pub fn allocate_locked_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        match &self.blocks {
            HeapImpl::Stack(blocks) if align.is_power_of_two() => blocks.allocate_fast(size, align),
            HeapImpl::Bump(blocks) if align.is_power_of_two() => blocks.allocate_fast(size, align),
            _ => None,
        }
    }

    /// The fast path of [`deallocate`](Heap::deallocate) for the policies that lock, `Stack` and `Bump`. Returns whether the
    /// block was freed; an address that is no live block is left alone.
    ///
    /// # Safety
    /// That of [`deallocate`](Heap::deallocate).
    #[inline]
    pub unsafe fn deallocate_locked_fast(&self, block: NonNull<u8>) -> bool {
        match &self.blocks {
            HeapImpl::Stack(blocks) => blocks.deallocate_fast(block),
            HeapImpl::Bump(blocks) => blocks.deallocate_fast(block),
            _ => false,
        }
    }

    /// Gives up the calling thread's part of the heap, for a thread that ends. If the thread uses the heap again it gets a
    /// part again.
    pub fn release_thread(&self) {
        if let HeapImpl::General(blocks) = &self.blocks {
            blocks.release_thread();
        }
    }

    /// Whether a call holds a lock of the heap at this moment, so that [`stats`](Heap::stats) would wait for it: forever, if
    /// the call was interrupted by the signal whose handler asks.
    pub fn is_locked(&self) -> bool {
        dispatch!(&self.blocks, blocks => blocks.is_locked())
    }

    /// The first byte of the region.
    pub fn base(&self) -> NonNull<u8> {
        dispatch!(&self.blocks, blocks => blocks.backing().at(0))
    }
}
