//! What every policy of a heap can do: the side of the front that policies see.

use super::backing::HeapBacking;
use super::{HeapError, HeapStats};
use core::ptr::NonNull;

/// A way to place blocks in a region. The front has checked what can be checked without knowing the blocks, so every
/// policy is given
///
/// - a `size` of 1 byte or more that, rounded up to `align`, is at most `isize::MAX`;
/// - an `align` that is a power of two.
///
/// What is handed out is committed memory, aligned to [`MIN_ALIGN`](super::MIN_ALIGN) at least (unless an option of the
/// policy says otherwise), and overlaps no other live block. Any thread may make any call at any time. Nothing in here
/// may allocate from the global allocator, take a lock of std's, use a `thread_local!` that has to be initialised or
/// dropped, or panic on what a caller gets wrong: a heap may be the program's `malloc`. A call that returns an error has changed nothing that can be seen.
pub(crate) trait BlockAllocator {
    /// A block for `size` bytes.
    fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError>;

    /// The same, with `size` bytes that are zero.
    fn allocate_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let block = self.allocate(size, align)?;
        // SAFETY: it is new, and nobody knows of it.
        unsafe { self.backing().clear(block, size) };
        Ok(block)
    }

    /// The region that it stands on.
    fn backing(&self) -> &HeapBacking;

    /// Takes a block back.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, nothing refers to it any more. (If it is not, that is an error.)
    unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError>;

    /// A block for `size` bytes that begins with what `block` held, which is gone then; the same one where that is
    /// possible and its address is aligned so. After an error `block` is what it was.
    ///
    /// # Safety
    /// As for [`deallocate`](Self::deallocate).
    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError>;

    /// How many bytes from its start the owner of a live block may use.
    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError>;

    /// Looks at everything there is, and names the first thing that is not as it was left.
    fn check(&self) -> Result<(), HeapError>;

    /// The figures of this moment, but for `region`, which the front fills in.
    fn stats(&self) -> HeapStats;

    /// Gives what nobody uses back to the system, but for about `keep` bytes; returns how many bytes that were.
    fn trim(&self, keep: usize) -> usize;

    /// Whether a call is in the middle of something: the figures would have to wait for it.
    #[cfg_attr(not(feature = "internal"), expect(dead_code, reason = "for the malloc library"))]
    fn is_locked(&self) -> bool;

    /// Takes every lock there is, in the thread that is about to fork: what a child is then a copy of is whole.
    fn before_fork(&self);

    /// Opens every lock again, in the parent or (`is_child`) in the only thread of the child.
    ///
    /// # Safety
    /// This thread called [`before_fork`](Self::before_fork), or is the child's copy of the one that did.
    unsafe fn after_fork(&self, is_child: bool);
}
