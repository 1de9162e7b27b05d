//! Those that are asked for memory.

use std::{alloc::Layout, hint::black_box};

use bumpalo::Bump;
use highwater::{Arena, Scope};

use super::plan::Shape;

/// What a `malloc` aligns its blocks to where addresses have 64 bits.
const ALIGN: usize = 16;

/// A thread's own allocator.
pub trait Subject: Sized {
    /// What allocates during one repeat.
    type Taker<'a>: Take
    where
        Self: 'a;

    /// Each block is another one.
    const HAS_BLOCKS: bool = true;

    /// Ready for work, in the thread that will use it.
    fn make(shape: &Shape) -> Self;

    /// A repeat begins.
    fn begin(&mut self) -> Self::Taker<'_>;

    /// It has ended, and everything was given back that can be given back singly.
    fn end(&mut self);
}

/// Allocating and freeing. Null when there is no memory.
pub trait Take {
    /// At least so many bytes, aligned for anything.
    fn take(&self, size: usize) -> *mut u8;

    /// The array that the blocks are kept in.
    #[inline(always)]
    fn take_array(&self, bytes: usize) -> *mut u8 {
        self.take(bytes)
    }

    /// Frees one block.
    ///
    /// # Safety
    /// It is one of this taker's, and not used any more.
    unsafe fn give_back(&self, block: *mut u8);

    /// Frees the array.
    ///
    /// # Safety
    /// It is one of this taker's, and not used any more.
    #[inline(always)]
    unsafe fn give_back_array(&self, array: *mut u8) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.give_back(array) }
    }
}

/// The C library's, or what stands in its place.
pub struct Malloc;

impl Subject for Malloc {
    type Taker<'a> = Malloc;

    fn make(_: &Shape) -> Self {
        Malloc
    }

    fn begin(&mut self) -> Malloc {
        Malloc
    }

    fn end(&mut self) {}
}

impl Take for Malloc {
    #[inline(always)]
    fn take(&self, size: usize) -> *mut u8 {
        // SAFETY: any size may be asked for.
        unsafe { libc::malloc(size) }.cast()
    }

    #[inline(always)]
    unsafe fn give_back(&self, block: *mut u8) {
        // SAFETY: the caller's block is from `take` and so from `malloc`.
        unsafe { libc::free(block.cast()) }
    }
}

/// A layout that exists: sizes are far below the largest.
#[inline(always)]
fn layout(size: usize) -> Layout {
    debug_assert!(size <= isize::MAX as usize - ALIGN);
    // SAFETY: the alignment is a power of two, and sizes are of 32 bits, or an array's in memory that was counted
    // before.
    unsafe { Layout::from_size_align_unchecked(size, ALIGN) }
}

impl Subject for Arena {
    type Taker<'a> = &'a Arena;

    fn make(_: &Shape) -> Self {
        Arena::new()
    }

    fn begin(&mut self) -> &Arena {
        self
    }

    fn end(&mut self) {
        self.reset();
    }
}

impl Take for &Arena {
    #[inline(always)]
    fn take(&self, size: usize) -> *mut u8 {
        self.alloc_layout(layout(size)).as_ptr()
    }

    #[inline(always)]
    unsafe fn give_back(&self, _block: *mut u8) {}
}

/// An arena that is used through one scope a repeat.
pub struct Scoped(Arena);

impl Subject for Scoped {
    type Taker<'a> = Scope<'a>;

    fn make(_: &Shape) -> Self {
        Scoped(Arena::new())
    }

    fn begin(&mut self) -> Scope<'_> {
        self.0.scope()
    }

    fn end(&mut self) {}
}

impl Take for Scope<'_> {
    #[inline(always)]
    fn take(&self, size: usize) -> *mut u8 {
        self.alloc_layout(layout(size)).as_ptr()
    }

    #[inline(always)]
    unsafe fn give_back(&self, _block: *mut u8) {}
}

impl Subject for Bump {
    type Taker<'a> = &'a Bump;

    fn make(_: &Shape) -> Self {
        Bump::new()
    }

    fn begin(&mut self) -> &Bump {
        self
    }

    fn end(&mut self) {
        self.reset();
    }
}

impl Take for &Bump {
    #[inline(always)]
    fn take(&self, size: usize) -> *mut u8 {
        self.alloc_layout(layout(size)).as_ptr()
    }

    #[inline(always)]
    unsafe fn give_back(&self, _block: *mut u8) {}
}

/// No allocator: every block is the same one. What remains is what the loops cost.
pub struct Nobody {
    array: Vec<*mut u8>,
    block: Vec<u8>,
}

/// The addresses of a `Nobody`'s array and of its block.
pub struct Same {
    array: *mut u8,
    block: *mut u8,
}

impl Subject for Nobody {
    type Taker<'a> = Same;

    const HAS_BLOCKS: bool = false;

    fn make(shape: &Shape) -> Self {
        let block = vec![0; shape.upper as usize];
        Self { array: vec![std::ptr::null_mut(); shape.iterations], block }
    }

    fn begin(&mut self) -> Same {
        Same { array: self.array.as_mut_ptr().cast(), block: self.block.as_mut_ptr() }
    }

    fn end(&mut self) {}
}

impl Take for Same {
    #[inline(always)]
    fn take(&self, size: usize) -> *mut u8 {
        // As much as a compiler knows of an allocator that is called.
        black_box(size);
        black_box(self.block)
    }

    #[inline(always)]
    fn take_array(&self, _bytes: usize) -> *mut u8 {
        self.array
    }

    #[inline(always)]
    unsafe fn give_back(&self, block: *mut u8) {
        black_box(block);
    }
}
