//! One-time initialisation that may be re-entered: an allocator is made by the first call to it, and making it may
//! allocate.

use super::backoff::pause;
use super::{not_inherited, this_holder};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A value that is initialised at its first use. Unlike `std::sync::OnceLock`, the thread that is initialising it may ask
/// for it.
#[derive(Debug)]
pub struct ReentrantOnce<V> {
    /// [`UNINITIALIZED`], [`FAILED`], [`READY`], or the thread that is initialising it.
    state: AtomicU64,
    value: UnsafeCell<MaybeUninit<V>>,
}

const UNINITIALIZED: u64 = 0;
const FAILED: u64 = 1;
const READY: u64 = 2;

/// What a [`ReentrantOnce`] answers.
#[derive(Debug)]
pub enum OnceState<'m, V> {
    /// The value.
    Ready(&'m V),
    /// The calling thread is initialising it.
    Initializing,
    /// It could not be initialised, and will not be tried again.
    Failed,
}

// SAFETY: one thread writes the value before the state says `READY`, and all threads may read it afterwards.
unsafe impl<V: Send + Sync> Sync for ReentrantOnce<V> {}

impl<V> ReentrantOnce<V> {
    /// Not initialised yet.
    pub const fn new() -> Self {
        ReentrantOnce { state: AtomicU64::new(UNINITIALIZED), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if it is initialised.
    #[inline]
    pub fn get(&self) -> Option<&V> {
        // SAFETY: `READY` was stored after the value, which is not written to any more.
        (self.state.load(Acquire) == READY).then(|| unsafe { self.get_unchecked() })
    }

    /// The value.
    ///
    /// # Safety
    /// It is initialised, and this thread has seen that.
    #[inline(always)]
    pub unsafe fn get_unchecked(&self) -> &V {
        // SAFETY: initialised, as this function requires, and not written to after that.
        unsafe { (*self.value.get()).assume_init_ref() }
    }

    /// The value, initialised if it is not yet; or why there is none.
    #[inline]
    pub fn get_or_init(&self, init: impl FnOnce() -> Option<V>) -> OnceState<'_, V> {
        match self.get() {
            Some(value) => OnceState::Ready(value),
            None => self.init(init),
        }
    }

    #[cold]
    fn init(&self, init: impl FnOnce() -> Option<V>) -> OnceState<'_, V> {
        let this = this_holder();
        let mut turn = 0u32;
        loop {
            match self.state.load(Acquire) {
                // SAFETY: `READY` was stored after the value, which is not written to any more.
                READY => return OnceState::Ready(unsafe { self.get_unchecked() }),
                FAILED => return OnceState::Failed,
                maker if maker == this => return OnceState::Initializing,
                maker if maker == UNINITIALIZED || not_inherited(maker) => {
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
        let Some(value) = init() else {
            self.state.store(FAILED, Release);
            return OnceState::Failed;
        };
        // SAFETY: the state names this thread, so no other writes, and none reads before `READY`.
        let value = unsafe { (*self.value.get()).write(value) };
        self.state.store(READY, Release);
        OnceState::Ready(value)
    }
}

impl<V> Default for ReentrantOnce<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicUsize;

    #[test]
    fn one_thread_initialises_it_and_all_have_it() {
        let made = ReentrantOnce::new();
        let count = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    let make = || {
                        std::thread::sleep(core::time::Duration::from_millis(2));
                        Some(count.fetch_add(1, Relaxed))
                    };
                    assert!(matches!(made.get_or_init(make), OnceState::Ready(0)));
                });
            }
        });
        assert_eq!((count.load(Relaxed), made.get()), (1, Some(&0)));
    }

    #[test]
    fn the_initialising_thread_may_ask() {
        let made = ReentrantOnce::new();
        let found = made.get_or_init(|| {
            assert!(matches!(made.get_or_init(|| Some(1)), OnceState::Initializing));
            assert!(made.get().is_none());
            Some(2)
        });
        assert!(matches!(found, OnceState::Ready(2)));
    }

    #[test]
    fn what_failed_is_not_tried_again() {
        let made = ReentrantOnce::<u8>::new();
        assert!(matches!(made.get_or_init(|| None), OnceState::Failed));
        assert!(matches!(made.get_or_init(|| Some(1)), OnceState::Failed));
    }

    #[test]
    fn a_thread_that_stayed_in_the_parent_is_not_waited_for() {
        let made = ReentrantOnce::new();
        made.state.store((this_holder() ^ 1).wrapping_add(1 << 32), Relaxed);
        assert!(matches!(made.get_or_init(|| Some(3)), OnceState::Ready(3)));
    }
}
