//! A lock that needs nothing: a word.
//!
//! It spins for a moment, then lets others run, then sleeps for a while. Opening it is one store, so nobody is woken:
//! whoever sleeps looks again by himself. That costs a waiter some time where the lock is fought over, and everybody
//! else one atomic exchange less. As long as the process has one thread, and glibc says so, taking it is a store as well.
//!
//! A child that was forked while another thread held it would wait for ever. So whoever forks takes it first and
//! opens it on both sides ([`hold_for_fork`](Lock::hold_for_fork), [`open_after_fork`](Lock::open_after_fork)). What else
//! is called around a fork may come to us: in between, the thread that forks passes as if nobody held it.

use crate::sys;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize};

/// A value that one thread at a time may have.
#[derive(Debug)]
pub struct Lock<T> {
    is_held: AtomicBool,
    /// Not 0 as long as nobody can call at the same time as somebody else.
    alone: &'static AtomicU8,
    /// The thread that holds it to fork, by an address of its own, which its copy in the child has as well; 0 for none.
    forker: AtomicUsize,
    /// The same thread by the system's numbers.
    forker_number: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time has the value, so it has to be able to go from one to another and no more.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub fn new(value: T) -> Self {
        Lock {
            is_held: AtomicBool::new(false),
            alone: one_thread(),
            forker: AtomicUsize::new(0),
            forker_number: AtomicU64::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// A lock that keeps nobody away if `is_single`.
    ///
    /// # Safety
    /// Then no two calls overlap in time.
    pub unsafe fn unless(is_single: bool, value: T) -> Self {
        static ALWAYS: AtomicU8 = AtomicU8::new(1);
        let alone = if is_single { &ALWAYS } else { one_thread() };
        Lock { alone, ..Self::new(value) }
    }

    /// The value, for as long as the guard lives. A thread that has it already waits for itself.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        self.hold();
        Guard { lock: self, value: PhantomData }
    }

    /// The same if nobody has it.
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        // (Not made at all if it is held: dropping it would open the lock.)
        self.try_hold().then(|| Guard { lock: self, value: PhantomData })
    }

    /// Takes the lock without a guard.
    #[inline]
    pub fn hold(&self) {
        if !self.try_hold() {
            self.wait();
        }
    }

    #[inline]
    fn try_hold(&self) -> bool {
        // (Held already, with one thread: the call was interrupted by a signal's handler, which waits for ever, as with
        // several.)
        if self.alone.load(Relaxed) != 0 && !self.is_held.load(Relaxed) {
            self.is_held.store(true, Relaxed);
            true
        } else {
            !self.is_held.swap(true, Acquire)
        }
    }

    /// Opens it.
    ///
    /// # Safety
    /// The caller held it.
    #[inline]
    pub unsafe fn open(&self) {
        if self.forker.load(Relaxed) == 0 {
            self.is_held.store(false, Release);
        } else {
            self.open_around_fork();
        }
    }

    /// As long as it is held for a fork, only the thread that forks comes here, which holds it on. A call that was
    /// interrupted by a handler that announced a fork, and returned without having said that the fork is over, ends
    /// that with itself.
    #[cold]
    fn open_around_fork(&self) {
        if self.forker.load(Relaxed) == INTERRUPTED {
            self.forker.store(0, Relaxed);
            self.is_held.store(false, Release);
        }
    }

    /// Takes it in the thread that is about to fork. Until it is opened, this thread gets the value whenever it asks. A
    /// second call changes nothing: the first opening opens it, since the fork is over by then.
    ///
    /// # Safety
    /// It has one guard at a time until then.
    pub unsafe fn hold_for_fork(&self) {
        // (With one thread, what it holds for a fork looks like a call that was interrupted.)
        if self.is_forking() || (self.alone.load(Relaxed) != 0 && self.forker.load(Relaxed) == INTERRUPTED) {
            return;
        }
        // The only thread of the process has it, and is in the handler of a signal: what was interrupted goes on in both
        // processes, with what it holds.
        if self.alone.load(Relaxed) != 0 && self.is_held.load(Relaxed) {
            self.forker.store(INTERRUPTED, Relaxed);
            return;
        }
        self.hold();
        self.forker_number.store(sys::this_thread(), Relaxed);
        self.forker.store(sys::thread_address(), Relaxed);
    }

    /// Opens it after the fork; whether it was taken for that: not if the fork came in the middle of a call. What this
    /// thread does not hold for a fork, or not any more, stays as it is.
    ///
    /// # Safety
    /// The caller took it by [`hold_for_fork`](Self::hold_for_fork), or is the child of the one who did, and has no guard.
    pub unsafe fn open_after_fork(&self) -> bool {
        if self.is_forking() {
            self.forker.store(0, Relaxed);
            // SAFETY: this thread holds it.
            unsafe { self.open() };
            return true;
        }
        let _ = self.forker.compare_exchange(INTERRUPTED, 0, Relaxed, Relaxed);
        false
    }

