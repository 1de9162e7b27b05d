//! The `Allocator` traits of shared arenas and their parts.

use super::{ResizableSource, allocate, grow, grow_zeroed, shrink};
use crate::arena::local::{LocalArena, LocalCursor};
use crate::arena::shared::SharedArena;
use crate::arena::shared_cursor::SharedCursor;
use core::alloc::Layout;
use core::ptr::NonNull;

impl<const M: usize> ResizableSource for SharedCursor<M> {
    #[inline]
    fn shorten(&self, start: *mut u8, old: usize, new: usize) -> bool {
        self.shorten_last(start, old, new)
    }
}

impl<const M: usize> ResizableSource for LocalCursor<'_, M> {
    #[inline]
    fn shorten(&self, start: *mut u8, old: usize, new: usize) -> bool {
        self.shorten_last(start, old, new)
    }
}

#[cfg(feature = "allocator-api2")]
allocator!(
    /// Collections on stable compilers, from several threads. The last block is grown, shrunk and freed in place if no other thread has
    /// taken anything since.
    ///
    /// ```
    /// use allocator_api2::vec::Vec;
    ///
    /// let arena = highwater::SharedArena::new();
    /// std::thread::scope(|threads| {
    ///     for _ in 0..2 {
    ///         threads.spawn(|| {
    ///             let mut numbers = Vec::new_in(&arena);
    ///             numbers.extend(0..1000);
    ///             assert_eq!(numbers.len(), 1000);
    ///         });
    ///     }
    /// });
    /// ```
    allocator_api2::alloc,
    [const MIN_ALIGN: usize] &SharedArena<MIN_ALIGN>
);
#[cfg(feature = "allocator-api2")]
allocator!(
    /// Collections on stable compilers, over a thread's part of a shared arena.
    allocator_api2::alloc,
    [const MIN_ALIGN: usize] &LocalArena<'_, MIN_ALIGN>
);

#[cfg(feature = "nightly")]
allocator!(
    /// The standard library's collections, from several threads. The last block is grown, shrunk and freed in place if no other thread has
    /// taken anything since.
    ///
    /// ```
    /// #![feature(allocator_api)]
    ///
    /// let arena = highwater::SharedArena::new();
    /// std::thread::scope(|threads| {
    ///     for _ in 0..2 {
    ///         threads.spawn(|| {
    ///             let mut numbers = Vec::new_in(&arena);
    ///             numbers.extend(0..1000);
    ///             assert_eq!(numbers.len(), 1000);
    ///         });
    ///     }
    /// });
    /// ```
    core::alloc,
    [const MIN_ALIGN: usize] &SharedArena<MIN_ALIGN>
);
#[cfg(feature = "nightly")]
allocator!(
    /// The standard library's collections, over a thread's part of a shared arena.
    core::alloc,
    [const MIN_ALIGN: usize] &LocalArena<'_, MIN_ALIGN>
);
