//! [`Heap`]: the type that all policies share.

use super::block::BlockHeap;
use super::bump::BumpHeap;
use super::general::{GeneralHeap, NativeSlot, ThreadSlot};
use super::placement_policy::PlacementPolicy;
use super::stack::StackHeap;
use super::{HeapError, HeapPolicy};
use crate::builder::{BuildInputs, Builder, FromRegion};
use crate::region::{BuildError, Region, Role};
use core::ptr::NonNull;

/// Malloc-style blocks over a region, for any number of threads.
///
/// A block is committed memory, aligned to at least [`MIN_ALIGN`](super::MIN_ALIGN), with unspecified contents. It stays at
/// its address until it is freed, moved by [`reallocate`](Heap::reallocate), or the heap is dropped or
/// [`reset`](Heap::reset). The heap commits memory by request, with the region's growth policy, and needs no SIGSEGV handler;
/// `read(2)` into a fresh block works. Once the heap exists, no call allocates from anywhere else.
///
/// How blocks are placed is chosen when the heap is made: see [`HeapPolicy`]. The default serves whole programs.
///
/// ```
/// use highwater::heap::{Blocks, Fit, Heap};
///
/// let heap = Heap::builder().reserve(1 << 30).policy(Blocks::new().fit(Fit::First)).build();
/// let [first, second] = [heap.allocate(64, 16)?, heap.allocate(64, 4096)?];
/// assert!(second.as_ptr().addr() % 4096 == 0);
/// assert_eq!(heap.stats().live_blocks, 2);
/// // SAFETY: both are live blocks of this heap, and no longer used.
/// unsafe {
///     heap.deallocate(first)?;
///     heap.deallocate(second)?;
/// }
/// assert_eq!(heap.stats().live_bytes, 0);
/// # Ok::<(), highwater::heap::HeapError>(())
/// ```
///
/// # Forks
/// A child may use the heap as its parent does, unless it was forked while another thread was in a call: then it may wait for
/// that thread forever. A program that forks with threads running calls [`before_fork`](Heap::before_fork) and
/// [`after_fork`](Heap::after_fork) around the fork, for example by `pthread_atfork`.
#[must_use = "dropping a heap unmaps it"]
pub struct Heap<T: ThreadSlot = NativeSlot> {
    pub(super) blocks: HeapImpl<T>,
    sets_errno: bool,
}

/// The policy's blocks, and with them the region. (With a tag of its own, so that dispatch is one compare.)
#[repr(u8)]
#[expect(clippy::large_enum_variant, reason = "a heap is made once, and nothing is allocated for it")]
pub(super) enum HeapImpl<T: ThreadSlot> {
    General(GeneralHeap<T>),
    Blocks(BlockHeap),
    Stack(StackHeap),
    Bump(BumpHeap),
}

/// The same call on the heap's policy, whichever it is.
macro_rules! dispatch {
    ($heap:expr, $blocks:ident => $call:expr) => {
        match $heap {
            HeapImpl::General($blocks) => $call,
            HeapImpl::Blocks($blocks) => $call,
            HeapImpl::Stack($blocks) => $call,
            HeapImpl::Bump($blocks) => $call,
        }
    };
}
pub(super) use dispatch;

/// Checks whether any block can have this size and alignment.
#[inline]
fn validate(size: usize, align: usize) -> Result<(), HeapError> {
    const MAX: usize = isize::MAX as usize;
    if size == 0 {
        Err(HeapError::ZeroSize)
    } else if !align.is_power_of_two() {
        Err(HeapError::Alignment { align })
    } else if align > MAX || size > MAX - (align - 1) {
        Err(HeapError::TooLarge { size })
    } else {
        Ok(())
    }
}

impl Heap {
    /// A heap with the default policies: 64 GiB reserved.
    ///
    /// # Panics
    /// If the system has no address space for it.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// assert!(heap.allocate(100, 16).is_ok());
    /// ```
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A builder for a heap with other policies, for its region and its blocks.
    ///
    /// ```
    /// use highwater::heap::{Heap, Stack};
    ///
    /// let heap = Heap::builder().name("frames").limit(1 << 20).policy(Stack::new().align(32)).build();
    /// assert!(heap.allocate(2 << 20, 16).is_err());
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// A heap over a region whose contents are no longer needed.
    ///
    /// ```
    /// use highwater::Region;
    /// use highwater::heap::{Bump, Heap};
    ///
    /// let heap = Heap::over(Region::builder().reserve(1 << 20).build(), Bump::new())?;
    /// heap.allocate(100, 16)?;
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    ///
    /// # Errors
    /// [`HeapError::Option`] names an option with an invalid value.
    pub fn over(region: Region, policy: impl Into<HeapPolicy>) -> Result<Self, HeapError> {
        Self::over_with_slot(region, policy.into())
    }
}

