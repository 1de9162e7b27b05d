//! A lock on a value in static memory that is tried and never waited for: a handler's stack has no space for the value, and
//! a handler must not wait.
//!
//! Contract: signal-safe. A lock that a thread of the parent holds while another one forks is free in the child.

use super::{memory_id, survivor_address, thread_address};
use crate::math::random::fibonacci_hash;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// This thread in this memory, as the holder of something: never 0. Signal-safe.
///
/// A child that shares its parent's memory until it calls `exec` is the thread that made it, which waits meanwhile.
pub(crate) fn this_holder() -> u64 {
    u64::from(memory_id()) << 32 | u64::from(tag(thread_address()))
}

/// A thread's address in 32 bits.
fn tag(thread_address: usize) -> u32 {
    (fibonacci_hash(thread_address as u64) >> 32) as u32
}

/// Whether a holder stayed behind in the parent when this process was forked: it goes on there, and nothing here releases
/// what it held. The thread that forked goes on here too. Signal-safe.
pub(crate) fn not_inherited(holder: u64) -> bool {
    (holder >> 32) as u32 != memory_id() && holder as u32 != tag(survivor_address())
}

/// A value that one thread at a time may use.
pub(crate) struct TryLock<T> {
    /// The thread that holds the lock, 0 for none.
    holder: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: only the holder accesses the value, and releasing the lock orders its accesses before the next holder's.
unsafe impl<T: Send> Sync for TryLock<T> {}

impl<T> TryLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        TryLock { holder: AtomicU64::new(0), value: UnsafeCell::new(value) }
    }

    /// The value, if the lock is free. Signal-safe.
    pub(crate) fn try_lock(&self) -> Option<TryLockGuard<'_, T>> {
        let holder = self.holder.load(Relaxed);
        if holder != 0 && !not_inherited(holder) {
            return None;
        }
        let taken = self.holder.compare_exchange(holder, this_holder(), Acquire, Relaxed);
        // Not `then_some`: a guard that is made and not wanted is dropped, which would release the lock.
        taken.is_ok().then(|| TryLockGuard(self))
    }
}

/// The first of several values whose lock is free. Signal-safe.
pub(crate) fn try_lock_any<T>(locks: &[TryLock<T>]) -> Option<TryLockGuard<'_, T>> {
    locks.iter().find_map(TryLock::try_lock)
}

/// The value of a lock that this thread holds.
pub(crate) struct TryLockGuard<'a, T>(&'a TryLock<T>);

impl<T> Deref for TryLockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard stands for the lock being held, so no other thread accesses the value.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for TryLockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and this borrow of its one guard is exclusive.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for TryLockGuard<'_, T> {
    fn drop(&mut self) {
        self.0.holder.store(0, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_it_and_a_child_does_not_wait_for_its_parent() {
        let things = [const { TryLock::new(0u32) }; 2];
        let (mut first, second) = (try_lock_any(&things).unwrap(), try_lock_any(&things));
        *first += 7;
        assert!(second.is_some() && try_lock_any(&things).is_none());
        drop(first);
        assert_eq!(try_lock_any(&things).as_deref(), Some(&7));
        let other = this_holder() ^ 1;
        let held = TryLock::new(1u32);
        held.holder.store(other, Relaxed);
        assert!(held.try_lock().is_none(), "another thread has it");
        held.holder.store(other.wrapping_add(1 << 32), Relaxed);
        assert!(held.try_lock().is_some(), "a thread of the process that this was forked from had it");
    }
}
