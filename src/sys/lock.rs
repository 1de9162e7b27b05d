//! A lock of one word that allocates nothing and survives a fork.
//!
//! A waiter spins for a moment, then yields, then sleeps for a while and looks again: releasing the lock is one store, which
//! does not wake a waiter. That costs a waiter some time where the lock is contended, and saves every other thread an atomic exchange.
//! While the process has one thread, and glibc says so, acquiring it is a store as well.
//!
//! A child that was forked while another thread held the lock would wait for ever. So the thread that forks acquires it
//! first and releases it on both sides ([`lock_for_fork`](SpinLock::lock_for_fork),
//! [`unlock_after_fork`](SpinLock::unlock_after_fork)). Other handlers around the fork may call the allocator: in between,
//! the thread that forks passes as if the lock were free.

use super::backoff::pause;
use super::single_threaded::single_threaded_flag;
use super::{process_id, this_thread, thread_address, thread_exists};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};

/// A value that one thread at a time may access.
#[derive(Debug)]
pub struct SpinLock<T> {
    is_held: AtomicBool,
    /// Not 0 while the process has one thread, so that no two calls overlap.
    single_threaded: &'static AtomicU8,
    /// The thread that holds the lock in order to fork, by [`thread_address`], which its copy in the child has as well; 0 for
    /// none.
    forker: AtomicUsize,
    /// The same thread by [`this_thread`].
    forker_number: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time accesses the value, so it is sent between threads and never shared.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock.
    pub fn new(value: T) -> Self {
        SpinLock {
            is_held: AtomicBool::new(false),
            single_threaded: single_threaded_flag(),
            forker: AtomicUsize::new(0),
            forker_number: AtomicU64::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// A free lock, which excludes no thread if `is_single`.
    ///
    /// # Safety
    /// If `is_single`, no two calls overlap in time.
    pub unsafe fn new_unless(is_single: bool, value: T) -> Self {
        static ALWAYS: AtomicU8 = AtomicU8::new(1);
        let single_threaded = if is_single { &ALWAYS } else { single_threaded_flag() };
        SpinLock { single_threaded, ..Self::new(value) }
    }

    /// The value, until the guard is dropped. A thread that holds the lock already waits for ever.
    #[inline]
    pub fn lock(&self) -> SpinGuard<'_, T> {
        self.acquire();
        SpinGuard { lock: self, value: PhantomData }
    }

    /// [`lock`](Self::lock) if the lock is free.
    #[inline]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        // (No guard is made where the lock is held: dropping it would release the lock.)
        self.try_acquire().then(|| SpinGuard { lock: self, value: PhantomData })
    }

    /// Acquires the lock without a guard.
    #[inline]
    pub fn acquire(&self) {
        if !self.try_acquire() {
            self.wait();
        }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // (Held already, with one thread: a signal handler interrupted the call, and waits for ever, as with several
        // threads.)
        if self.single_threaded.load(Relaxed) != 0 && !self.is_held.load(Relaxed) {
            self.is_held.store(true, Relaxed);
            true
        } else {
            !self.is_held.swap(true, Acquire)
        }
    }

    /// Releases it.
    ///
    /// # Safety
    /// The calling thread holds the lock, and no guard of it is used afterwards.
    #[inline]
    pub unsafe fn release(&self) {
        if self.forker.load(Relaxed) == 0 {
            self.is_held.store(false, Release);
        } else {
            self.unlock_around_fork();
        }
    }

    /// While the lock is held for a fork, only the forking thread comes here, and goes on holding it. Where a signal handler
    /// announced a fork and returned without saying that the fork is over, the call that it interrupted ends the
    /// announcement.
    #[cold]
    fn unlock_around_fork(&self) {
        if self.forker.load(Relaxed) == INTERRUPTED {
            self.forker.store(0, Relaxed);
            self.is_held.store(false, Release);
        }
    }

    /// Acquires the lock in the thread that is about to fork. Until it is released, this thread gets the value whenever it
    /// asks. A second call changes nothing: the first [`unlock_after_fork`](Self::unlock_after_fork) releases the lock, since
    /// the fork is over by then.
    ///
    /// # Safety
    /// Until then this thread has at most one guard at a time.
    pub unsafe fn lock_for_fork(&self) {
        // (With one thread, a lock held for a fork looks like a call that was interrupted.)
        if self.is_forking()
            || (self.single_threaded.load(Relaxed) != 0 && self.forker.load(Relaxed) == INTERRUPTED)
        {
            return;
        }
        // The only thread of the process holds the lock and is in a signal handler: the interrupted call goes on in both
        // processes, and releases it.
        if self.single_threaded.load(Relaxed) != 0 && self.is_held.load(Relaxed) {
            self.forker.store(INTERRUPTED, Relaxed);
            return;
        }
        self.acquire();
        self.forker_number.store(this_thread(), Relaxed);
        // (Release: a waiter that sees this forker sees its number, not that of an earlier one.)
        self.forker.store(thread_address(), Release);
    }

