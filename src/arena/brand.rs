//! [`Branded`]: a scope with a lifetime that nothing else has.

use super::arena_type::Arena;
use super::handle::{Handle, Rel, SliceHandle, StrHandle};
use super::scope::Scope;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr;

/// A [`Scope`] whose allocations can be pointed to with 32-bit [`Handle`]s. It exists inside of
/// [`scoped_branded`](Arena::scoped_branded), and allocates as a scope does.
///
/// A handle is made of a `&'brand T`, which is good for all of the brand's life, and can only be followed where that
/// brand is. The brand is an invariant lifetime of one call, so no other arena, and no later call, has the same.
/// (The idea is that of the crates `indexing` and `ghost-cell`.) Values with handles are shared: they are changed
/// through `Cell`s or atomics.
///
/// ```
/// let mut arena = highwater::Arena::new();
/// arena.scoped_branded(|b| {
///     let name = b.alloc_str("n1");
///     let handle = b.str_handle(name);
///     assert_eq!(b.str(handle), "n1");
/// });
/// ```
pub struct Branded<'brand, const MIN_ALIGN: usize = 8, const CHECKED: bool = false> {
    scope: Scope<'brand, MIN_ALIGN, CHECKED>,
    base: *mut u8,
    len: usize,
    brand: PhantomData<fn(&'brand ()) -> &'brand ()>,
}

impl<'brand, const MIN_ALIGN: usize, const CHECKED: bool> Branded<'brand, MIN_ALIGN, CHECKED> {
    /// The brand is the caller's to make up: a lifetime that a closure has to accept whatever it is.
    fn new(scope: Scope<'brand, MIN_ALIGN, CHECKED>) -> Self {
        let (base, len) = scope.span();
        Branded { scope, base, len, brand: PhantomData }
    }

