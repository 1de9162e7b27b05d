//! [`Scope`]: a cursor by value.

use super::body::{self, always};
use super::boxed::ArenaBox;
use super::checkpoint::Checkpoint;
use super::cursor::Cursor;
use super::frame::Frame;
use super::source::{ErrorMode, Fallible, Panicking, here};
use crate::admission::{AllocOrInitError, OutOfMemory};
use crate::region::Monitor;
use crate::stats::Stats;
use core::alloc::Layout;
use core::ffi::CStr;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// A part of an arena that is freed when its borrow ends, like a frame of a second stack: a copy of its parent's position
/// and limit.
///
/// Allocations borrow from the parent (`'a`), not from the scope, so they may be returned from the function
/// that made the scope's child, and what the parent allocated stays usable while a child lives. Ending the
/// borrow *is* the rewind: the parent's position never moved. There is nothing to drop, nothing to forget
/// and no cost beyond copying two words; because the position is a local value, the compiler keeps it in a
/// register and folds through it.
///
/// An arena's own allocations end where [`Arena::scope`](crate::Arena::scope) begins, since it borrows the
/// arena mutably: take one root scope first and allocate from that.
///
/// ```
/// use highwater::{Arena, Scope};
///
/// fn doubled<'a>(out: &Scope<'a>, of: &[f64]) -> &'a mut [f64] {
///     out.alloc_slice_fill_with(of.len(), |i| 2.0 * of[i])
/// }
///
/// let mut arena = Arena::new();
/// let mut root = arena.scope();
/// let kept = doubled(&root, &[1.0, 2.0]);
/// let total: f64 = {
///     let scratch = root.scope();
///     let temporary = doubled(&scratch, kept); // `kept` is still usable
///     temporary.iter().sum()
/// }; // and `temporary` is gone
/// assert_eq!((total, kept[1]), (12.0, 4.0));
/// ```
#[must_use = "a scope that is not allocated from does nothing"]
pub struct Scope<'a, const MIN_ALIGN: usize = 8, const CHECKED: bool = false> {
    cursor: Cursor<MIN_ALIGN, CHECKED>,
    parent: PhantomData<&'a mut ()>,
}

// SAFETY: the parent is borrowed mutably for as long as the scope lives, so moving the scope to another
// thread moves the right to allocate there.
unsafe impl<const MIN_ALIGN: usize, const CHECKED: bool> Send for Scope<'_, MIN_ALIGN, CHECKED> {}

impl<'a, const MIN_ALIGN: usize, const CHECKED: bool> Scope<'a, MIN_ALIGN, CHECKED> {
    /// `'a` is a mutable borrow of the parent, for all of it.
    #[inline(always)]
    pub(super) fn new(parent: &Cursor<MIN_ALIGN, CHECKED>) -> Self {
        Scope { cursor: parent.fork(), parent: PhantomData }
    }

    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(super) fn cursor(&self) -> &Cursor<MIN_ALIGN, CHECKED> {
        &self.cursor
    }

    calls!("scope", 'a);

    figures!();

    checkpoints!("scope");

    /// The region's first byte, and the bytes that its addresses span.
    pub(super) fn span(&self) -> (*mut u8, usize) {
        (self.cursor.control().base(), self.cursor.control().reserved())
    }

    /// A scope on top of this one, which cannot be allocated from until the child ends.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let mut root = arena.scope();
    /// let kept = root.alloc(1);
    /// assert_eq!(*root.scope().alloc(2) + *kept, 3);
    /// ```
    #[inline(always)]
    pub fn scope(&mut self) -> Scope<'_, MIN_ALIGN, CHECKED> {
        Scope::new(&self.cursor)
    }

    /// Runs a closure with a child scope of its own.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let mut root = arena.scope();
    /// let kept = root.alloc(1);
    /// root.scoped(|inner| *inner.alloc(2));
    /// assert_eq!(*kept, 1);
    /// ```
    #[inline(always)]
    pub fn scoped<R>(&mut self, f: impl FnOnce(Scope<'_, MIN_ALIGN, CHECKED>) -> R) -> R {
        f(self.scope())
    }

    /// Allocates `N` bytes, rounded up to `MIN_ALIGN`, with one check. Allocations from the frame whose size is
    /// known at compile time need none. The bytes are freed with the scope.
    ///
    /// # Panics
    /// When the limit or the reservation ends before the frame does.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let scope = arena.scope();
    /// let frame = scope.frame::<24>();
    /// let (a, b, c) = (frame.alloc(1u64), frame.alloc(2u64), frame.alloc(3u64));
    /// assert_eq!(*a + *b + *c, 6);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn frame<const N: usize>(&self) -> Frame<'a, N, MIN_ALIGN> {
        let bytes = Frame::<N, MIN_ALIGN>::BYTES;
        Frame::new(always(Panicking::allocate(
            &self.cursor,
            bytes,
            MIN_ALIGN,
            here::<Cursor<MIN_ALIGN, CHECKED>>(),
        )))
    }

    /// [`frame`](Scope::frame) that returns the error; the frame is committed.
    ///
    /// # Errors
    /// [`OutOfMemory`] when there is no memory for it.
    #[inline(always)]
    #[track_caller]
    pub fn try_frame<const N: usize>(&self) -> Result<Frame<'a, N, MIN_ALIGN>, OutOfMemory> {
        let bytes = Frame::<N, MIN_ALIGN>::BYTES;
        Ok(Frame::new(Fallible::allocate(
            &self.cursor,
            bytes,
            MIN_ALIGN,
            here::<Cursor<MIN_ALIGN, CHECKED>>(),
        )?))
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> fmt::Debug for Scope<'_, MIN_ALIGN, CHECKED> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("used", &self.allocated_bytes()).finish_non_exhaustive()
    }
}
