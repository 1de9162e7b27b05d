//! [`ArenaBox`]: a value in an arena that is dropped.

use core::borrow::{Borrow, BorrowMut};
use core::cmp::Ordering;
use core::fmt;
use core::future::Future;
use core::hash::{Hash, Hasher};
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll};

/// A value in an arena, owned: it is dropped when the box is. Its memory is freed with the arena.
///
/// Made by `alloc_box` and `alloc_box_iter` of an arena, a scope, or a shared arena; it drops the value as
/// a `Box` does, and does not call `free`. [`leak`](ArenaBox::leak) makes it what `alloc` would have returned.
///
/// There is no safe `Pin<ArenaBox<T>>` for values that need to be pinned: a box can be forgotten, and the arena reset,
/// and then the value's memory is used again without its destructor having run, which is what `Pin` promises not to
/// happen. For `T: Unpin`, `Pin::new` does.
///
/// ```
/// use highwater::{Arena, ArenaBox, arena_box};
///
/// let arena = Arena::new();
/// let mut text = arena.alloc_box(String::from("dropped"));
/// text.push('!');
/// let shown: ArenaBox<'_, dyn std::fmt::Display> = arena_box!(text => dyn std::fmt::Display);
/// assert_eq!(shown.to_string(), "dropped!");
/// ```
#[must_use = "the value is dropped with the box"]
pub struct ArenaBox<'a, T: ?Sized> {
    value: NonNull<T>,
    owner: PhantomData<(&'a (), T)>,
}

// SAFETY: a box is the only way to its value, as a value of type `T` would be.
unsafe impl<T: ?Sized + Send> Send for ArenaBox<'_, T> {}
// SAFETY: a shared box gives out shared references to the value only, and `T` is `Sync`.
unsafe impl<T: ?Sized + Sync> Sync for ArenaBox<'_, T> {}
/// Moving the box does not move the value.
impl<T: ?Sized> Unpin for ArenaBox<'_, T> {}

impl<'a, T: ?Sized> ArenaBox<'a, T> {
    /// The box of a value that has no other owner.
    ///
    /// # Safety
    /// The pointer is to an initialised value that lives for `'a` unless it is dropped, and that nothing else refers to
    /// or drops. (`alloc`'s `&mut T` is such a value until it is used again.)
    ///
    /// ```
    /// use highwater::{Arena, ArenaBox};
    ///
    /// let arena = Arena::new();
    /// let text = arena.alloc(String::from("dropped"));
    /// // SAFETY: the string is not used again but by the box.
    /// let text = unsafe { ArenaBox::from_raw(text) };
    /// assert_eq!(*text, "dropped");
    /// ```
    pub unsafe fn from_raw(value: *mut T) -> Self {
        // SAFETY: a pointer to a value is not null.
        ArenaBox { value: unsafe { NonNull::new_unchecked(value) }, owner: PhantomData }
    }

    /// The value, which is no longer dropped, unless [`from_raw`](ArenaBox::from_raw) makes a box of it again.
    ///
    /// ```
    /// use highwater::{Arena, ArenaBox};
    ///
    /// let arena = Arena::new();
    /// let raw = arena.alloc_box(String::from("kept")).into_raw();
    /// // SAFETY: `raw` is of `into_raw`, and of one box only.
    /// assert_eq!(*unsafe { ArenaBox::from_raw(raw) }, "kept");
    /// ```
    #[must_use = "the value is not dropped"]
    pub fn into_raw(self) -> *mut T {
        ManuallyDrop::new(self).value.as_ptr()
    }

    /// The value as a reference that lives as long as the arena is borrowed. It is not dropped.
    ///
    /// ```
    /// let arena = highwater::Arena::new();
    /// let numbers = arena.alloc_box_iter(0..3).leak();
    /// numbers[0] = 7;
    /// assert_eq!(numbers, [7, 1, 2]);
    /// ```
    pub fn leak(self) -> &'a mut T {
        // SAFETY: the value lives for `'a`, the box was its only owner, and it is gone.
        unsafe { &mut *self.into_raw() }
    }

    /// The same as [`leak`](ArenaBox::leak).
    pub fn into_ref(self) -> &'a mut T {
        self.leak()
    }

    /// What [`arena_box!`](crate::arena_box) stands on: the same value, seen as another type.
    ///
    /// # Safety
    /// `unsized_value` is the box's own pointer after an unsizing coercion.
    #[doc(hidden)]
    pub unsafe fn seen_as<U: ?Sized>(self, unsized_value: *mut U) -> ArenaBox<'a, U> {
        let _ = self.into_raw();
        // SAFETY: `unsized_value` is this box's own pointer (required by this function's contract), and the box gave it up.
        unsafe { ArenaBox::from_raw(unsized_value) }
    }

    /// (Not a method, which would hide the value's own.)
    #[doc(hidden)]
    pub fn as_mut_ptr(this: &mut Self) -> *mut T {
        this.value.as_ptr()
    }
}

