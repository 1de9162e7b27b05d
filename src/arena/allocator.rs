//! The `Allocator` traits: collections over an arena or a scope.
//!
//! The trait has two homes, the crate `allocator-api2` for stable compilers and the standard library's
//! unstable one. What they do is written once, as functions over a [`Cursor`]; a macro names the homes.
//!
//! Only the last block of the very cursor that is asked is grown, shrunk or freed in place. A block below the
//! cursor's start belongs to an ancestor, whose position does not move while a child lives: to move the
//! child's position into it would hand out bytes that are in use. Such a block is copied or left alone, like
//! every block that is not the last.

use super::arena_type::Arena;
use super::cursor::{Cursor, Mode, Try, here};
use super::scope::Scope;
use crate::math::page::align_up;
use core::alloc::Layout;
use core::ptr::NonNull;

/// What both traits' calls return, but for the type of the error.
type Block = Option<NonNull<[u8]>>;

/// A block that is committed, since nobody says that it will be written.
#[inline]
#[track_caller]
fn allocate<const M: usize, const C: bool>(cursor: &Cursor<M, C>, layout: Layout) -> Block {
    let start = Try::place_committed(cursor, layout.size(), layout.align(), here::<C>()).ok()?;
    Some(NonNull::slice_from_raw_parts(NonNull::new(start)?, layout.size()))
}

/// The last block is freed, every other one waits for the end of the scope or the arena's reset.
///
/// # Safety
/// The trait's: the block is one of this allocator's, the layout fits it, and it is not used any more.
unsafe fn deallocate<const M: usize, const C: bool>(
    cursor: &Cursor<M, C>,
    block: NonNull<u8>,
    layout: Layout,
) {
    if Cursor::<M, C>::WATCHED {
        return cursor.free_watched(block.as_ptr(), layout.size());
    }
    if cursor.is_last(block.as_ptr(), layout.size()) {
        end_at(cursor, block, 0);
    }
}

