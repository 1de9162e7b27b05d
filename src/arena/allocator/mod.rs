//! The `Allocator` traits: collections over an arena or a scope.
//!
//! The trait has two homes, the crate `allocator-api2` for stable compilers and the standard library's
//! unstable one. What they do is written once, as functions over a [`ResizableSource`]; a macro names the homes.
//!
//! Only the last block of the cursor itself is grown, shrunk or freed in place. A block below the
//! cursor's start belongs to an ancestor, whose position does not move while a child lives: to move the
//! child's position into it would hand out bytes that are in use. Such a block is copied or left alone, like
//! every block that is not the last.

use crate::arena::arena_type::Arena;
use crate::arena::cursor::Cursor;
use crate::arena::scope::Scope;
use crate::arena::source::{BlockSource, ErrorMode, Fallible, here};
use crate::math::page::align_up;
use core::alloc::Layout;
use core::ptr::NonNull;

/// What both traits' calls return, but for the type of the error.
type AllocatedBlock = Option<NonNull<[u8]>>;

/// A place whose blocks are given up one by one.
trait ResizableSource: BlockSource + Sized {
    /// Lets the last block end after `new` of its `old` bytes; whether it was the last. It cannot fail otherwise.
    fn shorten(&self, start: *mut u8, old: usize, new: usize) -> bool;

    /// The last block is freed, every other one waits for the end of the scope or the arena's reset.
    #[inline]
    fn free(&self, block: NonNull<u8>, size: usize) {
        self.shorten(block.as_ptr(), size, 0);
    }

    /// What a checked arena does to resize a block; `None` from every other. One that shrinks `stays`.
    ///
    /// # Safety
    /// The block is one of this allocator's and `old` fits it.
    #[inline]
    #[track_caller]
    unsafe fn resize_checked(
        &self,
        _block: NonNull<u8>,
        _old: Layout,
        _new: Layout,
        _stays: bool,
    ) -> Option<AllocatedBlock> {
        None
    }
}

impl<const M: usize, const C: bool> ResizableSource for Cursor<M, C> {
    #[inline]
    fn shorten(&self, start: *mut u8, old: usize, new: usize) -> bool {
        let is_last = self.is_last(start, old);
        // The sum lies inside the block or at its padded end, so there is always a next multiple.
        if is_last && let Some(end) = align_up(start.addr() + new, M) {
            self.set_position(self.position().with_addr(end));
        }
        is_last
    }

    #[inline]
    fn free(&self, block: NonNull<u8>, size: usize) {
        if Self::WATCHED {
            return self.free_watched(block.as_ptr(), size);
        }
        self.shorten(block.as_ptr(), size, 0);
    }

    #[inline]
    #[track_caller]
    unsafe fn resize_checked(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
        stays: bool,
    ) -> Option<AllocatedBlock> {
        // SAFETY: `block` is one of this allocator's and `old` fits it: required by this function's contract.
        Self::WATCHED.then(|| unsafe { resize_watched(self, block, old, new, stays) })
    }
}

/// A block that is committed: it may be handed to the kernel before it is written.
#[inline]
#[track_caller]
fn allocate<P: ResizableSource>(source: &P, layout: Layout) -> AllocatedBlock {
    let start = Fallible::allocate_committed(source, layout.size(), layout.align(), here::<P>()).ok()?;
    Some(NonNull::slice_from_raw_parts(NonNull::new(start)?, layout.size()))
}

