//! Cells with one writer: the thread that owns what they are in.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32};

/// A number that only its owner writes; other threads may read it.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct OwnerU32(AtomicU32);

impl OwnerU32 {
    pub(super) const fn new(value: u32) -> Self {
        OwnerU32(AtomicU32::new(value))
    }

    #[inline]
    pub(super) fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: u32) {
        self.0.store(value, Relaxed);
    }

    /// [`set`](Self::set) for readers that use [`get_published`](Self::get_published): they see everything that was written
    /// before.
    pub(super) fn publish(&self, value: u32) {
        self.0.store(value, Release);
    }

    /// The other side of [`publish`](Self::publish).
    pub(super) fn get_published(&self) -> u32 {
        self.0.load(Acquire)
    }
}

/// A pointer that only its owner writes; other threads may read it.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct OwnerPtr<T>(AtomicPtr<T>);

impl<T> OwnerPtr<T> {
    pub(super) const fn new(value: *mut T) -> Self {
        OwnerPtr(AtomicPtr::new(value))
    }

    #[inline]
    pub(super) fn get(&self) -> *mut T {
        self.0.load(Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: *mut T) {
        self.0.store(value, Relaxed);
    }
}
