//! [`AppendVec`]: a vector that is pushed to while its values are borrowed.

use super::grow_vec::GrowVec;
use super::storage::panic_with;
use crate::admission::OutOfMemory;
use crate::builder::{BuildInputs, Builder, FromRegion};
use crate::region::{BuildError, Region, Role};
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::Deref;
use core::slice;

/// A [`GrowVec`] that is appended to through `&self`: since nothing moves, references to its values, and slices of
/// them, stay valid while others are pushed.
///
/// For one thread; [`SharedVec`](crate::SharedVec) is for several. Values change while nothing is borrowed, or
/// through `Cell`s.
///
/// ```
/// use highwater::AppendVec;
///
/// let names = AppendVec::new();
/// let first: &String = names.push_pinned("first".to_string());
/// for n in 0..100_000 {
///     names.push_pinned(n.to_string());
/// }
/// assert_eq!(first, "first");
/// assert_eq!(names[100_000], "99999");
/// ```
///
/// # Values that refer to earlier ones
///
/// The vector cannot hold such values: it drops its values, so they must not borrow from it. std's `Vec`, on which
/// `typed-arena` is built, has an unstable attribute for this.
///
/// ```compile_fail
/// struct Node<'n>(u32, Option<&'n Node<'n>>);
///
/// let nodes = highwater::AppendVec::new();
/// let first = nodes.push_pinned(Node(1, None));
/// nodes.push_pinned(Node(2, Some(first))); // `nodes` does not live long enough
/// ```
///
/// Alternatives: an [`Arena`](crate::Arena), which drops nothing; the index instead of a reference; a
/// [`Handle`](crate::Handle) of four bytes; or a vector that is never dropped.
///
/// ```
/// use highwater::{AppendVec, Arena};
///
/// struct Node<'n>(u32, Option<&'n Node<'n>>);
///
/// let arena = Arena::new();
/// let first = &*arena.alloc(Node(1, None));
/// let second = arena.alloc(Node(2, Some(first)));
/// assert_eq!(second.1.map(|node| node.0), Some(1));
///
/// let nodes: &'static AppendVec<Node<'static>> = Box::leak(Box::new(AppendVec::new()));
/// let first = nodes.push_pinned(Node(1, None));
/// nodes.push_pinned(Node(2, Some(first)));
/// assert_eq!(nodes.iter().map(|node| node.0).sum::<u32>(), 3);
///
/// struct Indexed(u32, Option<usize>);
///
/// let nodes = AppendVec::new();
/// let first = nodes.len();
/// nodes.push_pinned(Indexed(1, None));
/// let second = nodes.push_pinned(Indexed(2, Some(first)));
/// assert_eq!(second.1.map(|index| nodes[index].0), Some(1));
/// ```
pub struct AppendVec<T> {
    vec: UnsafeCell<GrowVec<T>>,
}

impl<T> AppendVec<T> {
    /// An empty vector. Nothing is reserved before the first value is pushed.
    ///
    /// ```
    /// let names = highwater::AppendVec::new();
    /// assert_eq!(names.push_pinned("a"), &"a");
    /// ```
    pub const fn new() -> Self {
        AppendVec { vec: UnsafeCell::new(GrowVec::new()) }
    }

    /// An empty vector that may get `len` values long and reserves addresses for no more.
    ///
    /// # Panics
    /// When the system has no address space or memory for it.
    ///
    /// ```
    /// let two = highwater::AppendVec::with_max(2);
    /// two.push_pinned(1);
    /// two.push_pinned(2);
    /// assert!(two.try_push_pinned(3).is_err());
    /// ```
    #[track_caller]
    pub fn with_max(len: usize) -> Self {
        GrowVec::with_max(len).into()
    }

    /// A vector with policies of your own; sizes are in bytes.
    ///
    /// ```
    /// let names = highwater::AppendVec::<u64>::builder().name("names").limit(1 << 20).build();
    /// assert_eq!(names.max_len(), (1 << 20) / 8);
    /// ```
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Appends a value and returns a reference to it.
    ///
    /// # Panics
    /// Where [`GrowVec::push`] does.
    ///
    /// ```
    /// let numbers = highwater::AppendVec::new();
    /// let first = numbers.push_pinned(1);
    /// let second = numbers.push_pinned(first + 1);
    /// assert_eq!((first, second), (&1, &2));
    /// ```
    #[inline]
    #[track_caller]
    pub fn push_pinned(&self, value: T) -> &T {
        // SAFETY: nothing that is called comes back to this vector, so there is no second `&mut`: the panic, whose hook
        // may, and the destructor of the value, come after the call. And nothing touches a value that is there, so
        // borrows of values stay good.
        let (len, room) = unsafe { ((*self.vec.get()).len(), (*self.vec.get()).room()) };
        if len >= room {
            // SAFETY: nothing that is called comes back to this vector, so there is no second `&mut`.
            let made = unsafe { (*self.vec.get()).room_or_why(1) };
            if let Err(error) = made {
                panic_with(*error)
            }
        }
        // SAFETY: `push_at` calls nothing, there is room for one more value, and the length is still `len`.
        unsafe { (*self.vec.get()).push_at(len, value) };
        // SAFETY: the value was just written. It stays in its place for as long as the vector is borrowed.
        unsafe { &*(*self.vec.get()).as_ptr().add(len) }
    }