impl<T: ThreadSlot> Heap<T> {
    fn over_with_slot(region: Region, policy: HeapPolicy) -> Result<Self, HeapError> {
        let blocks = match policy {
            HeapPolicy::General(options) => HeapImpl::General(GeneralHeap::new(region, options)?),
            HeapPolicy::Blocks(options) => HeapImpl::Blocks(BlockHeap::over(region, options)?),
            HeapPolicy::Stack(options) => HeapImpl::Stack(StackHeap::over(region, options)?),
            HeapPolicy::Bump(options) => HeapImpl::Bump(BumpHeap::over(region, options)?),
        };
        let sets_errno = matches!(policy, HeapPolicy::Stack(options) if options.sets_errno);
        Ok(Heap { blocks, sets_errno })
    }

    /// Allocates a block of `size` bytes at a multiple of `align`, which is a power of two. Its contents are unspecified.
    ///
    /// # Errors
    /// [`HeapError::ZeroSize`], [`Alignment`](HeapError::Alignment), [`TooLarge`](HeapError::TooLarge), or
    /// [`OutOfMemory`](HeapError::OutOfMemory) with the cause.
    #[inline]
    pub fn allocate(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        // Only the fast path of `General` is inlined; the dispatch to other policies is out of line.
        if let HeapImpl::General(blocks) = &self.blocks
            && let Some(block) = blocks.allocate_fast(size, align)
        {
            return Ok(block);
        }
        self.allocate_slow(size, align)
    }

    /// The slow path of `General`, and both paths of the other policies. (The longer fast path has a function of its own, so
    /// that the shorter one saves no more registers than it needs.)
    #[inline(never)]
    pub(super) fn allocate_slow(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        match &self.blocks {
            HeapImpl::Stack(blocks) if align.is_power_of_two() => match blocks.allocate_fast(size, align) {
                Some(block) => Ok(block),
                None => self.allocate_cold(size, align),
            },
            HeapImpl::Bump(_) => self.allocate_by_bump(size, align),
            _ => self.allocate_cold(size, align),
        }
    }

    #[inline(never)]
    fn allocate_by_bump(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        match &self.blocks {
            HeapImpl::Bump(blocks) if align.is_power_of_two() => blocks.allocate_fast(size, align),
            _ => None,
        }
        .map_or_else(|| self.allocate_cold(size, align), Ok)
    }

    /// Allocates by the policy's slow path.
    #[cold]
    #[inline(never)]
    fn allocate_cold(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let result = validate(size, align)
            .and_then(|()| dispatch!(&self.blocks, blocks => blocks.allocate(size, align)));
        result.map_err(|error| self.with_errno(error))
    }