/// Turns an [`ArenaBox`] of a value into one of a type that the value can be seen as: a trait object or a slice.
/// (`Box` does so by itself, with a trait that is not stable.)
///
/// ```
/// use highwater::{Arena, arena_box};
///
/// let arena = Arena::new();
/// let bytes = arena_box!(arena.alloc_box([1u8, 2, 3]) => [u8]);
/// assert_eq!(bytes.len(), 3);
/// let call = arena_box!(arena.alloc_box(|x: u32| x + 1) => dyn Fn(u32) -> u32);
/// assert_eq!(call(1), 2);
/// ```
#[macro_export]
macro_rules! arena_box {
    ($boxed:expr => $type:ty) => {{
        let mut boxed = $boxed;
        // A raw pointer coerces to one of the same value only: it is not followed, as a reference would be.
        let value = $crate::ArenaBox::as_mut_ptr(&mut boxed);
        let value: *mut $type = value;
        #[allow(clippy::undocumented_unsafe_blocks)]
        // SAFETY: the pointer is the box's, unsized.
        unsafe {
            $crate::ArenaBox::seen_as::<$type>(boxed, value)
        }
    }};
}

impl<'a, T> ArenaBox<'a, T> {
    /// The value, moved out of the arena.
    ///
    /// ```
    /// let arena = highwater::Arena::new();
    /// let text: String = arena.alloc_box(String::from("moved")).into_inner();
    /// drop(arena);
    /// assert_eq!(text, "moved");
    /// ```
    pub fn into_inner(self) -> T {
        // SAFETY: the value is initialised, and the box that would drop it is gone.
        unsafe { self.into_raw().read() }
    }
}

impl<'a, T, const N: usize> ArenaBox<'a, [T; N]> {
    /// The array as a slice.
    ///
    /// ```
    /// let arena = highwater::Arena::new();
    /// assert_eq!(arena.alloc_box([1, 2]).into_slice().len(), 2);
    /// ```
    pub fn into_slice(self) -> ArenaBox<'a, [T]> {
        arena_box!(self => [T])
    }
}

impl<T: ?Sized> Drop for ArenaBox<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the box owns the value, and is gone afterwards.
        unsafe { self.value.drop_in_place() }
    }
}

impl<T: ?Sized> Deref for ArenaBox<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is initialised and the box owns it.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for ArenaBox<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is initialised, the box owns it, and the box is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized> AsRef<T> for ArenaBox<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized> AsMut<T> for ArenaBox<'_, T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: ?Sized> Borrow<T> for ArenaBox<'_, T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: ?Sized> BorrowMut<T> for ArenaBox<'_, T> {
    fn borrow_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ArenaBox<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ArenaBox<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized> fmt::Pointer for ArenaBox<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: ?Sized + PartialEq> PartialEq for ArenaBox<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ?Sized + Eq> Eq for ArenaBox<'_, T> {}

impl<T: ?Sized + PartialOrd> PartialOrd for ArenaBox<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: ?Sized + Ord> Ord for ArenaBox<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: ?Sized + Hash> Hash for ArenaBox<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<I: ?Sized + Iterator> Iterator for ArenaBox<'_, I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        (**self).next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (**self).size_hint()
    }

    fn nth(&mut self, n: usize) -> Option<I::Item> {
        (**self).nth(n)
    }
}

impl<I: ?Sized + DoubleEndedIterator> DoubleEndedIterator for ArenaBox<'_, I> {
    fn next_back(&mut self) -> Option<I::Item> {
        (**self).next_back()
    }
}

impl<I: ?Sized + ExactSizeIterator> ExactSizeIterator for ArenaBox<'_, I> {
    fn len(&self) -> usize {
        (**self).len()
    }
}

impl<I: ?Sized + FusedIterator> FusedIterator for ArenaBox<'_, I> {}

impl<'b, T> IntoIterator for &'b ArenaBox<'_, [T]> {
    type Item = &'b T;
    type IntoIter = core::slice::Iter<'b, T>;

    fn into_iter(self) -> core::slice::Iter<'b, T> {
        self.iter()
    }
}

impl<F: ?Sized + Future + Unpin> Future for ArenaBox<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        Pin::new(&mut **self).poll(context)
    }
}

impl<E: ?Sized + core::error::Error> core::error::Error for ArenaBox<'_, E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        (**self).source()
    }
}