/// Grows in place where that can be, and copies otherwise.
///
/// # Safety
/// The trait's: the block is one of this allocator's, `old` fits it, and `new` is not smaller.
#[track_caller]
unsafe fn grow<const M: usize, const C: bool>(
    cursor: &Cursor<M, C>,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Block {
    debug_assert!(new.size() >= old.size(), "a block that grows gets no smaller");
    if Cursor::<M, C>::WATCHED {
        // SAFETY: the caller's promise.
        return unsafe { resize_watched(cursor, block, old, new, false) };
    }
    let resize = || cursor.resize_last(block.as_ptr(), old.size(), new.size());
    if is_aligned(block, new.align()) && resize().ok()?.is_some() {
        return again(cursor, block, new.size());
    }
    // SAFETY: the caller's promise, and the old size is the smaller one.
    unsafe { relocate(cursor, block, old.size(), new) }
}

/// [`grow`], and the added bytes are zero.
///
/// # Safety
/// That of [`grow`].
#[track_caller]
unsafe fn grow_zeroed<const M: usize, const C: bool>(
    cursor: &Cursor<M, C>,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Block {
    // SAFETY: the caller's promise.
    let grown = unsafe { grow(cursor, block, old, new)? };
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
unsafe fn shrink<const M: usize, const C: bool>(
    cursor: &Cursor<M, C>,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Block {
    debug_assert!(new.size() <= old.size(), "a block that shrinks gets no larger");
    if Cursor::<M, C>::WATCHED {
        // SAFETY: the caller's promise.
        return unsafe { resize_watched(cursor, block, old, new, true) };
    }
    if !is_aligned(block, new.align()) {
        // SAFETY: the caller's promise, and the new size is the smaller one.
        return unsafe { relocate(cursor, block, new.size(), new) };
    }
    if cursor.is_last(block.as_ptr(), old.size()) {
        end_at(cursor, block, new.size());
        return again(cursor, block, new.size());
    }
    // It stays where it is. It may be an ancestor's, for which the pointer passed in is the one we have.
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
) -> Block {
    let resized = cursor.resize_last_watched(block.as_ptr(), old.size(), new.size(), new.align());
    if let Ok(Some(moved)) = resized {
        return Some(NonNull::slice_from_raw_parts(NonNull::new(moved)?, new.size()));
    }
    if stays && is_aligned(block, new.align()) {
        cursor.shrink_watched(block.as_ptr(), old.size(), new.size());
        return Some(NonNull::slice_from_raw_parts(block, new.size()));
    }
    resized.ok()?;
    // SAFETY: the caller's promise.
    let fresh = unsafe { relocate(cursor, block, old.size().min(new.size()), new)? };
    cursor.free_watched(block.as_ptr(), old.size());
    Some(fresh)
}

/// Copies `bytes` bytes of a block to a new one; the old one is left to the end of the scope.
///
/// # Safety
/// The block and the new layout have that many bytes.
#[track_caller]
unsafe fn relocate<const M: usize, const C: bool>(
    cursor: &Cursor<M, C>,
    block: NonNull<u8>,
    bytes: usize,
    new: Layout,
) -> Block {
    let fresh = allocate(cursor, new)?;
    // SAFETY: both have the bytes. The new block lies past the position, and so past the old one.
    unsafe { fresh.cast::<u8>().copy_from_nonoverlapping(block, bytes) };
    Some(fresh)
}

fn is_aligned(block: NonNull<u8>, align: usize) -> bool {
    block.addr().get().is_multiple_of(align)
}

/// Lets the last block end after `size` of its bytes.
fn end_at<const M: usize, const C: bool>(cursor: &Cursor<M, C>, block: NonNull<u8>, size: usize) {
    // The sum lies inside the block or at its padded end, so there is always a next multiple.
    if let Some(end) = align_up(block.addr().get() + size, M) {
        cursor.set_position(cursor.position().with_addr(end));
    }
}

/// The block at an address of the region, with the provenance of the whole region: the pointer that came
/// in may be good for the old bytes only.
fn again<const M: usize, const C: bool>(cursor: &Cursor<M, C>, block: NonNull<u8>, size: usize) -> Block {
    let start = NonNull::new(cursor.position().with_addr(block.addr().get()))?;
    Some(NonNull::slice_from_raw_parts(start, size))
}

/// The trait of one home for one type with a `cursor()`.
macro_rules! allocator {
    ($(#[$doc:meta])* $($home:ident)::+, $type:ty) => {
        $(#[$doc])*
        // SAFETY: blocks lie in the region, which stays for as long as the arena or the scope's parent is
        // borrowed; clones of the reference are the same cursor; nothing but `deallocate`, `grow` and
        // `shrink` gives up a block while the reference lives: going back takes `&mut` or `unsafe`, and a
        // failed initialiser's space is taken back only when nothing lies after it.
        unsafe impl<const MIN_ALIGN: usize, const CHECKED: bool> $($home)::+::Allocator for $type {
            #[inline]
            #[track_caller]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($home)::+::AllocError> {
                allocate(self.cursor(), layout).ok_or($($home)::+::AllocError)
            }

            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promise.
                unsafe { deallocate(self.cursor(), block, layout) }
            }

            #[inline]
            #[track_caller]
            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($home)::+::AllocError> {
                // SAFETY: the caller's promise.
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
                // SAFETY: the caller's promise.
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
                // SAFETY: the caller's promise.
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
    &Arena<MIN_ALIGN, CHECKED>
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
    &Scope<'_, MIN_ALIGN, CHECKED>
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
    &Arena<MIN_ALIGN, CHECKED>
);
#[cfg(feature = "nightly")]
allocator!(
    /// The standard library's collections, as with [`Arena`]. What was allocated before the scope began is
    /// never resized or freed through it.
    core::alloc,
    &Scope<'_, MIN_ALIGN, CHECKED>
);