    /// Allocates a block like [`allocate`](Heap::allocate) whose first `size` bytes are zero. Pages that are fresh from the
    /// system are not written to.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// let block = heap.allocate_zeroed(100, 16)?;
    /// // SAFETY: the block has 100 bytes, and all of them are initialised.
    /// assert_eq!(unsafe { block.add(99).read() }, 0);
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`allocate`](Heap::allocate).
    #[inline]
    pub fn allocate_zeroed(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        if let HeapImpl::General(blocks) = &self.blocks
            && let Some(block) = blocks.allocate_fast(size, align)
        {
            // SAFETY: `allocate_fast` returned a block of at least `size` bytes, which only this call knows.
            unsafe { block.write_bytes(0, size) };
            return Ok(block);
        }
        self.allocate_zeroed_cold(size, align)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn allocate_zeroed_cold(&self, size: usize, align: usize) -> Result<NonNull<u8>, HeapError> {
        let result = validate(size, align)
            .and_then(|()| dispatch!(&self.blocks, blocks => blocks.allocate_zeroed(size, align)));
        result.map_err(|error| self.with_errno(error))
    }

    /// Frees a block.
    ///
    /// # Errors
    /// If `block` is not a live block of this heap, the error names what it is instead, and the heap is unchanged. The heap
    /// finds out from its own data about the block, so a program that overwrites that data can hide the error.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, it is no longer used. With [`HeapPolicy::General`], unless it is
    /// [`checked`](super::General::checked), `block` is a live block of this heap or an address outside its slices of small
    /// blocks: an address in one of those slices is not checked.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        if let HeapImpl::General(blocks) = &self.blocks
            // SAFETY: if `block` is a live block of this heap it is no longer used: this function's contract.
            && unsafe { blocks.deallocate_fast(block.as_ptr()) }
        {
            return Ok(());
        }
        // SAFETY: the contracts of the two functions are the same.
        unsafe { self.deallocate_slow(block) }
    }

    /// The slow path of `General`, and both paths of the other policies.
    ///
    /// # Safety
    /// That of [`deallocate`](Heap::deallocate).
    #[inline(never)]
    pub(super) unsafe fn deallocate_slow(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: if `block` is a live block of this heap it is no longer used: this function's contract.
        unsafe {
            match &self.blocks {
                HeapImpl::Stack(blocks) if blocks.deallocate_fast(block) => Ok(()),
                HeapImpl::Bump(_) => self.deallocate_by_bump(block),
                _ => self.deallocate_cold(block),
            }
        }
    }

    /// # Safety
    /// That of [`deallocate`](Heap::deallocate).
    #[inline(never)]
    unsafe fn deallocate_by_bump(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        let is_freed = matches!(&self.blocks, HeapImpl::Bump(blocks) if blocks.deallocate_fast(block));
        // SAFETY: the contracts of the two functions are the same.
        if is_freed { Ok(()) } else { unsafe { self.deallocate_cold(block) } }
    }

    /// Frees by the policy's slow path.
    ///
    /// # Safety
    /// That of [`deallocate`](Heap::deallocate).
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_cold(&self, block: NonNull<u8>) -> Result<(), HeapError> {
        // SAFETY: if `block` is a live block of this heap it is no longer used: this function's contract.
        let result = dispatch!(&self.blocks, blocks => unsafe { blocks.deallocate(block) });
        result.map_err(|error| self.with_errno(error))
    }

    /// Resizes a block: the result has `size` bytes and begins with the old contents, as far as they fit. It is the same block
    /// where that is possible; otherwise `block` has been freed.
    ///
    /// ```
    /// let heap = highwater::heap::Heap::new();
    /// let block = heap.allocate(10, 16)?;
    /// // SAFETY: the blocks are live and as long as they are used here.
    /// unsafe {
    ///     block.write_bytes(7, 10);
    ///     let block = heap.reallocate(block, 1000, 16)?;
    ///     assert_eq!(block.add(9).read(), 7);
    ///     heap.deallocate(block)?;
    /// }
    /// # Ok::<(), highwater::heap::HeapError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`allocate`](Heap::allocate) and [`deallocate`](Heap::deallocate). Then `block` is unchanged.
    ///
    /// # Safety
    /// That of [`deallocate`](Heap::deallocate).
    #[inline]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        size: usize,
        align: usize,
    ) -> Result<NonNull<u8>, HeapError> {
        let result = validate(size, align).and_then(|()| {
            // SAFETY: if `block` is a live block of this heap it is no longer used: this function's contract.
            dispatch!(&self.blocks, blocks => unsafe { blocks.reallocate(block, size, align) })
        });
        result.map_err(|error| self.with_errno(error))
    }

    /// The error, after errno was set if the policy asks for that.
    #[cold]
    pub(super) fn with_errno(&self, error: HeapError) -> HeapError {
        if self.sets_errno {
            nix::errno::Errno::set_raw(match error {
                HeapError::OutOfMemory(_) | HeapError::TooLarge { .. } => libc::ENOMEM,
                _ => libc::EINVAL,
            });
        }
        error
    }
}

impl<T: ThreadSlot> Builder<Heap<T>> {
    /// How blocks are placed: a [`HeapPolicy`], or the options of one.
    ///
    /// ```
    /// use highwater::heap::{Bump, Heap};
    ///
    /// let heap = Heap::builder().policy(Bump::new().slice(1 << 20)).build();
    /// # drop(heap);
    /// ```
    pub fn policy(self, policy: impl Into<HeapPolicy>) -> Self {
        self.heap_policy(policy.into())
    }
}

impl<T: ThreadSlot> FromRegion for Heap<T> {
    const CHECKED: bool = false;
    const TOUCHED: bool = false;
    const ROLE: Role = Role::Heap;

    fn from_region(region: Region, inputs: BuildInputs<'_>) -> Result<Self, BuildError> {
        Ok(Heap::over_with_slot(region, inputs.options.heap)?)
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}
