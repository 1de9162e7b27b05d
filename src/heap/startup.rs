//! How an allocator comes to be that everything else needs: made by whoever calls first, while what is called to make it
//! allocates as well.

use super::lock::pause;
use crate::sys;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU64, AtomicUsize};

/// A value that is made at the first use. Unlike std's, it may be asked for by the thread that is making it.
#[derive(Debug)]
pub struct Made<V> {
    /// `NONE`, `FAILED`, `READY`, or the thread that is at it.
    state: AtomicU64,
    value: UnsafeCell<MaybeUninit<V>>,
}

const NONE: u64 = 0;
const FAILED: u64 = 1;
const READY: u64 = 2;

/// What there is of a [`Made`].
#[derive(Debug)]
pub enum Found<'m, V> {
    /// The value.
    Ready(&'m V),
    /// This very thread is making it.
    Within,
    /// It could not be made, and never will.
    Failed,
}

// SAFETY: it is written by one thread before anybody else sees it, and read by all.
unsafe impl<V: Send + Sync> Sync for Made<V> {}

impl<V> Made<V> {
    /// Not yet there.
    pub const fn new() -> Self {
        Made { state: AtomicU64::new(NONE), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if it is there.
    #[inline]
    pub fn get(&self) -> Option<&V> {
        // SAFETY: it is ready, and is not written to any more.
        (self.state.load(Acquire) == READY).then(|| unsafe { self.get_unchecked() })
    }

    /// The value.
    ///
    /// # Safety
    /// It is there, as this thread knows.
    #[inline(always)]
    pub unsafe fn get_unchecked(&self) -> &V {
        // SAFETY: the caller's promise.
        unsafe { (*self.value.get()).assume_init_ref() }
    }

    /// The value, which is made if it is not there; or what stands in the way.
    #[inline]
    pub fn get_or_make(&self, make: impl FnOnce() -> Option<V>) -> Found<'_, V> {
        match self.get() {
            Some(value) => Found::Ready(value),
            None => self.make(make),
        }
    }

    #[cold]
    fn make(&self, make: impl FnOnce() -> Option<V>) -> Found<'_, V> {
        let this = sys::this_holder();
        let mut turn = 0u32;
        loop {
            match self.state.load(Acquire) {
                // SAFETY: as in `get`.
                READY => return Found::Ready(unsafe { self.get_unchecked() }),
                FAILED => return Found::Failed,
                maker if maker == this => return Found::Within,
                maker if maker == NONE || sys::not_inherited(maker) => {
                    if self.state.compare_exchange(maker, this, Acquire, Relaxed).is_ok() {
                        break;
                    }
                }
                _ => {
                    pause(turn);
                    turn = turn.saturating_add(1);
                }
            }
        }
        let Some(value) = make() else {
            self.state.store(FAILED, Release);
            return Found::Failed;
        };
        // SAFETY: nobody else writes, and nobody reads before it is ready.
        let value = unsafe { (*self.value.get()).write(value) };
        self.state.store(READY, Release);
        Found::Ready(value)
    }
}

impl<V> Default for Made<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// `N` bytes for what is allocated while an allocator is made. Nothing of it is used twice.
#[derive(Debug)]
pub struct Boot<const N: usize> {
    used: AtomicUsize,
    room: UnsafeCell<Room<N>>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Room<const N: usize>([MaybeUninit<u8>; N]);

// SAFETY: every byte is handed out once.
unsafe impl<const N: usize> Sync for Boot<N> {}

/// Before every block: how long it is.
const HEADER: usize = 16;

impl<const N: usize> Boot<N> {
    /// Nothing is used.
    pub const fn new() -> Self {
        Boot { used: AtomicUsize::new(0), room: UnsafeCell::new(Room([MaybeUninit::zeroed(); N])) }
    }

    /// A block of zeros for `size` bytes at a multiple of `align`, which is a power of two; null if there is no room.
    pub fn allocate(&self, size: usize, align: usize) -> *mut u8 {
        let base: *mut u8 = self.room.get().cast();
        let align = align.max(HEADER);
        let place = |used: usize| {
            let start =
                base.addr().checked_add(used + HEADER)?.checked_next_multiple_of(align)? - base.addr();
            Some((start, start.checked_add(size).filter(|end| *end <= N)?))
        };
        let Ok(used) = self.used.fetch_update(Relaxed, Relaxed, |used| place(used).map(|(_, end)| end))
        else {
            return null_mut();
        };
        let Some((start, _)) = place(used) else { return null_mut() };
        let block = base.wrapping_add(start);
        // SAFETY: the header is in front of the block, in what was taken just now. It may not be aligned to a word where
        // the one before ended at an odd place; the block is, and so is the header.
        unsafe { block.wrapping_sub(HEADER).cast::<usize>().write(size) };
        block
    }

    /// Whether an address is one of these bytes.
    #[inline]
    pub fn contains(&self, address: *const u8) -> bool {
        address.addr().wrapping_sub(self.room.get().addr()) < N
    }

    /// How long a block is.
    ///
    /// # Safety
    /// It is one of [`allocate`](Self::allocate)'s.
    pub unsafe fn size_of(&self, block: *const u8) -> usize {
        // SAFETY: the caller's promise.
        unsafe { block.wrapping_sub(HEADER).cast::<usize>().read() }
    }
}

impl<const N: usize> Default for Boot<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_makes_it_and_all_have_it() {
        let made = Made::new();
        let count = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    let make = || {
                        std::thread::sleep(core::time::Duration::from_millis(2));
                        Some(count.fetch_add(1, Relaxed))
                    };
                    assert!(matches!(made.get_or_make(make), Found::Ready(0)));
                });
            }
        });
        assert_eq!((count.load(Relaxed), made.get()), (1, Some(&0)));
    }

    #[test]
    fn whoever_makes_it_may_ask() {
        let made = Made::new();
        let found = made.get_or_make(|| {
            assert!(matches!(made.get_or_make(|| Some(1)), Found::Within));
            assert!(made.get().is_none());
            Some(2)
        });
        assert!(matches!(found, Found::Ready(2)));
    }

    #[test]
    fn what_failed_is_not_tried_again() {
        let made = Made::<u8>::new();
        assert!(matches!(made.get_or_make(|| None), Found::Failed));
        assert!(matches!(made.get_or_make(|| Some(1)), Found::Failed));
    }

    #[test]
    fn a_maker_that_a_fork_left_behind_is_not_waited_for() {
        let made = Made::new();
        made.state.store((sys::this_holder() ^ 1).wrapping_add(1 << 32), Relaxed);
        assert!(matches!(made.get_or_make(|| Some(3)), Found::Ready(3)));
    }

    #[test]
    fn boot_blocks_are_apart_and_aligned() {
        let boot = Boot::<4096>::new();
        let mut end = 0;
        for (size, align) in [(1, 1), (7, 8), (100, 64), (0, 1), (16, 512), (3, 1), (5, 16)] {
            let block = boot.allocate(size, align);
            assert!(boot.contains(block) && block.addr().is_multiple_of(align.max(16)));
            assert!(block.addr() >= end + HEADER || end == 0);
            end = block.addr() + size;
            // SAFETY: a block of this one's.
            unsafe {
                assert_eq!(boot.size_of(block), size);
                block.write_bytes(0xFF, size);
            }
        }
        assert!(boot.allocate(4096, 1).is_null() && boot.allocate(usize::MAX, 1).is_null());
        assert!(boot.allocate(8, 1 << 62).is_null());
        assert!(!boot.allocate(8, 1).is_null(), "a refusal takes nothing");
    }
}
