//! [`IntoIter`]: the values of a vector, one after the other.

use super::grow_vec::GrowVec;
use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;
use core::ptr;
use core::slice;

/// The values of a [`GrowVec`], by value.
///
/// ```
/// let numbers: highwater::GrowVec<u32> = (0..5).collect();
/// let mut values = numbers.into_iter();
/// assert_eq!((values.next(), values.next_back()), (Some(0), Some(4)));
/// assert_eq!(values.as_slice(), [1, 2, 3]);
/// ```
pub struct IntoIter<T> {
    /// It counts no values: they are `left`'s.
    vec: GrowVec<T>,
    left: Range<usize>,
}

impl<T> IntoIter<T> {
    /// What was not taken yet.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: the values are initialised, and the iterator's.
        unsafe { slice::from_raw_parts(self.vec.as_ptr().add(self.left.start), self.left.len()) }
    }
}

impl<T> IntoIterator for GrowVec<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(mut self) -> IntoIter<T> {
        let left = 0..self.len();
        // SAFETY: the values are the iterator's from here on.
        unsafe { self.set_len(0) };
        IntoIter { vec: self, left }
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let index = self.left.next()?;
        // SAFETY: the value is initialised, and no longer left.
        Some(unsafe { self.vec.as_ptr().add(index).read() })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<T> DoubleEndedIterator for IntoIter<T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        let index = self.left.next_back()?;
        // SAFETY: the value is initialised, and no longer in `left`.
        Some(unsafe { self.vec.as_ptr().add(index).read() })
    }
}

impl<T> ExactSizeIterator for IntoIter<T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> Drop for IntoIter<T> {
    fn drop(&mut self) {
        let first = self.vec.as_mut_ptr().wrapping_add(self.left.start);
        // SAFETY: the values in `left` are initialised, and the iterator owns them.
        unsafe { ptr::drop_in_place(ptr::slice_from_raw_parts_mut(first, self.left.len())) };
    }
}

impl<T: fmt::Debug> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IntoIter").field(&self.as_slice()).finish()
    }
}
