//! The allocators that are measured.

use std::{alloc::Layout, hint::black_box};

use bumpalo::Bump;
use highwater::{Arena, Scope};

use super::plan::WorkShape;

/// The alignment of `malloc`'s blocks on 64-bit systems.
const ALIGN: usize = 16;

/// A thread's own allocator.
pub trait TestAllocator: Sized {
    /// The handle that allocates during one repeat.
    type Handle<'a>: BlockAllocator
    where
        Self: 'a;

    /// Whether blocks are distinct.
    const HAS_BLOCKS: bool = true;

    /// Makes one, in the thread that will use it.
    fn make(shape: &WorkShape) -> Self;

    /// Starts a repeat.
    fn begin(&mut self) -> Self::Handle<'_>;

    /// Ends a repeat, after all blocks have been freed.
    fn end(&mut self);
}

/// Allocating and freeing. Null when there is no memory.
pub trait BlockAllocator {
    /// Allocates a block of at least `size` bytes, aligned for any type.
    fn allocate(&self, size: usize) -> *mut u8;

    /// Allocates the array of the blocks.
    #[inline(always)]
    fn allocate_array(&self, bytes: usize) -> *mut u8 {
        self.allocate(bytes)
    }

    /// Frees one block.
    ///
    /// # Safety
    /// It was allocated by this handle, and is not used any more.
    unsafe fn deallocate(&self, block: *mut u8);

    /// Frees the array.
    ///
    /// # Safety
    /// It was allocated by this handle, and is not used any more.
    #[inline(always)]
    unsafe fn deallocate_array(&self, array: *mut u8) {
        // SAFETY: the array was allocated by this handle and is not used any more, as the contract of this function says.
        unsafe { self.deallocate(array) }
    }
}

/// `malloc` of the C library, or of the preloaded library.
pub struct SystemMalloc;

impl TestAllocator for SystemMalloc {
    type Handle<'a> = SystemMalloc;

    fn make(_: &WorkShape) -> Self {
        SystemMalloc
    }

    fn begin(&mut self) -> SystemMalloc {
        SystemMalloc
    }

    fn end(&mut self) {}
}

impl BlockAllocator for SystemMalloc {
    #[inline(always)]
    fn allocate(&self, size: usize) -> *mut u8 {
        // SAFETY: malloc has no preconditions.
        unsafe { libc::malloc(size) }.cast()
    }

    #[inline(always)]
    unsafe fn deallocate(&self, block: *mut u8) {
        // SAFETY: the block was allocated by this handle, so by `malloc`, and is not used any more.
        unsafe { libc::free(block.cast()) }
    }
}

/// The layout of a block; sizes are far below the limit.
#[inline(always)]
fn layout(size: usize) -> Layout {
    debug_assert!(size <= isize::MAX as usize - ALIGN);
    // SAFETY: the alignment is a power of two; a size is that of a block, which has 32 bits, or of the array, which was
    // checked against the available memory.
    unsafe { Layout::from_size_align_unchecked(size, ALIGN) }
}

impl TestAllocator for Arena {
    type Handle<'a> = &'a Arena;

    fn make(_: &WorkShape) -> Self {
        Arena::new()
    }

    fn begin(&mut self) -> &Arena {
        self
    }

    fn end(&mut self) {
        self.reset();
    }
}

impl BlockAllocator for &Arena {
    #[inline(always)]
    fn allocate(&self, size: usize) -> *mut u8 {
        self.alloc_layout(layout(size)).as_ptr()
    }

    #[inline(always)]
    unsafe fn deallocate(&self, _block: *mut u8) {}
}

/// An arena that is used by a scope for each repeat.
pub struct ScopedArena(Arena);

impl TestAllocator for ScopedArena {
    type Handle<'a> = Scope<'a>;

    fn make(_: &WorkShape) -> Self {
        ScopedArena(Arena::new())
    }

    fn begin(&mut self) -> Scope<'_> {
        self.0.scope()
    }

    fn end(&mut self) {}
}

impl BlockAllocator for Scope<'_> {
    #[inline(always)]
    fn allocate(&self, size: usize) -> *mut u8 {
        self.alloc_layout(layout(size)).as_ptr()
    }

    #[inline(always)]
    unsafe fn deallocate(&self, _block: *mut u8) {}
}

impl TestAllocator for Bump {
    type Handle<'a> = &'a Bump;

    fn make(_: &WorkShape) -> Self {
        Bump::new()
    }

    fn begin(&mut self) -> &Bump {
        self
    }

    fn end(&mut self) {
        self.reset();
    }
}

impl BlockAllocator for &Bump {
    #[inline(always)]
    fn allocate(&self, size: usize) -> *mut u8 {
        self.alloc_layout(layout(size)).as_ptr()
    }

    #[inline(always)]
    unsafe fn deallocate(&self, _block: *mut u8) {}
}

/// No allocator: every block is the same one, so only the loops are measured.
pub struct NoAllocator {
    array: Vec<*mut u8>,
    block: Vec<u8>,
}

/// The addresses of the array and the block of a `NoAllocator`.
pub struct FixedBlock {
    array: *mut u8,
    block: *mut u8,
}

impl TestAllocator for NoAllocator {
    type Handle<'a> = FixedBlock;

    const HAS_BLOCKS: bool = false;

    fn make(shape: &WorkShape) -> Self {
        let block = vec![0; shape.upper as usize];
        Self { array: vec![std::ptr::null_mut(); shape.iterations], block }
    }

    fn begin(&mut self) -> FixedBlock {
        FixedBlock { array: self.array.as_mut_ptr().cast(), block: self.block.as_mut_ptr() }
    }

    fn end(&mut self) {}
}

impl BlockAllocator for FixedBlock {
    #[inline(always)]
    fn allocate(&self, size: usize) -> *mut u8 {
        // The compiler must not know more of the address than with a real allocator.
        black_box(size);
        black_box(self.block)
    }

    #[inline(always)]
    fn allocate_array(&self, _bytes: usize) -> *mut u8 {
        self.array
    }

    #[inline(always)]
    unsafe fn deallocate(&self, block: *mut u8) {
        black_box(block);
    }
}
