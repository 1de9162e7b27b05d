//! Implements the traits of the other allocators for `blink_alloc::Blink`.

use std::{alloc::Layout, ptr::NonNull};

use allocator_api2::alloc::{AllocError, Allocator};
use blink_alloc::{Blink, BlinkAlloc};

use crate::lab::BenchAlloc;

/// A handle to a `Blink`. (Its own implementation of `Allocator` is for another version of the trait's crate.)
#[derive(Clone, Copy)]
pub struct BlinkHandle<'a>(pub &'a Blink);

impl<'a> BlinkHandle<'a> {
    #[inline]
    fn blocks(self) -> &'a BlinkAlloc {
        self.0.allocator()
    }
}

impl<'a> BenchAlloc<'a> for BlinkHandle<'a> {
    #[inline]
    fn alloc_value<T>(&self, value: T) -> &'a mut T {
        self.0.put_no_drop(value)
    }

    #[inline]
    fn alloc_text(&self, text: &str) -> &'a str {
        self.0.copy_str(text)
    }

    fn used(&self) -> Option<u64> {
        None
    }
}

// SAFETY: the blocks belong to the `Blink`, which is borrowed and so not reset; a copy of the handle refers to the same one.
unsafe impl Allocator for BlinkHandle<'_> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.blocks().allocate(layout).map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the block was allocated by this `Blink` with this layout, as the contract of `Allocator` says.
        unsafe { self.blocks().deallocate(block, layout.size()) }
    }

    #[inline]
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the block was allocated by this `Blink` with the old layout, as the contract of `Allocator` says.
        unsafe { self.blocks().resize(block, old, new) }.map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the block was allocated by this `Blink` with the old layout, as the contract of `Allocator` says.
        unsafe { self.blocks().resize(block, old, new) }.map_err(|_| AllocError)
    }
}
