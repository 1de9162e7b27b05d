//! Appending one value: the fast path, and its cold sides.

use super::grow_vec::GrowVec;
use super::storage::{StorageExtent, VecStorage, panic_with};
use crate::admission::OutOfMemory;
use crate::region::{ControlBlock, Region};
use core::mem::MaybeUninit;

impl<T> GrowVec<T> {
    /// Appends a value.
    ///
    /// # Panics
    /// When the vector is as long as it may be, or the first value finds no address space. With the explicit engine
    /// also when the system refuses to commit; with the fault engine [`on_refusal`](crate::Builder::on_refusal) decides what
    /// follows then.
    ///
    /// ```
    /// let mut numbers = highwater::GrowVec::new();
    /// numbers.push(1);
    /// assert_eq!(numbers, [1]);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn push(&mut self, value: T) {
        let len = self.len;
        if len >= self.room {
            if cfg!(highwater_fault) && size_of::<T>() > 0 {
                self.open_for_one();
            } else {
                self.make_room_for_one();
            }
        }
        // SAFETY: there is room for one more.
        unsafe { self.push_at(len, value) }
    }

    /// # Safety
    /// `len` is the vector's length, and below `room`, or the place is committed.
    #[inline(always)]
    pub(super) unsafe fn push_at(&mut self, len: usize, value: T) {
        debug_assert!(len == self.len, "a value is pushed after the last");
        // SAFETY: the place is the vector's, and free.
        unsafe { self.storage.start().add(len).write(value) };
        self.len = len + 1;
    }

    /// Makes the reservation if there is none, or diverges.
    ///
    /// No call gets a reference to the vector, and the one that returns does not unwind. So a loop that pushes onto a
    /// vector of the function's own keeps its length and its start in registers: each push is its one store.
    #[inline(always)]
    #[track_caller]
    fn open_for_one(&mut self) {
        if let Some(control) = self.storage.control() {
            full(control, self.storage.extent(), self.len)
        }
        let mut opened = MaybeUninit::uninit();
        opened_storage(&mut opened);
        // SAFETY: it was just written.
        match unsafe { opened.assume_init() } {
            Ok(storage) => {
                self.room = storage.max_len();
                // There is nothing in the old one to drop.
                core::mem::forget(core::mem::replace(&mut self.storage, storage));
            }
            Err(error) => not_opened(error),
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn make_room_for_one(&mut self) {
        self.make_room(1);
    }

    /// Appends a value, whose memory is committed first.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector is as long as it may be, or the system refuses. The value is dropped then, and
    /// the vector has not changed. ([`try_reserve`](GrowVec::try_reserve) before it keeps the value.)
    ///
    /// ```
    /// let mut one = highwater::GrowVec::with_max(1);
    /// assert!(one.try_push(1).is_ok());
    /// assert!(one.try_push(2).is_err());
    /// ```
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), OutOfMemory> {
        self.try_make_room_for_one()?;
        // SAFETY: there is a committed place for one more.
        unsafe { self.push_at(self.len, value) };
        Ok(())
    }
}

/// The diverging side of a push.
#[cold]
#[inline(never)]
#[track_caller]
fn full(control: &'static ControlBlock, extent: StorageExtent, len: usize) -> ! {
    panic_with(extent.too_long(control, len, len.saturating_add(1)))
}

/// The side of it where there is no room to be had.
#[cold]
#[inline(never)]
#[track_caller]
#[allow(clippy::boxed_local, reason = "one word to hand over, where nothing else needs a stack")]
fn not_opened(error: Box<OutOfMemory>) -> ! {
    panic_with(*error)
}

/// Makes a reservation with the default policies, which calls no code of the user. It is `extern "C"` so that it does not
/// unwind, and writes its result to a place because a `Result` has no C representation.
#[cold]
#[inline(never)]
#[allow(improper_ctypes_definitions, reason = "it is not called from C")]
extern "C" fn opened_storage<T>(place: &mut MaybeUninit<Result<VecStorage<T>, Box<OutOfMemory>>>) {
    let mut storage = VecStorage::none();
    let opened = storage.open(1).map(Region::control);
    place.write(match opened {
        // A reservation that the system made smaller may have no room for a value.
        Ok(control) if storage.max_len() == 0 => Err(Box::new(storage.extent().too_long(control, 0, 1))),
        Ok(_) => Ok(storage),
        Err(error) => Err(Box::new(error)),
    });
}
