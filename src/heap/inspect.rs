//! The calls of a [`Heap`] besides allocation: figures, checks, trimming, forks.

use super::general::{self, ThreadSlot};
use super::heap_type::{HeapImpl, dispatch};
use super::placement_policy::PlacementPolicy;
use super::{Heap, HeapError, HeapStats};
use crate::region::Monitor;
use core::fmt;
use core::ptr::NonNull;

impl<T: ThreadSlot> Heap<T> {
    /// How many bytes of a block may be used: at least as many as were requested.
    ///
    /// # Errors
    /// Those of [`deallocate`](Heap::deallocate).
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// let block = heap.allocate(100, 16)?;
    /// // SAFETY: the block is live.
    /// assert!(unsafe { heap.usable_size(block)? } >= 100);
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    ///
    /// # Safety
    /// No other thread frees or moves `block` during the call, and `block` is an address that
    /// [`deallocate`](Heap::deallocate) accepts.
    #[inline]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> Result<usize, HeapError> {
        dispatch!(&self.blocks, blocks => blocks.usable_size(block)).map_err(|error| self.with_errno(error))
    }

    /// Checks everything that the heap stores about its blocks. The time is proportional to the number of blocks.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// heap.allocate(100, 16)?;
    /// heap.check()?;
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    ///
    /// # Errors
    /// [`HeapError::Corrupt`] names the first thing that was overwritten.
    pub fn check(&self) -> Result<(), HeapError> {
        dispatch!(&self.blocks, blocks => blocks.check())
    }

    /// The figures of this moment. They come from the heap's counters, and no block is read for them, so any thread may ask at
    /// any time. They are exact while no other thread is in a call; otherwise the counters of one page may be of slightly
    /// different moments.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// heap.allocate(100, 16)?;
    /// assert_eq!(heap.stats().live_blocks, 1);
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    pub fn stats(&self) -> HeapStats {
        let stats = dispatch!(&self.blocks, blocks => blocks.stats());
        HeapStats { region: self.monitor().stats().unwrap_or_default(), ..stats }
    }

    /// Returns unused memory to the system, except for about `keep` bytes; how many bytes were returned.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// let block = heap.allocate(8 << 20, 16)?;
    /// // SAFETY: the block is live and not used.
    /// unsafe { heap.deallocate(block)? };
    /// # if !cfg!(highwater_portable) {
    /// assert!(heap.trim(0) > 0);
    /// # }
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    pub fn trim(&self, keep: usize) -> usize {
        dispatch!(&self.blocks, blocks => blocks.trim(keep))
    }

    /// The usable size that a block of `size` bytes would have; `size` itself if the policy cannot tell beforehand.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// assert_eq!(heap.good_size(200), 224);
    /// ```
    pub fn good_size(&self, size: usize) -> usize {
        match &self.blocks {
            HeapImpl::General(_) => general::good_size(size),
            _ => size,
        }
    }

    /// Frees all blocks at once and returns true. [`HeapPolicy::General`](super::HeapPolicy::General) cannot, because
    /// threads hold parts of it: it returns false. Committed memory is kept.
    ///
    /// ```
    /// use highwater::heap::{Heap, Stack};
    ///
    /// let mut heap = Heap::builder().policy(Stack::new()).build();
    /// heap.allocate(100, 16)?;
    /// assert!(heap.reset() && heap.stats().live_blocks == 0);
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    pub fn reset(&mut self) -> bool {
        match &mut self.blocks {
            HeapImpl::General(_) => return false,
            HeapImpl::Blocks(blocks) => blocks.reset(),
            HeapImpl::Stack(blocks) => blocks.reset(),
            HeapImpl::Bump(blocks) => blocks.reset(),
        }
        true
    }

    /// Whether an address is in the heap's region, in use or not.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// assert!(heap.contains(heap.allocate(100, 16)?.as_ptr()) && !heap.contains(&0));
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    #[inline]
    pub fn contains(&self, address: *const u8) -> bool {
        dispatch!(&self.blocks, blocks => blocks.backing().contains(address))
    }

    /// How many bytes are committed.
    pub fn committed_bytes(&self) -> usize {
        dispatch!(&self.blocks, blocks => blocks.backing().control().frontier.get())
    }

    /// A view of the region's figures that other threads can read.
    pub fn monitor(&self) -> Monitor {
        dispatch!(&self.blocks, blocks => Monitor::new(blocks.backing().control()))
    }

    /// Call this in the thread that is about to fork: until [`after_fork`](Heap::after_fork) no other thread is in a call to the
    /// heap. The calling thread may continue to use it.
    ///
    /// A second call before that does nothing: one [`after_fork`](Heap::after_fork) ends both, and further ones do nothing. If
    /// the thread ends without calling it, other threads go on.
    pub fn before_fork(&self) {
        dispatch!(&self.blocks, blocks => blocks.before_fork());
    }

    /// Call this after the fork, in the parent and in the child (`is_child`). If a child passes false, the heap finds out by
    /// the process id.
    ///
    /// # Safety
    /// The calling thread called [`before_fork`](Self::before_fork), or is the child's copy of the thread that did.
    pub unsafe fn after_fork(&self, is_child: bool) {
        // SAFETY: this thread, or the one it is a copy of, called `before_fork`: this function's contract.
        dispatch!(&self.blocks, blocks => unsafe { blocks.after_fork(is_child) });
    }
}

impl<T: ThreadSlot> fmt::Debug for Heap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = match &self.blocks {
            HeapImpl::General(_) => "general",
            HeapImpl::Blocks(_) => "blocks",
            HeapImpl::Stack(_) => "stack",
            HeapImpl::Bump(_) => "bump",
        };
        f.debug_struct("Heap").field("policy", &policy).field("stats", &self.stats()).finish()
    }
}