    /// The handle of a value in the arena. Give it what `alloc` returned, or a part of that.
    ///
    /// # Panics
    /// When the value is not in this arena, or too far from its beginning (4 GiB times the alignment of `T`).
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// arena.scoped_branded(|b| {
    ///     let handle = b.handle(b.alloc(5u32));
    ///     assert_eq!(b.get(handle), &5);
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn handle<T>(&self, value: &'brand T) -> Handle<'brand, T> {
        match self.try_handle(value) {
            Some(handle) => handle,
            None => out_of_reach(),
        }
    }

    /// [`handle`](Self::handle), or `None` for a value that is elsewhere or too far in.
    #[inline]
    pub fn try_handle<T>(&self, value: &'brand T) -> Option<Handle<'brand, T>> {
        Rel::new(self.base, self.len, value).map(Handle::new)
    }

    /// The value that a handle was made of.
    #[inline]
    pub fn get<T>(&self, handle: Handle<'brand, T>) -> &'brand T {
        // SAFETY: only this brand's scope makes handles of this brand, and it made this one of a `&'brand T` that lies
        // in its region, whose provenance was exposed then. (For a type without a size any aligned place will do.)
        unsafe { &*handle.rel().pointer(self.base) }
    }

    /// The handle of a slice in the arena.
    ///
    /// # Panics
    /// Where [`handle`](Self::handle) does, and for more than `u32::MAX` values.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// arena.scoped_branded(|b| {
    ///     let handle = b.slice_handle(b.alloc_slice_copy(&[1, 2]));
    ///     assert_eq!(b.slice(handle), [1, 2]);
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn slice_handle<T>(&self, values: &'brand [T]) -> SliceHandle<'brand, T> {
        match self.try_slice_handle(values) {
            Some(handle) => handle,
            None => out_of_reach(),
        }
    }

    /// [`slice_handle`](Self::slice_handle), or `None` for a slice that is elsewhere, too long, or too far in. The empty
    /// slice may be anywhere.
    #[inline]
    pub fn try_slice_handle<T>(&self, values: &'brand [T]) -> Option<SliceHandle<'brand, T>> {
        let len = u32::try_from(values.len()).ok()?;
        let first = if values.is_empty() { self.base.cast_const().cast() } else { values.as_ptr() };
        Some(SliceHandle::new(Handle::new(Rel::new(self.base, self.len, first)?), len))
    }

    /// The slice that a handle was made of.
    #[inline]
    pub fn slice<T>(&self, handle: SliceHandle<'brand, T>) -> &'brand [T] {
        if handle.is_empty() {
            return &[];
        }
        // SAFETY: only this brand's scope makes handles of this brand, and it made this one of a `&'brand [T]` of that length in
        // its region, whose provenance was exposed then.
        unsafe { &*ptr::slice_from_raw_parts(handle.first().pointer(self.base), handle.len()) }
    }

    /// The handle of a string in the arena: a slice handle of its bytes.
    ///
    /// # Panics
    /// Where [`slice_handle`](Self::slice_handle) does.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// arena.scoped_branded(|b| {
    ///     let handle = b.str_handle(b.alloc_str("half"));
    ///     assert_eq!((b.str(handle), handle.len()), ("half", 4));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn str_handle(&self, text: &'brand str) -> StrHandle<'brand> {
        StrHandle::new(self.slice_handle(text.as_bytes()))
    }

    /// [`str_handle`](Self::str_handle), or `None` for a string that is elsewhere, too long, or beyond the first 4 GiB.
    #[inline]
    pub fn try_str_handle(&self, text: &'brand str) -> Option<StrHandle<'brand>> {
        self.try_slice_handle(text.as_bytes()).map(StrHandle::new)
    }

    /// The string that a handle was made of.
    #[inline]
    pub fn str(&self, handle: StrHandle<'brand>) -> &'brand str {
        // SAFETY: the bytes were a string when the handle was made, and have been shared since.
        unsafe { core::str::from_utf8_unchecked(self.slice(handle.bytes())) }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn out_of_reach() -> ! {
    panic!("highwater: a handle of something that is not in the arena, or out of its reach")
}

/// Shared only: a child scope, which would take `&mut`, gives its memory up before the brand ends.
impl<'brand, const MIN_ALIGN: usize, const CHECKED: bool> Deref for Branded<'brand, MIN_ALIGN, CHECKED> {
    type Target = Scope<'brand, MIN_ALIGN, CHECKED>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.scope
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> fmt::Debug for Branded<'_, MIN_ALIGN, CHECKED> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Branded").field(&self.scope).finish()
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Arena<MIN_ALIGN, CHECKED> {
    /// Runs a closure with a scope of its own whose allocations can have 32-bit [`Handle`]s. No handle can leave
    /// the closure.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let total: u64 = arena.scoped_branded(|b| {
    ///     let handles = b.alloc_iter((0..1000u64).map(|n| b.handle(b.alloc(n))));
    ///     handles.iter().map(|&handle| b.get(handle)).sum()
    /// });
    /// assert_eq!(total, 499_500);
    /// ```
    ///
    /// A handle does not outlive it:
    ///
    /// ```compile_fail
    /// let mut arena = highwater::Arena::new();
    /// let escaped = arena.scoped_branded(|b| b.handle(b.alloc(1)));
    /// ```
    pub fn scoped_branded<R>(
        &mut self,
        f: impl for<'brand> FnOnce(Branded<'brand, MIN_ALIGN, CHECKED>) -> R,
    ) -> R {
        f(Branded::new(self.scope()))
    }

    /// The 32-bit pointer to a value in this arena; `None` if it is elsewhere or too far in. See [`Rel`].
    ///
    /// ```
    /// let arena = highwater::Arena::new();
    /// let rel = arena.rel(arena.alloc(7u64)).unwrap();
    /// // SAFETY: the value is still allocated, and nothing changes it.
    /// assert_eq!(unsafe { arena.resolve(rel) }, &7);
    /// assert!(arena.rel(&7u64).is_none());
    /// ```
    pub fn rel<T>(&self, value: &T) -> Option<Rel<T>> {
        Rel::new(self.region().as_ptr(), self.region().span(), value)
    }

    /// The value that a 32-bit pointer points to.
    ///
    /// # Safety
    /// The pointer was made by this arena of a value that is still allocated, and that is not changed while
    /// the reference lives.
    #[inline]
    pub unsafe fn resolve<T>(&self, rel: Rel<T>) -> &T {
        // SAFETY: the pointer is to a live value of this arena that does not change: required by this function's contract.
        unsafe { &*rel.pointer(self.region().as_ptr()) }
    }
}

impl<const MIN_ALIGN: usize, const CHECKED: bool> Scope<'_, MIN_ALIGN, CHECKED> {
    /// Runs a closure with a child scope whose allocations can have 32-bit [`Handle`]s; see
    /// [`Arena::scoped_branded`].
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let mut root = arena.scope();
    /// let kept = root.alloc(1);
    /// let sum = root.scoped_branded(|b| *b.get(b.handle(b.alloc(2))) + *kept);
    /// assert_eq!(sum, 3);
    /// ```
    pub fn scoped_branded<R>(
        &mut self,
        f: impl for<'brand> FnOnce(Branded<'brand, MIN_ALIGN, CHECKED>) -> R,
    ) -> R {
        f(Branded::new(self.scope()))
    }
}
