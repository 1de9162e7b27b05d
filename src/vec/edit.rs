//! The calls that move values inside of a vector, or drop some.

use super::drain::Drain;
use super::grow_vec::GrowVec;
use crate::admission::OutOfMemory;
use crate::grow::GrowReason;
use core::ops::{Bound, Range, RangeBounds};
use core::ptr;

impl<T> GrowVec<T> {
    /// Removes the last value.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// assert_eq!(numbers.pop(), Some(3));
    /// ```
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        // SAFETY: the value is initialised, and no longer counted.
        unsafe {
            self.set_len(last);
            Some(self.as_ptr().add(last).read())
        }
    }

    /// Removes the last value if it satisfies a predicate.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// assert_eq!(numbers.pop_if(|last| *last > 5), None);
    /// assert_eq!(numbers.pop_if(|last| *last == 3), Some(3));
    /// ```
    pub fn pop_if(&mut self, predicate: impl FnOnce(&mut T) -> bool) -> Option<T> {
        if predicate(self.last_mut()?) { self.pop() } else { None }
    }

    /// Inserts a value at `index`; those from there on move up by one.
    ///
    /// # Panics
    /// When `index` is beyond the length, and where [`push`](GrowVec::push) panics.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// numbers.insert(1, 9);
    /// assert_eq!(numbers, [0, 9, 1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn insert(&mut self, index: usize, value: T) {
        let len = self.len();
        assert!(index <= len, "an index of {index} to insert at, in a vector of {len}");
        self.make_room(1);
        // SAFETY: there is room for one more value; until the length says so the moved values are not counted, and
        // nothing in between can panic.
        unsafe { self.insert_unchecked(index, value) }
    }

    /// [`insert`](GrowVec::insert) that returns the error; the value is dropped then.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector is as long as it may be, or the system refuses.
    ///
    /// # Panics
    /// When `index` is beyond the length.
    #[track_caller]
    pub fn try_insert(&mut self, index: usize, value: T) -> Result<(), OutOfMemory> {
        let len = self.len();
        assert!(index <= len, "an index of {index} to insert at, in a vector of {len}");
        self.try_make_room(1, GrowReason::Write)?;
        // SAFETY: there is committed room for one more value, and `index` is at most the length.
        unsafe { self.insert_unchecked(index, value) };
        Ok(())
    }

    /// # Safety
    /// There is room for one more value, and `index` is at most the length.
    unsafe fn insert_unchecked(&mut self, index: usize, value: T) {
        let len = self.len();
        // SAFETY: there is room for one more value and `index` is at most the length: required by this function's contract.
        // Nothing in between can panic.
        unsafe {
            let place = self.as_mut_ptr().add(index);
            place.copy_to(place.add(1), len - index);
            place.write(value);
            self.set_len_written(len + 1);
        }
    }

    /// Removes the value at `index`; those after it move down by one.
    ///
    /// # Panics
    /// When `index` is not below the length.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// assert_eq!(numbers.remove(1), 1);
    /// assert_eq!(numbers, [0, 2, 3]);
    /// ```
    #[track_caller]
    pub fn remove(&mut self, index: usize) -> T {
        let len = self.len();
        assert!(index < len, "an index of {index} to remove, in a vector of {len}");
        // SAFETY: the value is initialised and read once; the ones after it take its place.
        unsafe {
            let place = self.as_mut_ptr().add(index);
            let value = place.read();
            place.add(1).copy_to(place, len - index - 1);
            self.set_len(len - 1);
            value
        }
    }

    /// Removes the value at `index` and puts the last one there.
    ///
    /// # Panics
    /// When `index` is not below the length.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// assert_eq!(numbers.swap_remove(0), 0);
    /// assert_eq!(numbers, [3, 1, 2]);
    /// ```
    #[track_caller]
    pub fn swap_remove(&mut self, index: usize) -> T {
        let len = self.len();
        assert!(index < len, "an index of {index} to remove, in a vector of {len}");
        self.swap(index, len - 1);
        match self.pop() {
            Some(value) => value,
            None => unreachable!("the vector has a value at {index}"),
        }
    }

    /// Drops all values but the first `len`.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// numbers.truncate(2);
    /// assert_eq!(numbers, [0, 1]);
    /// ```
    pub fn truncate(&mut self, len: usize) {
        let before = self.len();
        if len >= before {
            return;
        }
        // SAFETY: the values past `len` are initialised. They are no longer counted when they are dropped, should one
        // of them panic.
        unsafe {
            self.set_len(len);
            ptr::drop_in_place(ptr::slice_from_raw_parts_mut(self.as_mut_ptr().add(len), before - len));
        }
    }

    /// Drops all values. The memory stays committed; see [`shrink_to_fit`](GrowVec::shrink_to_fit).
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Removes a range of values and iterates over them. Values that are not taken are dropped with the iterator; if it
    /// is forgotten, the range and everything after it is leaked.
    ///
    /// # Panics
    /// When the range is not one of the vector's.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..10).collect();
    /// assert_eq!(numbers.drain(2..8).sum::<u32>(), 27);
    /// assert_eq!(numbers, [0, 1, 8, 9]);
    /// ```
    #[track_caller]
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> Drain<'_, T> {
        let range = within(range, self.len());
        Drain::new(self, range)
    }

    /// Keeps the values that satisfy a predicate, in their order.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// numbers.retain(|n| n % 2 == 1);
    /// assert_eq!(numbers, [1, 3]);
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.retain_mut(|value| keep(value));
    }

    /// [`retain`](GrowVec::retain) with values that the predicate may change.
    pub fn retain_mut(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut gap = RetainGuard::open(self);
        while gap.read < gap.end {
            // SAFETY: the value at `read` is initialised and in its place.
            let keeps = keep(unsafe { &mut *gap.at(gap.read) });
            gap.pass(keeps);
        }
    }

    /// Removes all but the first of values that follow each other and are equal.
    ///
    /// ```
    /// let mut numbers = highwater::GrowVec::from([1, 1, 2, 1]);
    /// numbers.dedup();
    /// assert_eq!(numbers, [1, 2, 1]);
    /// ```
    pub fn dedup(&mut self)
    where
        T: PartialEq,
    {
        self.dedup_by(|a, b| a == b);
    }

    /// Removes all but the first of values that follow each other and have equal keys.
    pub fn dedup_by_key<K: PartialEq>(&mut self, mut key: impl FnMut(&mut T) -> K) {
        self.dedup_by(|a, b| key(a) == key(b));
    }

    /// Removes all but the first of values that follow each other and are the same by `same(later, earlier)`.
    pub fn dedup_by(&mut self, mut same: impl FnMut(&mut T, &mut T) -> bool) {
        let mut gap = RetainGuard::open(self);
        if gap.end == 0 {
            return;
        }
        gap.pass(true);
        while gap.read < gap.end {
            // SAFETY: the value at `read` is initialised and in its place, the last one that was kept is before the
            // gap; they are two.
            let is_same = unsafe { same(&mut *gap.at(gap.read), &mut *gap.at(gap.write - 1)) };
            gap.pass(!is_same);
        }
    }

    /// Splits the vector: what is from `at` on becomes another one, with the default policies.
    ///
    /// # Panics
    /// When `at` is beyond the length, and where [`push`](GrowVec::push) panics; nothing has moved then.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// assert_eq!(numbers.split_off(3), [3]);
    /// assert_eq!(numbers, [0, 1, 2]);
    /// ```
    #[track_caller]
    pub fn split_off(&mut self, at: usize) -> Self {
        let len = self.len();
        assert!(at <= len, "a split at {at}, of a vector of {len}");
        let mut other = Self::new();
        other.make_room(len - at);
        // SAFETY: the other one has room for the values, which are no longer counted here before they are there.
        unsafe {
            self.set_len(at);
            other.as_mut_ptr().copy_from_nonoverlapping(self.as_ptr().add(at), len - at);
            other.set_len_written(len - at);
        }
        other
    }

    /// Moves all values of another vector to the end of this one.
    ///
    /// # Panics
    /// Where [`push`](GrowVec::push) does; nothing has moved then.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// let mut more = highwater::GrowVec::from([7]);
    /// numbers.append(&mut more);
    /// assert_eq!((numbers.len(), more.len()), (5, 0));
    /// ```
    #[track_caller]
    pub fn append(&mut self, other: &mut Self) {
        // SAFETY: the other vector does not count them afterwards, and forgetting them cannot panic.
        unsafe {
            self.append_moved(other.as_ptr(), other.len());
            other.set_len(0);
        }
    }

    /// Makes the vector `len` long: drops what is beyond, or appends clones of `value`.
    ///
    /// # Panics
    /// Where [`push`](GrowVec::push) does, and when a `clone` does.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// numbers.resize(6, 9);
    /// assert_eq!(numbers, [0, 1, 2, 3, 9, 9]);
    /// ```
    #[track_caller]
    pub fn resize(&mut self, len: usize, value: T)
    where
        T: Clone,
    {
        let Some(more) = len.checked_sub(self.len()).filter(|&more| more > 0) else {
            return self.truncate(len);
        };
        self.make_room(more);
        self.fill((1..more).map(|_| value.clone()));
        self.fill(core::iter::once(value));
    }

    /// Makes the vector `len` long: drops what is beyond, or appends what `make` returns.
    ///
    /// # Panics
    /// Where [`push`](GrowVec::push) does, and when `make` does.
    #[track_caller]
    pub fn resize_with(&mut self, len: usize, mut make: impl FnMut() -> T) {
        let Some(more) = len.checked_sub(self.len()) else { return self.truncate(len) };
        self.make_room(more);
        self.fill((0..more).map(|_| make()));
    }

    /// Appends clones of the values of a slice.
    ///
    /// # Panics
    /// Where [`push`](GrowVec::push) does, and when a `clone` does; what was cloned until then stays.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// numbers.extend_from_slice(&[8, 9]);
    /// assert_eq!(numbers[4..], [8, 9]);
    /// ```
    #[track_caller]
    pub fn extend_from_slice(&mut self, values: &[T])
    where
        T: Clone,
    {
        self.make_room(values.len());
        self.fill(values.iter().cloned());
    }

    /// [`extend_from_slice`](GrowVec::extend_from_slice) that returns the error; nothing has changed then.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector may not get that long, or the system refuses.
    pub fn try_extend_from_slice(&mut self, values: &[T]) -> Result<(), OutOfMemory>
    where
        T: Clone,
    {
        self.try_make_room(values.len(), GrowReason::Write)?;
        self.fill(values.iter().cloned());
        Ok(())
    }

    /// Appends clones of a range of the vector's own values.
    ///
    /// # Panics
    /// When the range is not one of the vector's, and where [`extend_from_slice`](GrowVec::extend_from_slice) panics.
    ///
    /// ```
    /// let mut numbers: highwater::GrowVec<u32> = (0..4).collect();
    /// numbers.extend_from_within(..2);
    /// assert_eq!(numbers[4..], [0, 1]);
    /// ```
    #[track_caller]
    pub fn extend_from_within(&mut self, range: impl RangeBounds<usize>)
    where
        T: Clone,
    {
        let range = within(range, self.len());
        self.make_room(range.len());
        let start = self.as_ptr();
        // SAFETY: the values are initialised, and appending does not touch them: nothing moves.
        self.fill(range.map(|index| unsafe { (*start.add(index)).clone() }));
    }

    /// Appends what an iterator yields, each value's memory committed first.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector is as long as it may be, or the system refuses. What was appended until then
    /// stays; the value that found no room is dropped.
    ///
    /// ```
    /// let mut two = highwater::GrowVec::with_max(2);
    /// assert!(two.try_extend(0..5).is_err());
    /// assert_eq!(two, [0, 1]);
    /// ```
    pub fn try_extend(&mut self, values: impl IntoIterator<Item = T>) -> Result<(), OutOfMemory> {
        let mut values = values.into_iter();
        self.expect(values.size_hint().0);
        values.try_for_each(|value| self.try_push(value))
    }

    /// Appends values while they come and there is room; those that find none are left in the iterator.
    #[inline]
    pub(super) fn fill(&mut self, values: impl Iterator<Item = T>) {
        // The length is kept in a local, which can be a register, and is written to the vector in any case: a panic in
        // the iterator loses nothing.
        struct LenGuard<'v, T> {
            vec: &'v mut GrowVec<T>,
            len: usize,
        }
        impl<T> Drop for LenGuard<'_, T> {
            fn drop(&mut self) {
                // SAFETY: so many values are written.
                unsafe { self.vec.set_len_written(self.len) };
            }
        }
        let (len, room) = (self.len(), self.room());
        let start = self.as_mut_ptr();
        let mut count = LenGuard { vec: self, len };
        // (`zip` asks for room before it asks for a value.)
        for (index, value) in (len..room).zip(values) {
            // SAFETY: there is room for `room` values.
            unsafe { start.add(index).write(value) };
            count.len = index + 1;
        }
    }
}

