//! Room for more values: what is reserved for them, and what is committed.

use super::grow_vec::GrowVec;
use super::storage::{VecStorage, panic_with};
use crate::admission::OutOfMemory;
use crate::grow::GrowReason;

impl<T> GrowVec<T> {
    /// Committed room for one value more.
    #[inline]
    pub(super) fn try_make_room_for_one(&mut self) -> Result<(), OutOfMemory> {
        if self.len >= self.room || !self.storage.is_committed(self.len + 1) {
            self.try_make_room(1, GrowReason::Write)?;
        }
        Ok(())
    }

    /// Room for `more` values: from here on they may be written without a check.
    #[inline]
    #[track_caller]
    pub(super) fn make_room(&mut self, more: usize) {
        // (`len` may be above `room` with values that nothing was written for.)
        if more > self.room.saturating_sub(self.len) {
            self.make_room_elsewhere(more);
        }
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn make_room_elsewhere(&mut self, more: usize) {
        if let Err(error) = self.room_or_why(more) {
            panic_with(*error)
        }
    }

    /// Room for `more` values, or the error that a plain call panics with.
    #[cold]
    #[inline(never)]
    pub(super) fn room_or_why(&mut self, more: usize) -> Result<(), Box<OutOfMemory>> {
        if more == 0 {
            return Ok(());
        }
        let made = if cfg!(highwater_fault) {
            self.check_len(more).map(|_| ())
        } else {
            self.try_make_room(more, GrowReason::Write)
        };
        made.map_err(Box::new)
    }

    /// Committed room for `more` values.
    #[cold]
    #[inline(never)]
    pub(super) fn try_make_room(&mut self, more: usize, why: GrowReason) -> Result<(), OutOfMemory> {
        let len = self.check_len(more)?;
        if !self.storage.is_committed(len) {
            self.storage.commit(self.len, len, why)?;
        }
        self.refresh_room();
        Ok(())
    }

    /// The length with `more` values, if it may get that long; reserves if nothing is reserved.
    fn check_len(&mut self, more: usize) -> Result<usize, OutOfMemory> {
        if more > 0 && self.storage.max_len() == 0 && self.storage.region().is_none() {
            self.storage.open(more)?;
            self.refresh_room();
        }
        let len = self.len.saturating_add(more);
        if len > self.storage.max_len() || len < more || len - more != self.len {
            return Err(self.storage.past_limit(self.len, len));
        }
        Ok(len)
    }

    /// Reserves for as many values as an iterator says that it has, if nothing is reserved yet. It may say anything:
    /// where that cannot be had, the first value reserves what it would without.
    #[cold]
    #[inline(never)]
    pub(super) fn expect(&mut self, len: usize) {
        if len > 0 && self.storage.control().is_none() && self.storage.open(len).is_ok() {
            self.refresh_room();
        }
    }

    /// If the vector is as long as it may be, moves the values to a reservation for about `len` values, or at least a
    /// quarter more. Only for a vector that is being made, and whose values have not been borrowed yet.
    #[inline]
    pub(super) fn outgrow(&mut self, len: usize) -> Result<(), OutOfMemory> {
        if self.len < self.storage.max_len() || self.len == 0 { Ok(()) } else { self.outgrow_now(len) }
    }

    #[cold]
    #[inline(never)]
    fn outgrow_now(&mut self, len: usize) -> Result<(), OutOfMemory> {
        let mut larger = VecStorage::<T>::none();
        // Not for one value more at a time: every time all of them move.
        let min = self.len.saturating_add(self.len / 4).saturating_add(1);
        if larger.open(len.max(min)).is_err() {
            larger.open(min)?;
        }
        larger.commit(0, self.len, GrowReason::Write)?;
        // SAFETY: the new places are committed and lie in another region than the old ones, which are not used again.
        unsafe { larger.start().copy_from_nonoverlapping(self.storage.start(), self.len) };
        self.storage = larger;
        self.refresh_room();
        Ok(())
    }

    /// Appends the values at `start`, which are moved.
    ///
    /// # Safety
    /// There are `len` values, and they are not used or dropped afterwards. Should this panic, none was moved.
    #[track_caller]
    pub(super) unsafe fn append_moved(&mut self, start: *const T, len: usize) {
        self.make_room(len);
        let end = self.len;
        // SAFETY: there is room for so many, and the values are the caller's, not this vector's.
        unsafe {
            self.as_mut_ptr().add(end).copy_from_nonoverlapping(start, len);
            self.set_len_written(end + len);
        }
    }

    /// Commits memory for at least `additional` values more, by the region's growth step, so that pushing them neither
    /// faults nor fails.
    ///
    /// # Panics
    /// When the vector may not get that long, or the system refuses.
    ///
    /// ```
    /// let mut bytes = highwater::GrowVec::<u8>::new();
    /// bytes.reserve(1 << 20);
    /// assert!(bytes.capacity() >= 1 << 20);
    /// ```
    #[track_caller]
    pub fn reserve(&mut self, additional: usize) {
        if let Err(error) = self.try_reserve(additional) {
            panic_with(error)
        }
    }

    /// [`reserve`](GrowVec::reserve) that returns the error.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector may not get that long, or the system refuses.
    pub fn try_reserve(&mut self, additional: usize) -> Result<(), OutOfMemory> {
        self.try_make_room(additional, GrowReason::Request)
    }

    /// [`reserve`](GrowVec::reserve) of exactly so many values, rounded up to a page.
    ///
    /// # Panics
    /// Where [`reserve`](GrowVec::reserve) does.
    #[track_caller]
    pub fn reserve_exact(&mut self, additional: usize) {
        if let Err(error) = self.try_reserve_exact(additional) {
            panic_with(error)
        }
    }

    /// [`reserve_exact`](GrowVec::reserve_exact) that returns the error.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector may not get that long, or the system refuses.
    pub fn try_reserve_exact(&mut self, additional: usize) -> Result<(), OutOfMemory> {
        self.try_make_room(additional, GrowReason::Ahead)
    }
}
