//! What every policy of a heap implements: the interface that [`Heap`](super::Heap) calls.

use super::backing::HeapBacking;
use super::{HeapError, HeapStats};
use core::ptr::NonNull;

/// A way to place blocks in a region. [`Heap`](super::Heap) has checked what can be checked without knowing the blocks, so every
/// policy is given
///
/// - a `size` of at least 1 byte that, rounded up to `align`, is at most `isize::MAX`;
/// - an `align` that is a power of two.
///
/// An allocated block is committed memory, aligned to at least [`MIN_ALIGN`](super::MIN_ALIGN) (unless an option of the policy
/// says otherwise), and overlaps no other live block. Any thread may make any call at any time. No method may allocate from the
/// global allocator, take a lock of std's, use a `thread_local!` that needs initialisation or a destructor, or panic because of
/// a caller's error: the heap may be the program's `malloc`. A call that returns an error has no visible effect.
pub(crate) trait PlacementPolicy {
    /// Allocates a block of `size` bytes.
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError>;

    /// [`allocate`](Self::allocate), with the first `size` bytes zero.
    fn allocate_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let block = self.allocate(size, align)?;
        // SAFETY: the block was allocated just now, and has at least `size` bytes.
        unsafe { self.backing().clear(block, size) };
        Ok(block)
    }

    /// The region that the heap stands on.
    fn backing(&self) -> &HeapBacking;

    /// Frees a block. An address that is no live block is an error.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, it is no longer used.
    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError>;

    /// Resizes a block: the result has `size` bytes and begins with the old contents. It is the same block where that is possible
    /// and its address is aligned to `align`; otherwise `block` has been freed. After an error `block` is unchanged.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, it is no longer used.
    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError>;

    /// How many bytes of a live block may be used.
    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError>;

    /// Checks everything that the heap stores about its blocks, and names the first thing that was overwritten.
    fn check(&self) -> Result<(), HeapError>;

    /// The figures of this moment, without `region`, which [`Heap`](super::Heap) fills in.
    fn stats(&self) -> HeapStats;

    /// Returns unused memory to the system, except for about `keep` bytes. Returns how many bytes that were.
    fn trim(&self, keep: usize) -> usize;

    /// Whether a call holds a lock of the heap: `stats` would wait for it.
    #[cfg_attr(not(feature = "internal"), expect(dead_code, reason = "for the malloc library"))]
    fn is_locked(&self) -> bool;

    /// Acquires every lock, in the thread that is about to fork: so the child's copy of the heap is consistent.
    fn before_fork(&self);

    /// Releases every lock again, in the parent or (`is_child`) in the only thread of the child.
    ///
    /// # Safety
    /// The calling thread called [`before_fork`](Self::before_fork), or is the child's copy of the thread that did.
    unsafe fn after_fork(&self, is_child: bool);
}