    /// [`push_pinned`](AppendVec::push_pinned) that returns the error; the value is dropped then.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the vector is as long as it may be, or the system refuses.
    #[inline]
    pub fn try_push_pinned(&self, value: T) -> Result<&T, OutOfMemory> {
        // The value waits outside: should it be dropped, that may come back to this vector.
        // SAFETY: this only commits memory: nothing that is called comes back to this vector, so there is no second `&mut`.
        unsafe { (*self.vec.get()).try_make_room_for_one() }?;
        Ok(self.push_pinned(value))
    }

    /// The largest number of values; see [`GrowVec::max_len`].
    pub fn max_len(&self) -> usize {
        // SAFETY: no `&mut` to the vector exists outside of the calls of `push_pinned`, during which nothing else runs.
        unsafe { (*self.vec.get()).max_len() }
    }

    /// Drops all values. The memory stays committed.
    pub fn clear(&mut self) {
        self.vec.get_mut().clear();
    }

    /// The values pushed so far. More may be pushed meanwhile: the slice does not change.
    ///
    /// ```
    /// let numbers: highwater::AppendVec<u32> = (0..3).collect();
    /// let before = numbers.as_slice();
    /// numbers.push_pinned(3);
    /// assert_eq!((before.len(), numbers.len()), (3, 4));
    /// ```
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: no `&mut` to the vector exists outside of the calls of `push_pinned`, during which nothing else runs.
        let vec = unsafe { &*self.vec.get() };
        // SAFETY: so many values are initialised, and stay as they are for as long as this is borrowed.
        unsafe { slice::from_raw_parts(vec.as_ptr(), vec.len()) }
    }

    /// The values, mutably.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.vec.get_mut()
    }

    /// The vector, for calls that need exclusive access.
    ///
    /// ```
    /// let mut numbers: highwater::AppendVec<u32> = (0..3).collect();
    /// numbers.as_mut_vec().retain(|n| n % 2 == 0);
    /// assert_eq!(numbers.into_vec(), [0, 2]);
    /// ```
    pub fn as_mut_vec(&mut self) -> &mut GrowVec<T> {
        self.vec.get_mut()
    }

    /// The vector.
    pub fn into_vec(self) -> GrowVec<T> {
        self.vec.into_inner()
    }
}

impl<T> From<GrowVec<T>> for AppendVec<T> {
    fn from(vec: GrowVec<T>) -> Self {
        AppendVec { vec: UnsafeCell::new(vec) }
    }
}

impl<T> From<AppendVec<T>> for GrowVec<T> {
    fn from(vec: AppendVec<T>) -> Self {
        vec.into_vec()
    }
}

impl<T> FromRegion for AppendVec<T> {
    const CHECKED: bool = false;
    const ROLE: Role = Role::Vector;

    fn from_region(region: Region, inputs: BuildInputs<'_>) -> Result<Self, BuildError> {
        Ok(<GrowVec<T> as FromRegion>::from_region(region, inputs)?.into())
    }
}

impl<T> Deref for AppendVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> Default for AppendVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Extend<T> for AppendVec<T> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        self.vec.get_mut().extend(values);
    }
}

impl<T> FromIterator<T> for AppendVec<T> {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        GrowVec::from_iter(values).into()
    }
}

impl<T> IntoIterator for AppendVec<T> {
    type Item = T;
    type IntoIter = super::IntoIter<T>;

    fn into_iter(self) -> super::IntoIter<T> {
        self.into_vec().into_iter()
    }
}

impl<'v, T> IntoIterator for &'v AppendVec<T> {
    type Item = &'v T;
    type IntoIter = slice::Iter<'v, T>;

    fn into_iter(self) -> slice::Iter<'v, T> {
        self.iter()
    }
}

impl<T: Clone> Clone for AppendVec<T> {
    /// A vector of clones, with the default policies.
    #[track_caller]
    fn clone(&self) -> Self {
        GrowVec::from(self.as_slice()).into()
    }
}

impl<T: PartialEq> PartialEq for AppendVec<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Eq> Eq for AppendVec<T> {}

impl<T: fmt::Debug> fmt::Debug for AppendVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}
