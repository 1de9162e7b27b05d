//! A function of the program's with the pointer it wants to be called with, readable inside a signal.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Release};

/// The two, once written never changed.
pub(crate) struct Pair<F: 'static> {
    pub(crate) function: F,
    pub(crate) user: *mut c_void,
}

/// The place of one. A pair that is replaced stays where it is, because a handler may be reading it: a few bytes for
/// each time the program sets one.
pub(crate) struct Hook<F: 'static>(AtomicPtr<Pair<F>>);

impl<F: Copy + 'static> Hook<F> {
    pub(crate) const fn none() -> Self {
        Hook(AtomicPtr::new(null_mut()))
    }

    pub(crate) fn set(&self, function: Option<F>, user: *mut c_void) {
        let pair = function.map_or(null_mut(), |function| Box::into_raw(Box::new(Pair { function, user })));
        self.0.store(pair, Release);
    }

    /// Signal-safe.
    pub(crate) fn get(&self) -> Option<&'static Pair<F>> {
        // SAFETY: only leaked pairs and null are stored.
        unsafe { self.0.load(Acquire).as_ref() }
    }
}
