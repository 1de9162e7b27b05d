//! `blink_alloc::Blink` behind the traits of the others.

use std::{alloc::Layout, ptr::NonNull};

use allocator_api2::alloc::{AllocError, Allocator};
use blink_alloc::{Blink, BlinkAlloc};

use crate::lab::BenchAlloc;

/// Its own implementation of `Allocator` is that of another version of the trait's crate; this one passes on.
#[derive(Clone, Copy)]
pub struct Blinking<'a>(pub &'a Blink);

impl<'a> Blinking<'a> {
    #[inline]
    fn blocks(self) -> &'a BlinkAlloc {
        self.0.allocator()
    }
}

impl<'a> BenchAlloc<'a> for Blinking<'a> {
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

// SAFETY: the blocks are those of the `Blink`, which is borrowed and so is not reset; a copy refers to the same one.
unsafe impl Allocator for Blinking<'_> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        self.blocks().allocate(layout).map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise, which is the same.
        unsafe { self.blocks().deallocate(block, layout.size()) }
    }

    #[inline]
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise, which is the same.
        unsafe { self.blocks().resize(block, old, new) }.map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise, which is the same.
        unsafe { self.blocks().resize(block, old, new) }.map_err(|_| AllocError)
    }
}
