//! [`Drain`]: values on their way out of a vector.

use super::grow_vec::GrowVec;
use core::fmt;
use core::iter::FusedIterator;
use core::ops::Range;
use core::ptr;
use core::slice;

/// The values that [`GrowVec::drain`] removes. When it is dropped those that were not taken are, and the rest of the
/// vector moves down.
///
/// ```
/// let mut numbers: highwater::GrowVec<u32> = (0..5).collect();
/// let mut drain = numbers.drain(1..4);
/// assert_eq!((drain.next(), drain.as_slice()), (Some(1), &[2, 3][..]));
/// drop(drain);
/// assert_eq!(numbers, [0, 4]);
/// ```
pub struct Drain<'v, T> {
    /// Its length is where the drained range starts: what is behind comes back at the end.
    vec: &'v mut GrowVec<T>,
    /// What was not taken yet.
    left: Range<usize>,
    /// What comes after the drained range.
    tail: Range<usize>,
}

impl<'v, T> Drain<'v, T> {
    pub(super) fn new(vec: &'v mut GrowVec<T>, range: Range<usize>) -> Self {
        let tail = range.end..vec.len();
        // SAFETY: fewer values than there are. Should the iterator be forgotten, the rest is not dropped.
        unsafe { vec.set_len(range.start) };
        Drain { vec, left: range, tail }
    }

    /// What was not taken yet.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: the values are initialised, and the iterator's.
        unsafe { slice::from_raw_parts(self.vec.as_ptr().add(self.left.start), self.left.len()) }
    }

    /// # Safety
    /// The value at `index` is not used again.
    unsafe fn read(&self, index: usize) -> T {
        // SAFETY: the value is initialised, and not used again: required by this function's contract.
        unsafe { self.vec.as_ptr().add(index).read() }
    }
}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let index = self.left.next()?;
        // SAFETY: the value at `index` is no longer in `left`.
        Some(unsafe { self.read(index) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<T> DoubleEndedIterator for Drain<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        let index = self.left.next_back()?;
        // SAFETY: the value at `index` is no longer in `left`.
        Some(unsafe { self.read(index) })
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}
impl<T> FusedIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        /// Moves the tail down, also when a value panics while it is dropped.
        struct TailGuard<'d, T> {
            vec: &'d mut GrowVec<T>,
            tail: Range<usize>,
        }
        impl<T> Drop for TailGuard<'_, T> {
            fn drop(&mut self) {
                let (len, start) = (self.vec.len(), self.vec.as_mut_ptr());
                // SAFETY: the tail is initialised, and the places before it are free.
                unsafe {
                    start.add(len).copy_from(start.add(self.tail.start), self.tail.len());
                    self.vec.set_len_written(len + self.tail.len());
                }
            }
        }
        let left = core::mem::take(&mut self.left);
        let close = TailGuard { vec: self.vec, tail: self.tail.clone() };
        let first = close.vec.as_mut_ptr().wrapping_add(left.start);
        // SAFETY: what is left is initialised, and the iterator's.
        unsafe { ptr::drop_in_place(ptr::slice_from_raw_parts_mut(first, left.len())) };
    }
}

impl<T: fmt::Debug> fmt::Debug for Drain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Drain").field(&self.as_slice()).finish()
    }
}