    /// Releases the lock after the fork, and returns whether it was acquired for that: not if the fork came in the middle of
    /// a call. A lock that this thread does not hold for a fork, or not any more, stays as it is.
    ///
    /// # Safety
    /// The calling thread called [`lock_for_fork`](Self::lock_for_fork), or is the child's copy of the one that did, and has
    /// no guard.
    pub unsafe fn unlock_after_fork(&self) -> bool {
        if self.is_forking() {
            self.forker.store(0, Relaxed);
            // SAFETY: `is_forking` says that this thread holds the lock, and it has no guard, as this function requires.
            unsafe { self.release() };
            return true;
        }
        let _ = self.forker.compare_exchange(INTERRUPTED, 0, Relaxed, Relaxed);
        false
    }

    /// Whether the lock is held at this moment.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Relaxed)
    }

    /// Whether the calling thread holds the lock in order to fork: the same thread, or its copy in a child.
    #[cold]
    fn is_forking(&self) -> bool {
        // (The address of a thread that has ended is used again.)
        self.forker.load(Relaxed) == thread_address()
            && (self.is_in_child() || self.forker_number.load(Relaxed) == this_thread())
    }

    /// Whether the last thread that acquired the lock to fork belongs to another process.
    pub fn is_in_child(&self) -> bool {
        self.forker_number.load(Relaxed) >> 32 != u64::from(process_id())
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) {
        if self.is_forking() {
            return;
        }
        let mut turn = 0u32;
        while self.is_held.load(Relaxed) || self.is_held.swap(true, Acquire) {
            pause(turn);
            turn = turn.saturating_add(1);
            if turn.is_multiple_of(TURNS_PER_CHECK) && self.take_from_dead_thread() {
                return;
            }
        }
    }

    /// Takes the lock over from a thread of this process that held it to fork and ended without releasing it; whether there
    /// was one.
    #[cold]
    fn take_from_dead_thread(&self) -> bool {
        let (forker, number) = (self.forker.load(Acquire), self.forker_number.load(Relaxed));
        let thread = number as u32;
        if matches!(forker, 0 | INTERRUPTED)
            || number >> 32 != u64::from(process_id())
            || thread == NO_THREAD
            || thread_exists(thread)
        {
            return false;
        }
        // One waiter wins. The number decides, not the address: by now another waiter may have taken the lock over and released
        // it, and a new thread at the same address may hold it in order to fork. (The dead thread's writes are visible: the
        // system reported its end after them.)
        let taken = (number & !u64::from(u32::MAX)) | u64::from(NO_THREAD);
        if self.forker_number.compare_exchange(number, taken, Acquire, Relaxed).is_err() {
            return false;
        }
        self.forker.store(0, Relaxed);
        true
    }
}

/// How many turns of waiting there are between two checks that the holder still exists.
const TURNS_PER_CHECK: u32 = 256;

/// In place of the forking thread: the lock was held by an interrupted call, and not acquired for the fork.
const INTERRUPTED: usize = usize::MAX;

/// In place of the forking thread's number: it ended, and a waiter took the lock over.
const NO_THREAD: u32 = 0;

/// The value of a lock that this thread holds.
#[derive(Debug)]
pub struct SpinGuard<'l, T> {
    lock: &'l SpinLock<T>,
    /// Acts as a `&mut` to the value, for `Send` and `Sync`.
    value: PhantomData<*mut T>,
}