    /// Whether anybody has it at this moment.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Relaxed)
    }

    /// Whether the calling thread holds it because it forks: the same one, or its copy in a child.
    #[cold]
    fn is_forking(&self) -> bool {
        // (A thread that has ended leaves its address to another one.)
        self.forker.load(Relaxed) == sys::thread_address()
            && (self.is_in_child() || self.forker_number.load(Relaxed) == sys::this_thread())
    }

    /// Whether the last thread that took it to fork was another process's than this one.
    pub fn is_in_child(&self) -> bool {
        self.forker_number.load(Relaxed) >> 32 != u64::from(sys::process_id())
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
            if turn.is_multiple_of(LOOK) && self.take_from_the_dead() {
                return;
            }
        }
    }

    /// Takes it from a thread of this process that held it to fork, and ended without having opened it; whether that was so.
    #[cold]
    fn take_from_the_dead(&self) -> bool {
        let (forker, number) = (self.forker.load(Relaxed), self.forker_number.load(Relaxed));
        let is_gone = !matches!(forker, 0 | INTERRUPTED)
            && number >> 32 == u64::from(sys::process_id())
            && !sys::thread_exists(number as u32);
        // (One of those who wait. What the thread wrote was seen by whoever learned of its end: the system.)
        is_gone && self.forker.compare_exchange(forker, 0, Acquire, Relaxed).is_ok()
    }
}

/// After so many turns of waiting it is asked whether the thread is there that is waited for.
const LOOK: u32 = 256;

/// In the place of who forks: it was not taken for that.
const INTERRUPTED: usize = usize::MAX;

/// Where it stands whether the process has one thread, as far as the C library knows, which makes them: what glibc's own
/// malloc asks before it leaves its locks out. Older ones than 2.32 do not say.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", not(miri)))]
fn one_thread() -> &'static AtomicU8 {
    let flag: *const AtomicU8;
    // SAFETY: reads the address that the loader has put there, or null: the symbol is weak.
    unsafe {
        core::arch::asm!(
            ".weak __libc_single_threaded",
            "mov {}, qword ptr [rip + __libc_single_threaded@GOTPCREL]",
            out(reg) flag,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    // SAFETY: glibc's flag, a byte that stays; it changes only when this thread makes the second one, or when all others
    // have ended.
    unsafe { flag.as_ref() }.unwrap_or(&UNKNOWN)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64", not(miri))))]
fn one_thread() -> &'static AtomicU8 {
    &UNKNOWN
}

/// There may be others.
static UNKNOWN: AtomicU8 = AtomicU8::new(0);

/// Waits a little longer than the time before.
pub(super) fn pause(turn: u32) {
    match turn {
        0..64 => core::hint::spin_loop(),
        64..128 => std::thread::yield_now(),
        // Whoever holds it may be of a lower priority, and never run while we do.
        _ => sys::sleep_ns(50_000),
    }
}

/// The value of a lock that is held.
#[derive(Debug)]
pub struct Guard<'l, T> {
    lock: &'l Lock<T>,
    /// It is a `&mut` to the value: neither that nor more may be shared by it.
    value: PhantomData<*mut T>,
}

// SAFETY: shared, it gives `&T` and nothing else.
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held until the guard is dropped.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard held it.
        unsafe { self.lock.open() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_at_a_time() {
        let lock = Lock::new((0u64, 0u64));
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
        let lock = Lock::new(1);
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
        // SAFETY: one thread.
        for lock in [Lock::new(1), unsafe { Lock::unless(true, 1) }] {
            for _ in 0..2 {
                // SAFETY: no guards.
                unsafe {
                    lock.hold_for_fork();
                    lock.hold_for_fork();
                    assert!(lock.open_after_fork());
                    assert!(!lock.is_held());
                    let held = lock.lock();
                    assert!(!lock.open_after_fork(), "it is not held for a fork any more");
                    assert!(lock.is_held());
                    drop(held);
                }
            }
        }
    }

    #[test]
    fn a_fork_amid_a_call_leaves_the_lock_to_the_call() {
        // SAFETY: one thread.
        let lock = unsafe { Lock::unless(true, 1) };
        let held = lock.lock();
        // SAFETY: as in a handler that has interrupted whoever has the guard.
        unsafe {
            lock.hold_for_fork();
            lock.hold_for_fork();
            assert!(!lock.open_after_fork());
            assert!(!lock.open_after_fork());
        }
        assert!(lock.is_held());
        drop(held);
        assert!(!lock.is_held());
        // A handler that returns without `open_after_fork` does not keep the call from ending.
        let held = lock.lock();
        // SAFETY: as above.
        unsafe { lock.hold_for_fork() };
        drop(held);
        assert!(!lock.is_held());
        drop(lock.lock());
        // SAFETY: no guards.
        assert!(!unsafe { lock.open_after_fork() }, "there is nothing left to open");
    }

    #[test]
    fn who_ends_without_having_forked_leaves_it_to_others() {
        if cfg!(highwater_portable) {
            return;
        }
        let lock = Lock::new(1);
        std::thread::scope(|threads| {
            // SAFETY: no guards.
            threads.spawn(|| unsafe { lock.hold_for_fork() });
        });
        *lock.lock() += 1;
        assert!(!lock.is_held());
        std::thread::scope(|threads| {
            threads.spawn(|| *lock.lock() += 1);
        });
        assert_eq!(*lock.lock(), 3);
    }

    #[test]
    fn who_holds_it_to_fork_passes_and_nobody_else() {
        let lock = Lock::new(1);
        // SAFETY: the guards below live for a line.
        unsafe { lock.hold_for_fork() };
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
            unsafe { lock.open_after_fork() };
        });
        assert_eq!(*lock.lock(), 4);
    }
}
