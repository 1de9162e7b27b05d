//! What std's traits make of a vector.

use super::grow_vec::GrowVec;
use crate::admission::OutOfMemory;
use crate::fallible;
use core::borrow::{Borrow, BorrowMut};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut, Index, IndexMut};
use core::slice::{self, SliceIndex};
use std::io;

impl<T> Deref for GrowVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> DerefMut for GrowVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

impl<T, I: SliceIndex<[T]>> Index<I> for GrowVec<T> {
    type Output = I::Output;

    #[inline]
    fn index(&self, index: I) -> &I::Output {
        &self.as_slice()[index]
    }
}

impl<T, I: SliceIndex<[T]>> IndexMut<I> for GrowVec<T> {
    #[inline]
    fn index_mut(&mut self, index: I) -> &mut I::Output {
        &mut self.as_mut_slice()[index]
    }
}

impl<T> Default for GrowVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Clone for GrowVec<T> {
    /// A vector of clones, with the default policies.
    #[track_caller]
    fn clone(&self) -> Self {
        let mut vec = Self::new();
        vec.extend_from_slice(self);
        vec
    }

    #[track_caller]
    fn clone_from(&mut self, source: &Self) {
        self.truncate(source.len());
        let (same, more) = source.split_at(self.len());
        self.clone_from_slice(same);
        self.extend_from_slice(more);
    }
}

impl<T> Extend<T> for GrowVec<T> {
    /// # Panics
    /// Where [`push`](GrowVec::push) does, and when the iterator does; what was appended until then stays.
    #[inline]
    #[track_caller]
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        let mut values = values.into_iter();
        if self.room() == 0 {
            self.expect(values.size_hint().0);
        }
        loop {
            self.fill(values.by_ref());
            // An iterator that has ended is not called again: the next call may yield values again.
            if self.len() < self.room() {
                return;
            }
            let Some(value) = values.next() else { return };
            self.push(value);
        }
    }
}

impl<'v, T: Copy + 'v> Extend<&'v T> for GrowVec<T> {
    #[inline]
    #[track_caller]
    fn extend<I: IntoIterator<Item = &'v T>>(&mut self, values: I) {
        self.extend(values.into_iter().copied());
    }
}

impl<T> FromIterator<T> for GrowVec<T> {
    /// A vector of what an iterator yields. It reserves for as many values as the iterator says that it has; should
    /// more come than the reservation holds, they move to a larger one: nothing refers to them yet.
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut values = values.into_iter();
        let mut vec = Self::new();
        vec.expect(values.size_hint().0);
        loop {
            vec.fill(values.by_ref());
            // (As in `extend`.)
            if vec.len() < vec.room() {
                return vec;
            }
            let Some(value) = values.next() else { return vec };
            // Where there is none larger, `push` says how long the vector may get.
            let _ = vec.outgrow(vec.len().saturating_mul(2));
            vec.push(value);
        }
    }
}

impl<T: Clone> From<&[T]> for GrowVec<T> {
    #[track_caller]
    fn from(values: &[T]) -> Self {
        let mut vec = Self::new();
        vec.extend_from_slice(values);
        vec
    }
}

impl<T, const N: usize> From<[T; N]> for GrowVec<T> {
    #[track_caller]
    fn from(values: [T; N]) -> Self {
        let mut vec = Self::new();
        // Reserved for first: should that panic, the values are dropped.
        vec.make_room(N);
        let values = ManuallyDrop::new(values);
        // SAFETY: nothing uses or drops the values from here on.
        unsafe { vec.append_moved(values.as_ptr(), N) };
        vec
    }
}

impl<T: Clone> From<&mut [T]> for GrowVec<T> {
    #[track_caller]
    fn from(values: &mut [T]) -> Self {
        GrowVec::from(&*values)
    }
}

impl From<&str> for GrowVec<u8> {
    #[track_caller]
    fn from(text: &str) -> Self {
        GrowVec::from(text.as_bytes())
    }
}

impl<T> From<Vec<T>> for GrowVec<T> {
    #[track_caller]
    fn from(mut values: Vec<T>) -> Self {
        let mut vec = Self::new();
        // SAFETY: the other vector does not count the values afterwards; when this panics, none was moved.
        unsafe {
            vec.append_moved(values.as_ptr(), values.len());
            values.set_len(0);
        }
        vec
    }
}

impl<T> From<GrowVec<T>> for Vec<T> {
    fn from(values: GrowVec<T>) -> Self {
        values.into_iter().collect()
    }
}

impl<'v, T> IntoIterator for &'v GrowVec<T> {
    type Item = &'v T;
    type IntoIter = slice::Iter<'v, T>;

    fn into_iter(self) -> slice::Iter<'v, T> {
        self.iter()
    }
}

impl<'v, T> IntoIterator for &'v mut GrowVec<T> {
    type Item = &'v mut T;
    type IntoIter = slice::IterMut<'v, T>;

    fn into_iter(self) -> slice::IterMut<'v, T> {
        self.iter_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for GrowVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<T: Eq> Eq for GrowVec<T> {}

impl<T: PartialOrd> PartialOrd for GrowVec<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.as_slice().partial_cmp(other.as_slice())
    }
}

impl<T: Ord> Ord for GrowVec<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl<T: Hash> Hash for GrowVec<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

/// Equality with whatever else is a slice.
macro_rules! equal {
    ($([$($generics:tt)*] $left:ty, $right:ty;)+) => {$(
        impl<T: PartialEq<U>, U $($generics)*> PartialEq<$right> for $left {
            #[inline]
            fn eq(&self, other: &$right) -> bool {
                self[..] == other[..]
            }
        }
    )+};
}

equal! {
    [] GrowVec<T>, GrowVec<U>;
    [] GrowVec<T>, [U];
    [] GrowVec<T>, &[U];
    [] GrowVec<T>, &mut [U];
    [] GrowVec<T>, Vec<U>;
    [] Vec<T>, GrowVec<U>;
    [] [T], GrowVec<U>;
    [] &[T], GrowVec<U>;
    [, const N: usize] GrowVec<T>, [U; N];
    [, const N: usize] GrowVec<T>, &[U; N];
}

impl<T> AsRef<[T]> for GrowVec<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> AsMut<[T]> for GrowVec<T> {
    fn as_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T> Borrow<[T]> for GrowVec<T> {
    fn borrow(&self) -> &[T] {
        self
    }
}

impl<T> BorrowMut<[T]> for GrowVec<T> {
    fn borrow_mut(&mut self) -> &mut [T] {
        self
    }
}

/// Bytes are appended; an [`OutOfMemory`](crate::OutOfMemory) is an error of the kind
/// [`OutOfMemory`](io::ErrorKind::OutOfMemory).
///
/// ```
/// use std::io::Write;
///
/// let mut page = highwater::GrowVec::<u8>::with_max(5);
/// write!(page, "{:>4}", 7)?;
/// assert_eq!(page, b"   7");
/// assert!(write!(page, "more").is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
impl io::Write for GrowVec<u8> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let appended = self.try_extend_from_slice(bytes);
        appended.map_err(|error| {
            let kind = io::ErrorKind::OutOfMemory;
            // (std has no call that makes such an error and may fail.) Where there is no memory for the text, that is
            // said by the kind alone.
            match fallible::boxed([0u8; 2 * size_of::<OutOfMemory>()]) {
                Ok(_) => io::Error::new(kind, error),
                Err(_) => kind.into(),
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
