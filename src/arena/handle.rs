//! 32-bit pointers: offsets into one region, scaled by alignment.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::ptr;

/// The largest scale: a region's first byte is aligned to a page, and to no more than that for certain.
const LARGEST_SCALE: usize = 4096;

/// What the offset of a `T` is a multiple of.
const fn scale_of<T>() -> usize {
    if align_of::<T>() < LARGEST_SCALE { align_of::<T>() } else { LARGEST_SCALE }
}

/// A pointer to a `T` in 32 bits, relative to the first byte of a region: half of what a reference takes, and an
/// `Option` of it takes no more.
///
/// It reaches 4 GiB times the alignment of `T` (at most 4096): 32 GiB for a `u64`. It does not record its region, or
/// whether the value is still allocated, so following it is `unsafe`. [`Handle`]s are the safe kind.
///
/// ```
/// use highwater::{Arena, Rel};
///
/// let arena = Arena::new();
/// let x: &u64 = arena.alloc(7);
/// let rel: Rel<u64> = arena.rel(x).unwrap();
/// assert_eq!(size_of::<Option<Rel<u64>>>(), 4);
/// // SAFETY: it is this arena's, and the value is still there.
/// assert_eq!(unsafe { *arena.resolve(rel) }, 7);
/// assert!(arena.rel(&8u64).is_none()); // lives elsewhere
/// ```
pub struct Rel<T> {
    /// The offset divided by the scale, plus one.
    scaled: NonZeroU32,
    to: PhantomData<fn() -> *const T>,
}

impl<T> Rel<T> {
    /// The pointer to `value`, in a region that starts at `base` and has `len` bytes; `None` if it lies elsewhere or
    /// too far in. (Of a slice, `value` is the pointer to all of it.)
    #[inline]
    pub(super) fn new(base: *const u8, len: usize, value: *const T) -> Option<Self> {
        if size_of::<T>() == 0 {
            return Some(Rel { scaled: NonZeroU32::MIN, to: PhantomData });
        }
        // The value may be borrowed through a `&mut` that the compiler knows nothing else to alias: what follows the
        // number has to be a pointer of that very borrow, and not one of the region's.
        let offset = value.expose_provenance().wrapping_sub(base.addr());
        if offset >= len {
            return None;
        }
        let scaled = u32::try_from(offset / scale_of::<T>()).ok()?.checked_add(1)?;
        Some(Rel { scaled: NonZeroU32::new(scaled)?, to: PhantomData })
    }

    /// Where it points to, in the region that starts at `base`.
    #[inline]
    pub(super) fn pointer(self, base: *mut u8) -> *mut T {
        if size_of::<T>() == 0 {
            return ptr::dangling_mut();
        }
        // No overflow: the product was the offset of something.
        ptr::with_exposed_provenance_mut(base.addr() + (self.scaled.get() - 1) as usize * scale_of::<T>())
    }
}

/// A pointer to a `T` in an arena, in 32 bits, that is safe to follow.
///
/// It has the brand of one [`scoped_branded`](crate::Arena::scoped_branded) call, a lifetime that nothing else has. So
/// it cannot be followed in another arena, or after the memory was freed: that does not compile.
///
/// ```
/// use highwater::{Arena, Handle};
/// use std::cell::Cell;
///
/// struct Node<'b> {
///     value: u32,
///     next: Cell<Option<Handle<'b, Node<'b>>>>,
/// }
///
/// let mut arena = Arena::new();
/// let sum = arena.scoped_branded(|b| {
///     let last = b.handle(b.alloc(Node { value: 2, next: Cell::new(None) }));
///     let first = b.alloc(Node { value: 1, next: Cell::new(Some(last)) });
///     let second = b.get(first.next.get().unwrap());
///     first.value + second.value
/// });
/// assert_eq!(sum, 3);
/// ```
///
/// A handle of one arena does not meet another:
///
/// ```compile_fail
/// # use highwater::Arena;
/// let (mut one, mut other) = (Arena::new(), Arena::new());
/// one.scoped_branded(|a| {
///     other.scoped_branded(|b| {
///         let handle = a.handle(a.alloc(1));
///         b.get(handle);
///     })
/// });
/// ```
pub struct Handle<'brand, T> {
    rel: Rel<T>,
    /// Neither longer nor shorter: exactly this lifetime.
    brand: PhantomData<fn(&'brand ()) -> &'brand ()>,
}

impl<T> Handle<'_, T> {
    pub(super) fn new(rel: Rel<T>) -> Self {
        Handle { rel, brand: PhantomData }
    }

    /// The pointer without the brand.
    #[inline]
    pub fn rel(self) -> Rel<T> {
        self.rel
    }
}

/// A slice in an arena, in 8 bytes instead of 16: a [`Handle`] of its first value and a length.
///
/// ```
/// let mut arena = highwater::Arena::new();
/// arena.scoped_branded(|b| {
///     let word = b.str_handle(b.alloc_str("half"));
///     assert_eq!(size_of_val(&word), 8);
///     assert_eq!(b.str(word), "half");
/// });
/// ```
pub struct SliceHandle<'brand, T> {
    first: Handle<'brand, T>,
    len: u32,
}