// SAFETY: a shared guard gives `&T` and nothing else.
unsafe impl<T: Sync> Sync for SpinGuard<'_, T> {}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held until the guard is dropped.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held until the guard is dropped, and this borrow of the guard is exclusive.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard stands for the lock being held, and is not used any more.
        unsafe { self.lock.release() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time() {
        let lock = SpinLock::new((0u64, 0u64));
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    for _ in 0..20_000 {
                        let mut both = lock.lock();
                        both.0 += 1;
                        assert_eq!(both.0, both.1 + 1);
                        both.1 += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), (160_000, 160_000));
    }

    #[test]
    fn what_is_held_is_not_had_by_trying() {
        let lock = SpinLock::new(1);
        let held = lock.lock();
        for _ in 0..2 {
            std::thread::scope(|threads| {
                threads.spawn(|| assert!(lock.try_lock().is_none()));
            });
            assert!(lock.try_lock().is_none(), "nor by who has it, with one thread");
        }
        drop(held);
        assert_eq!(lock.try_lock().as_deref(), Some(&1));
    }

    #[test]
    fn taken_twice_to_fork_it_is_opened_once() {
        // (Either way that a lock is taken: with one thread, and with several.)
        // SAFETY: the lock is used by this thread alone.
        for lock in [SpinLock::new(1), unsafe { SpinLock::new_unless(true, 1) }] {
            for _ in 0..2 {
                // SAFETY: this thread has no guard.
                unsafe {
                    lock.lock_for_fork();
                    lock.lock_for_fork();
                    assert!(lock.unlock_after_fork());
                    assert!(!lock.is_held());
                    let held = lock.lock();
                    assert!(!lock.unlock_after_fork(), "it is not held for a fork any more");
                    assert!(lock.is_held());
                    drop(held);
                }
            }
        }
    }

    #[test]
    fn a_fork_amid_a_call_leaves_the_lock_to_the_call() {
        // SAFETY: the lock is used by this thread alone.
        let lock = unsafe { SpinLock::new_unless(true, 1) };
        let held = lock.lock();
        // SAFETY: as a signal handler that interrupted the holder of the guard; it makes no guard.
        unsafe {
            lock.lock_for_fork();
            lock.lock_for_fork();
            assert!(!lock.unlock_after_fork());
            assert!(!lock.unlock_after_fork());
        }
        assert!(lock.is_held());
        drop(held);
        assert!(!lock.is_held());
        // A handler that returns without `unlock_after_fork` does not keep the call from ending.
        let held = lock.lock();
        // SAFETY: as a signal handler that interrupted the holder of the guard; it makes no guard.
        unsafe { lock.lock_for_fork() };
        drop(held);
        assert!(!lock.is_held());
        drop(lock.lock());
        // SAFETY: this thread has no guard.
        assert!(!unsafe { lock.unlock_after_fork() }, "there is nothing left to release");
    }

    #[test]
    fn a_dead_thread_is_replaced_once() {
        if cfg!(highwater_portable) {
            return;
        }
        let lock = SpinLock::new(1);
        let dead = u64::from(process_id()) << 32 | u64::from(u32::MAX >> 1);
        lock.is_held.store(true, Relaxed);
        lock.forker_number.store(dead, Relaxed);
        lock.forker.store(thread_address(), Relaxed);
        assert!(lock.take_from_dead_thread());
        // A waiter that saw the address earlier finds it in use again, by a thread at the same address.
        lock.forker.store(thread_address(), Relaxed);
        assert!(!lock.take_from_dead_thread(), "the number is not the dead thread's any more");
        lock.forker_number.store(this_thread(), Relaxed);
        assert!(!lock.take_from_dead_thread(), "this thread is alive");
    }

    #[test]
    fn who_ends_without_having_forked_leaves_it_to_others() {
        if cfg!(highwater_portable) {
            return;
        }
        let lock = SpinLock::new(1);
        std::thread::scope(|threads| {
            // SAFETY: this thread has no guard.
            threads.spawn(|| unsafe { lock.lock_for_fork() });
        });
        *lock.lock() += 1;
        assert!(!lock.is_held());
        std::thread::scope(|threads| {
            threads.spawn(|| *lock.lock() += 1);
        });
        assert_eq!(*lock.lock(), 3);
    }

    #[test]
    fn only_the_thread_that_forks_passes() {
        let lock = SpinLock::new(1);
        // SAFETY: the guards below live for a line.
        unsafe { lock.lock_for_fork() };
        *lock.lock() += 1;
        *lock.lock() += 1;
        let others = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                *lock.lock() += 1;
                others.store(true, Relaxed);
            });
            std::thread::sleep(core::time::Duration::from_millis(20));
            assert!(!others.load(Relaxed));
            // SAFETY: it was taken for a fork above.
            unsafe { lock.unlock_after_fork() };
        });
        assert_eq!(*lock.lock(), 4);
    }
}
