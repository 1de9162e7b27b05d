//! A function of the program's and the pointer that it is called with, to be read inside a signal.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Release};

/// Both; once written they never change.
pub(crate) struct Callback<F: 'static> {
    pub(crate) function: F,
    pub(crate) user: *mut c_void,
}

/// A callback that can be replaced. The old one is leaked, because a handler may be reading it: a few bytes for each time
/// the program sets one.
pub(crate) struct CallbackCell<F: 'static>(AtomicPtr<Callback<F>>);

impl<F: Copy + 'static> CallbackCell<F> {
    pub(crate) const fn none() -> Self {
        CallbackCell(AtomicPtr::new(null_mut()))
    }

    pub(crate) fn set(&self, function: Option<F>, user: *mut c_void) {
        let callback =
            function.map_or(null_mut(), |function| Box::into_raw(Box::new(Callback { function, user })));
        self.0.store(callback, Release);
    }

    /// Signal-safe.
    pub(crate) fn get(&self) -> Option<&'static Callback<F>> {
        // SAFETY: null, or a leaked callback, which never changes.
        unsafe { self.0.load(Acquire).as_ref() }
    }
}