impl<'brand, T> SliceHandle<'brand, T> {
    pub(super) fn new(first: Handle<'brand, T>, len: u32) -> Self {
        SliceHandle { first, len }
    }

    #[inline]
    pub(super) fn first(self) -> Rel<T> {
        self.first.rel
    }

    /// The slice of no values.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// arena.scoped_branded(|b| {
    ///     let mut children = highwater::SliceHandle::<u32>::empty();
    ///     assert!(b.slice(children).is_empty());
    ///     children = b.slice_handle(b.alloc_slice_copy(&[1, 2]));
    ///     assert_eq!(children.len(), 2);
    /// });
    /// ```
    pub const fn empty() -> Self {
        let rel = Rel { scaled: NonZeroU32::MIN, to: PhantomData };
        SliceHandle { first: Handle { rel, brand: PhantomData }, len: 0 }
    }

    /// The handle of the value at `index`, if there is one.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// arena.scoped_branded(|b| {
    ///     let primes = b.slice_handle(b.alloc_slice_copy(&[2, 3, 5]));
    ///     assert_eq!(b.get(primes.get(2).unwrap()), &5);
    ///     assert!(primes.get(3).is_none());
    /// });
    /// ```
    #[inline]
    pub fn get(self, index: usize) -> Option<Handle<'brand, T>> {
        let index = u32::try_from(index).ok().filter(|&index| index < self.len)?;
        // What a value's size is a multiple of is its alignment, and so of the scale.
        let scaled = if size_of::<T>() == 0 {
            0
        } else {
            (size_of::<T>() / scale_of::<T>()).checked_mul(index as usize)?
        };
        let scaled = self.first.rel.scaled.get().checked_add(u32::try_from(scaled).ok()?)?;
        Some(Handle::new(Rel { scaled: NonZeroU32::new(scaled)?, to: PhantomData }))
    }

    /// How many values.
    #[inline]
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// The slice of no values.
impl<T> Default for SliceHandle<'_, T> {
    fn default() -> Self {
        Self::empty()
    }
}

/// A string in an arena, in 8 bytes instead of 16: see [`SliceHandle`].
///
/// ```
/// use highwater::{Arena, StrHandle};
///
/// struct Word<'b> {
///     text: StrHandle<'b>,
///     count: u32,
/// }
/// assert_eq!(size_of::<Word>(), 12);
/// Arena::new().scoped_branded(|b| {
///     let word = Word { text: b.str_handle(b.alloc_str("the")), count: 1 };
///     assert_eq!((b.str(word.text), word.count), ("the", 1));
/// });
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StrHandle<'brand> {
    bytes: SliceHandle<'brand, u8>,
}

impl<'brand> StrHandle<'brand> {
    pub(super) fn new(bytes: SliceHandle<'brand, u8>) -> Self {
        StrHandle { bytes }
    }

    /// The empty string.
    pub const fn empty() -> Self {
        StrHandle { bytes: SliceHandle::empty() }
    }

    /// The handle of the bytes.
    #[inline]
    pub fn bytes(self) -> SliceHandle<'brand, u8> {
        self.bytes
    }

    /// The length in bytes.
    #[inline]
    pub fn len(self) -> usize {
        self.bytes.len()
    }

    /// Whether the string is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }
}

/// Both kinds, and slices, are numbers: copied, compared and hashed as such, whatever `T` is.
macro_rules! number {
    ($name:ident<$($life:lifetime,)? T>, $number:expr) => {
        impl<$($life,)? T> Clone for $name<$($life,)? T> {
            #[inline]
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($life,)? T> Copy for $name<$($life,)? T> {}

        /// Equal when they point to the same place.
        impl<$($life,)? T> PartialEq for $name<$($life,)? T> {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                $number(self) == $number(other)
            }
        }

        impl<$($life,)? T> Eq for $name<$($life,)? T> {}

        impl<$($life,)? T> PartialOrd for $name<$($life,)? T> {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        /// In the order of addresses.
        impl<$($life,)? T> Ord for $name<$($life,)? T> {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                $number(self).cmp(&$number(other))
            }
        }

        impl<$($life,)? T> Hash for $name<$($life,)? T> {
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                $number(self).hash(state);
            }
        }

        impl<$($life,)? T> fmt::Debug for $name<$($life,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&$number(self)).finish()
            }
        }
    };
}

number!(Rel<T>, |rel: &Rel<T>| rel.scaled.get() - 1);
number!(Handle<'brand, T>, |handle: &Handle<'brand, T>| handle.rel.scaled.get() - 1);
number!(SliceHandle<'brand, T>, |slice: &SliceHandle<'brand, T>| (
    slice.first.rel.scaled.get() - 1,
    slice.len
));