/// The values that a range of the vector's indices says.
#[track_caller]
fn within(range: impl RangeBounds<usize>, len: usize) -> Range<usize> {
    let start = match range.start_bound() {
        Bound::Included(&start) => Some(start),
        Bound::Excluded(&before) => before.checked_add(1),
        Bound::Unbounded => Some(0),
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.checked_add(1),
        Bound::Excluded(&end) => Some(end),
        Bound::Unbounded => Some(len),
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && end <= len => start..end,
        _ => panic!("a range from {start:?} to {end:?}, in a vector of {len}"),
    }
}

/// A hole that moves through a vector: before `write` are the values that are kept, from `read` on those that are not
/// visited yet. When it is dropped, also by a panic, the rest moves down.
struct RetainGuard<'v, T> {
    vec: &'v mut GrowVec<T>,
    write: usize,
    read: usize,
    end: usize,
}

impl<'v, T> RetainGuard<'v, T> {
    fn open(vec: &'v mut GrowVec<T>) -> Self {
        let end = vec.len();
        // SAFETY: no value is counted while the gap travels: it puts them back.
        unsafe { vec.set_len(0) };
        RetainGuard { vec, write: 0, read: 0, end }
    }

    fn at(&mut self, index: usize) -> *mut T {
        self.vec.as_mut_ptr().wrapping_add(index)
    }

    /// Keeps or drops the value at `read`.
    fn pass(&mut self, keeps: bool) {
        let (from, to) = (self.at(self.read), self.at(self.write));
        self.read += 1;
        // SAFETY: both are places of the vector; the value is initialised, and moved or dropped once.
        unsafe {
            if !keeps {
                ptr::drop_in_place(from);
            } else {
                if from != to {
                    to.copy_from(from, 1);
                }
                self.write += 1;
            }
        }
    }
}

impl<T> Drop for RetainGuard<'_, T> {
    fn drop(&mut self) {
        let rest = self.end - self.read;
        let (from, to) = (self.at(self.read), self.at(self.write));
        // SAFETY: the values from `read` on are initialised, and so are those before `write`.
        unsafe {
            if from != to {
                to.copy_from(from, rest);
            }
            self.vec.set_len_written(self.write + rest);
        }
    }
}