/// Grows in place where that can be, and copies otherwise.
///
/// # Safety
/// The trait's: the block is one of this allocator's, `old` fits it, and `new` is not smaller.
#[track_caller]
unsafe fn grow<P: ResizableSource>(
    source: &P,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> AllocatedBlock {
    debug_assert!(new.size() >= old.size(), "a block that grows gets no smaller");
    // SAFETY: `block` is one of this allocator's and `old` fits it: required by this function's contract.
    if let Some(resized) = unsafe { source.resize_checked(block, old, new, false) } {
        return resized;
    }
    let resize = || source.resize_last(block.as_ptr(), old.size(), new.size());
    if is_aligned(block, new.align())
        && let Some(start) = resize().ok()?
    {
        // (The pointer is the region's: the one that came in may be good for the old bytes only.)
        return Some(NonNull::slice_from_raw_parts(NonNull::new(start)?, new.size()));
    }
    // SAFETY: the block has `old.size()` bytes, and the new layout has no fewer: required by this function's contract.
    unsafe { relocate(source, block, old.size(), new) }
}

/// [`grow`], and the added bytes are zero.
///
/// # Safety
/// That of [`grow`].
#[track_caller]
unsafe fn grow_zeroed<P: ResizableSource>(
    source: &P,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> AllocatedBlock {
    // SAFETY: the contract of `grow` is this function's.
    let grown = unsafe { grow(source, block, old, new)? };
    let added = new.size() - old.size();
    // SAFETY: the block has `new.size()` bytes, of which these are the last. A reset does not clear memory,
    // so fresh bytes need not be zero.
    unsafe { grown.cast::<u8>().add(old.size()).write_bytes(0, added) };
    Some(grown)
}

/// Shrinks in place, and moves only where the new alignment asks for it: shrinking does not fail otherwise.
///
/// # Safety
/// The trait's: the block is one of this allocator's, `old` fits it, and `new` is not larger.
#[track_caller]
unsafe fn shrink<P: ResizableSource>(
    source: &P,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> AllocatedBlock {
    debug_assert!(new.size() <= old.size(), "a block that shrinks gets no larger");
    // SAFETY: `block` is one of this allocator's and `old` fits it: required by this function's contract.
    if let Some(resized) = unsafe { source.resize_checked(block, old, new, true) } {
        return resized;
    }
    if !is_aligned(block, new.align()) {
        // SAFETY: the block has `old.size()` bytes, and the new layout has no more: required by this function's contract.
        return unsafe { relocate(source, block, new.size(), new) };
    }
    // One that is not the last stays as it is; it may be an ancestor's.
    source.shorten(block.as_ptr(), old.size(), new.size());
    Some(NonNull::slice_from_raw_parts(block, new.size()))
}

/// Grows or shrinks a block of a checked arena. The last one moves, because it has to end at its guard; another
/// one that shrinks `stays`, and the bytes it gives up become slack; one that grows is a new one, and the old one
/// is freed.
///
/// # Safety
/// The trait's: the block is one of this allocator's and `old` fits it.
#[track_caller]
unsafe fn resize_watched<const M: usize, const C: bool>(
    cursor: &Cursor<M, C>,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
    stays: bool,
) -> AllocatedBlock {
    let resized = cursor.resize_last_watched(block.as_ptr(), old.size(), new.size(), new.align());
    if let Ok(Some(moved)) = resized {
        return Some(NonNull::slice_from_raw_parts(NonNull::new(moved)?, new.size()));
    }
    if stays && is_aligned(block, new.align()) {
        cursor.shrink_watched(block.as_ptr(), old.size(), new.size());
        return Some(NonNull::slice_from_raw_parts(block, new.size()));
    }
    resized.ok()?;
    // SAFETY: the block has `old.size()` bytes, the new one `new.size()`, and no more than either are copied.
    let fresh = unsafe { relocate(cursor, block, old.size().min(new.size()), new)? };
    cursor.free_watched(block.as_ptr(), old.size());
    Some(fresh)
}

/// Copies `bytes` bytes of a block to a new one; the old one is left to the end of the scope.
///
/// # Safety
/// The block and the new layout have that many bytes.
#[track_caller]
unsafe fn relocate<P: ResizableSource>(
    source: &P,
    block: NonNull<u8>,
    bytes: usize,
    new: Layout,
) -> AllocatedBlock {
    let fresh = allocate(source, new)?;
    // SAFETY: both have the bytes, and no byte is in two blocks.
    unsafe { fresh.cast::<u8>().copy_from_nonoverlapping(block, bytes) };
    Some(fresh)
}

fn is_aligned(block: NonNull<u8>, align: usize) -> bool {
    block.addr().get().is_multiple_of(align)
}

/// The trait of one home for one type with a `cursor()`.
macro_rules! allocator {
    ($(#[$doc:meta])* $($home:ident)::+, [$($generics:tt)*] $type:ty) => {
        $(#[$doc])*
        // SAFETY: blocks lie in the region, which stays for as long as the arena or the scope's parent is
        // borrowed; clones of the reference are the same cursor; nothing but `deallocate`, `grow` and
        // `shrink` gives up a block while the reference lives: going back takes `&mut` or `unsafe`, and a
        // failed initialiser's space is taken back only when nothing lies after it. What threads share hands out
        // no byte twice; see `counter`.
        unsafe impl<$($generics)*> $($home)::+::Allocator for $type {
            #[inline]
            #[track_caller]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($home)::+::AllocError> {
                allocate(self.cursor(), layout).ok_or($($home)::+::AllocError)
            }

            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                self.cursor().free(block, layout.size());
            }

            #[inline]
            #[track_caller]
            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($home)::+::AllocError> {
                // SAFETY: the contract of `Allocator::grow` is that of `grow`.
                unsafe { grow(self.cursor(), block, old, new) }.ok_or($($home)::+::AllocError)
            }

            #[inline]
            #[track_caller]
            unsafe fn grow_zeroed(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($home)::+::AllocError> {
                // SAFETY: the contract of `Allocator::grow_zeroed` is that of `grow_zeroed`.
                unsafe { grow_zeroed(self.cursor(), block, old, new) }.ok_or($($home)::+::AllocError)
            }

            #[inline]
            #[track_caller]
            unsafe fn shrink(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($home)::+::AllocError> {
                // SAFETY: the contract of `Allocator::shrink` is that of `shrink`.
                unsafe { shrink(self.cursor(), block, old, new) }.ok_or($($home)::+::AllocError)
            }
        }
    };
}

#[cfg(feature = "allocator-api2")]
allocator!(
    /// Collections on stable compilers. Growing or freeing the last block costs nothing; other blocks are
    /// copied when they grow, and freed with the arena.
    ///
    /// ```
    /// use allocator_api2::vec::Vec;
    ///
    /// let arena = highwater::Arena::new();
    /// let mut squares = Vec::new_in(&arena);
    /// squares.extend((0..100u64).map(|n| n * n));
    /// assert_eq!(squares[99], 9801);
    /// drop(squares);
    /// assert_eq!(arena.allocated_bytes(), 0);
    /// ```
    allocator_api2::alloc,
    [const MIN_ALIGN: usize, const CHECKED: bool] &Arena<MIN_ALIGN, CHECKED>
);
#[cfg(feature = "allocator-api2")]
allocator!(
    /// Collections on stable compilers, as with [`Arena`]. What was allocated before the scope began is
    /// never resized or freed through it.
    ///
    /// ```
    /// use allocator_api2::vec::Vec;
    ///
    /// let mut arena = highwater::Arena::new();
    /// let mut root = arena.scope();
    /// let kept = root.alloc_str("kept");
    /// let scope = root.scope();
    /// let mut words = Vec::new_in(&scope);
    /// words.extend(["a", "b"]);
    /// assert_eq!((words.len(), kept.len()), (2, 4));
    /// ```
    allocator_api2::alloc,
    [const MIN_ALIGN: usize, const CHECKED: bool] &Scope<'_, MIN_ALIGN, CHECKED>
);
#[cfg(feature = "nightly")]
allocator!(
    /// The standard library's collections. Growing or freeing the last block costs nothing; other blocks are
    /// copied when they grow, and freed with the arena.
    ///
    /// ```
    /// #![feature(allocator_api)]
    ///
    /// let arena = highwater::Arena::new();
    /// let mut squares = Vec::new_in(&arena);
    /// squares.extend((0..100u64).map(|n| n * n));
    /// assert_eq!(squares[99], 9801);
    /// ```
    core::alloc,
    [const MIN_ALIGN: usize, const CHECKED: bool] &Arena<MIN_ALIGN, CHECKED>
);
#[cfg(feature = "nightly")]
allocator!(
    /// The standard library's collections, as with [`Arena`]. What was allocated before the scope began is
    /// never resized or freed through it.
    core::alloc,
    [const MIN_ALIGN: usize, const CHECKED: bool] &Scope<'_, MIN_ALIGN, CHECKED>
);

// (Here, where the macro is defined.)
#[cfg(feature = "shared")]
mod shared;
