//! Things in static memory that one thread at a time may use: a handler's stack has no room for them, and nobody
//! waits for one.

use super::process_id;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A thing to lend.
pub(crate) struct Loan<T> {
    /// The process that has it, 0 for none: a child that was forked while another thread had it finds nobody there
    /// who would give it back.
    holder: AtomicU32,
    thing: UnsafeCell<T>,
}

// SAFETY: only whoever is the holder touches the thing, and passes it on with the holder's word.
unsafe impl<T: Send> Sync for Loan<T> {}

impl<T> Loan<T> {
    pub(crate) const fn new(thing: T) -> Self {
        Loan { holder: AtomicU32::new(0), thing: UnsafeCell::new(thing) }
    }

    /// The thing, if nobody has it. Signal-safe.
    pub(crate) fn take(&self) -> Option<Held<'_, T>> {
        let process = process_id();
        let take = |from| self.holder.compare_exchange(from, process, Acquire, Relaxed);
        let taken = match take(0) {
            Err(holder) if holder != process => take(holder),
            result => result,
        };
        // Not `then_some`: what is made and not wanted is dropped, which would give the thing back.
        taken.is_ok().then(|| Held(self))
    }
}

/// The first of several things that nobody has. Signal-safe.
pub(crate) fn any<T>(things: &[Loan<T>]) -> Option<Held<'_, T>> {
    things.iter().find_map(Loan::take)
}

/// The thing, for as long as this lives.
pub(crate) struct Held<'a, T>(&'a Loan<T>);

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this is the holder.
        unsafe { &*self.0.thing.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this is the holder.
        unsafe { &mut *self.0.thing.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.0.holder.store(0, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_it_and_a_child_does_not_wait_for_its_parent() {
        let things = [const { Loan::new(0u32) }; 2];
        let (mut first, second) = (any(&things).unwrap(), any(&things));
        *first += 7;
        assert!(second.is_some() && any(&things).is_none());
        drop(first);
        assert_eq!(any(&things).as_deref(), Some(&7));
        let left_behind = Loan::new(1u32);
        left_behind.holder.store(process_id().wrapping_add(1).max(1), Relaxed);
        assert!(left_behind.take().is_some());
    }
}
