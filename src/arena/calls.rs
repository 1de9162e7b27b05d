//! The allocation calls of arenas and scopes.
//!
//! `calls!("type", 'lifetime)` writes them once for each. They are thin: what a call does is said by
//! [`ErrorMode`](super::source::ErrorMode) (diverge or return an error) and by the functions of `body`.

/// Writes the allocation calls into an `impl` block of a type with a field `cursor`, which is a
/// [`BlockSource`](super::source::BlockSource).
macro_rules! calls {
    ($what:literal, $life:lifetime) => {
        /// Moves a value to the top and returns a reference to it.
        ///
        /// One compare stands between you and the memory; when the value does not fit below the limit the call
        /// diverges. The value is not dropped.
        ///
        /// # Panics
        #[doc = concat!("When the ", $what, "'s limit or the reservation ends before the value does.")]
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let x = arena.alloc(41);
        /// *x += 1;
        /// assert_eq!(*x, 42);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc<T>(&self, value: T) -> &$life mut T {
            let place = always(body::value::<Panicking, T, _>(&self.cursor, value));
            // SAFETY: a fresh, initialised value that nothing else refers to.
            unsafe { &mut *place }
        }

        /// [`alloc`](Self::alloc) that returns the error. The memory is committed before it is written.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none; nothing changed then.
        ///
        /// ```
        /// let arena = highwater::Arena::builder().limit(16).build();
        /// assert_eq!(arena.try_alloc(5u64).as_deref(), Ok(&5));
        /// assert!(arena.try_alloc([0u64; 2]).is_err());
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc<T>(&self, value: T) -> Result<&$life mut T, OutOfMemory> {
            let place = body::value::<Fallible, T, _>(&self.cursor, value)?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// Makes a value at its place at the top. Large values need not pass over the stack this way. The
        /// closure may allocate from the same memory.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc), and whenever the closure does: the space is taken back then, unless the
        /// closure allocated after it. (So it is in all calls that make values by a closure, an iterator or `Clone`.)
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let table = arena.alloc_with(|| [7u8; 1 << 12]);
        /// assert_eq!(table[4095], 7);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_with<F: FnOnce() -> T, T>(&self, f: F) -> &$life mut T {
            let place = always(body::with::<Panicking, T, _>(&self.cursor, f));
            // SAFETY: as in `alloc`.
            unsafe { &mut *place }
        }

        /// [`alloc_with`](Self::alloc_with) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none; the closure was not called then.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_with<F: FnOnce() -> T, T>(&self, f: F) -> Result<&$life mut T, OutOfMemory> {
            let place = body::with::<Fallible, T, _>(&self.cursor, f)?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// Makes a value that may fail to be made. On an error the space is taken back, unless the closure
        /// allocated: then the error may borrow from what it allocated, and everything stays.
        ///
        /// # Errors
        /// The closure's.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc), and whenever the closure does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let number = arena.alloc_try_with(|| "12".parse::<u32>())?;
        /// assert_eq!(*number, 12);
        /// assert!(arena.alloc_try_with(|| "x".parse::<u32>()).is_err());
        /// # Ok::<(), std::num::ParseIntError>(())
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_try_with<F: FnOnce() -> Result<T, E>, T, E>(&self, f: F) -> Result<&$life mut T, E> {
            let place = always(body::try_with::<Panicking, T, E, _>(&self.cursor, f))?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// [`alloc_try_with`](Self::alloc_try_with) that returns either error.
        ///
        /// # Errors
        /// [`AllocOrInitError::Alloc`] when there is no memory, [`AllocOrInitError::Init`] with the closure's.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_try_with<F: FnOnce() -> Result<T, E>, T, E>(
            &self,
            f: F,
        ) -> Result<&$life mut T, AllocOrInitError<E>> {
            let place = body::try_with::<Fallible, T, E, _>(&self.cursor, f)?;
            // SAFETY: as in `alloc`.
            place.map(|place| unsafe { &mut *place }).map_err(AllocOrInitError::Init)
        }

        /// Memory for a layout, uninitialised and committed, so that it may be handed to the kernel. For a
        /// layout without a size the pointer is aligned and points to nothing.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc), and when the system refuses to commit.
        ///
        /// ```
        /// use std::alloc::Layout;
        /// let arena = highwater::Arena::new();
        /// let block = arena.alloc_layout(Layout::from_size_align(100, 4096)?);
        /// assert!(block.addr().get() % 4096 == 0);
        /// # Ok::<(), std::alloc::LayoutError>(())
        /// ```
        #[inline(always)]
        #[track_caller]
        pub fn alloc_layout(&self, layout: Layout) -> NonNull<u8> {
            always(body::layout::<Panicking, _>(&self.cursor, layout))
        }

        /// [`alloc_layout`](Self::alloc_layout) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[track_caller]
        pub fn try_alloc_layout(&self, layout: Layout) -> Result<NonNull<u8>, OutOfMemory> {
            body::layout::<Fallible, _>(&self.cursor, layout)
        }

        /// Memory for a `T`, uninitialised and committed, so that it may be handed to the kernel.
        ///
        /// # Panics
        /// As [`alloc_layout`](Self::alloc_layout).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let x = arena.alloc_uninit::<u64>().write(9);
        /// assert_eq!(*x, 9);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_uninit<T>(&self) -> &$life mut MaybeUninit<T> {
            let place = always(body::uninit::<Panicking, T, _>(&self.cursor));
            // SAFETY: as in `alloc`; anything is a valid `MaybeUninit`.
            unsafe { &mut *place }
        }

        /// [`alloc_uninit`](Self::alloc_uninit) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_uninit<T>(&self) -> Result<&$life mut MaybeUninit<T>, OutOfMemory> {
            let place = body::uninit::<Fallible, T, _>(&self.cursor)?;
            // SAFETY: as in `alloc_uninit`.
            Ok(unsafe { &mut *place })
        }

        /// Memory for `len` values, uninitialised and committed, so that it may be handed to the kernel: a
        /// `read(2)` into memory that is not committed fails with EFAULT, and a datagram is lost.
        ///
        /// # Panics
        /// As [`alloc_layout`](Self::alloc_layout), and for more than `isize::MAX` bytes.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let buffer = arena.alloc_uninit_slice::<u8>(1 << 20);
        /// assert_eq!(buffer.len(), 1 << 20);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_uninit_slice<T>(&self, len: usize) -> &$life mut [MaybeUninit<T>] {
            let place = always(body::uninit_slice::<Panicking, T, _>(&self.cursor, len));
            // SAFETY: as in `alloc_uninit`.
            unsafe { &mut *place }
        }

        /// [`alloc_uninit_slice`](Self::alloc_uninit_slice) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none, or for more than `isize::MAX` bytes.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_uninit_slice<T>(
            &self,
            len: usize,
        ) -> Result<&$life mut [MaybeUninit<T>], OutOfMemory> {
            let place = body::uninit_slice::<Fallible, T, _>(&self.cursor, len)?;
            // SAFETY: as in `alloc_uninit`.
            Ok(unsafe { &mut *place })
        }

        /// A copy of a string.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_str("held"), "held");
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_str(&self, source: &str) -> &$life mut str {
            let place = always(body::copy::<Panicking, u8, _>(&self.cursor, source.as_bytes()));
            // SAFETY: as in `alloc`; the bytes are a string's.
            unsafe { core::str::from_utf8_unchecked_mut(&mut *place) }
        }

        /// [`alloc_str`](Self::alloc_str) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_str(&self, source: &str) -> Result<&$life mut str, OutOfMemory> {
            let place = body::copy::<Fallible, u8, _>(&self.cursor, source.as_bytes())?;
            // SAFETY: as in `alloc_str`.
            Ok(unsafe { core::str::from_utf8_unchecked_mut(&mut *place) })
        }

        /// Formats into the memory, in place.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc), and when a `Display` implementation fails.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_fmt(format_args!("{}-{:03}", "a", 7)), "a-007");
        /// ```
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_fmt(&self, arguments: fmt::Arguments<'_>) -> &$life mut str {
            let place = always(body::format::<Panicking, _>(&self.cursor, arguments));
            // SAFETY: as in `alloc`; what `fmt` writes are strings.
            unsafe { core::str::from_utf8_unchecked_mut(&mut *place) }
        }

        /// [`alloc_fmt`](Self::alloc_fmt) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        ///
        /// # Panics
        /// When a `Display` implementation fails.
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_fmt(&self, arguments: fmt::Arguments<'_>) -> Result<&$life mut str, OutOfMemory> {
            let place = body::format::<Fallible, _>(&self.cursor, arguments)?;
            // SAFETY: as in `alloc_fmt`.
            Ok(unsafe { core::str::from_utf8_unchecked_mut(&mut *place) })
        }

        /// A copy of a C string, its terminating zero included.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_cstr(c"name"), c"name");
        /// ```
        #[track_caller]
        pub fn alloc_cstr(&self, source: &CStr) -> &$life CStr {
            let place = always(body::c_str::<Panicking, _>(&self.cursor, source));
            // SAFETY: as in `alloc`; the bytes are a C string's.
            unsafe { &*place }
        }

        /// [`alloc_cstr`](Self::alloc_cstr) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[track_caller]
        pub fn try_alloc_cstr(&self, source: &CStr) -> Result<&$life CStr, OutOfMemory> {
            let place = body::c_str::<Fallible, _>(&self.cursor, source)?;
            // SAFETY: as in `alloc_cstr`.
            Ok(unsafe { &*place })
        }

        /// A slice of everything an iterator yields, however much that is, built in place. The iterator may
        /// allocate from the same memory; the slice then moves when it grows.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc), and whenever the iterator does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let odd = arena.alloc_iter((0..10).filter(|n| n % 2 == 1));
        /// assert_eq!(odd, [1, 3, 5, 7, 9]);
        /// ```
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_iter<T>(&self, iter: impl IntoIterator<Item = T>) -> &$life mut [T] {
            let place = always(body::iter::<Panicking, T, _>(&self.cursor, iter));
            // SAFETY: as in `alloc`.
            unsafe { &mut *place }
        }

        /// [`alloc_iter`](Self::alloc_iter) that returns the error; what the iterator yielded until then is
        /// not dropped.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_iter<T>(
            &self,
            iter: impl IntoIterator<Item = T>,
        ) -> Result<&$life mut [T], OutOfMemory> {
            let place = body::iter::<Fallible, T, _>(&self.cursor, iter)?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// A copy of a slice.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_slice_copy(&[1, 2, 3]), [1, 2, 3]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_copy<T: Copy>(&self, source: &[T]) -> &$life mut [T] {
            let place = always(body::copy::<Panicking, T, _>(&self.cursor, source));
            // SAFETY: as in `alloc`.
            unsafe { &mut *place }
        }

        /// [`alloc_slice_copy`](Self::alloc_slice_copy) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_copy<T: Copy>(&self, source: &[T]) -> Result<&$life mut [T], OutOfMemory> {
            let place = body::copy::<Fallible, T, _>(&self.cursor, source)?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// A slice of clones of another's values.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc), and whenever `clone` does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let names = arena.alloc_slice_clone(&["a".to_string(), "b".to_string()]);
        /// assert_eq!(names[1], "b");
        /// # for name in names { unsafe { std::ptr::drop_in_place(name) } }
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_clone<T: Clone>(&self, source: &[T]) -> &$life mut [T] {
            self.alloc_slice_fill_with(source.len(), |i| source[i].clone())
        }

        /// [`alloc_slice_clone`](Self::alloc_slice_clone) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_clone<T: Clone>(&self, source: &[T]) -> Result<&$life mut [T], OutOfMemory> {
            self.try_alloc_slice_fill_with(source.len(), |i| source[i].clone())
        }

        /// A slice of `len` values, each made from its index. The closure may allocate from the same memory.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc), for more than `isize::MAX` bytes, and whenever the closure does; what it
        /// made until then is not dropped, and the space is taken back as by [`alloc_with`](Self::alloc_with).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_slice_fill_with(4, |i| i * i), [0, 1, 4, 9]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_fill_with<T, F: FnMut(usize) -> T>(&self, len: usize, f: F) -> &$life mut [T] {
            let place = always(body::fill::<Panicking, T, _>(&self.cursor, len, f));
            // SAFETY: as in `alloc`.
            unsafe { &mut *place }
        }

        /// [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none; the closure was not called then.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_fill_with<T, F: FnMut(usize) -> T>(
            &self,
            len: usize,
            f: F,
        ) -> Result<&$life mut [T], OutOfMemory> {
            let place = body::fill::<Fallible, T, _>(&self.cursor, len, f)?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// A slice of values that may fail to be made. The first error ends it, with the rule of
        /// [`alloc_try_with`](Self::alloc_try_with); values made before are not dropped.
        ///
        /// # Errors
        /// The closure's.
        ///
        /// # Panics
        /// As [`alloc_slice_fill_with`](Self::alloc_slice_fill_with).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let digits = ["1", "2", "x"];
        /// assert!(arena.alloc_slice_try_fill_with(3, |i| digits[i].parse::<u8>()).is_err());
        /// assert_eq!(arena.alloc_slice_try_fill_with(2, |i| digits[i].parse::<u8>()).unwrap(), [1, 2]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_try_fill_with<T, F: FnMut(usize) -> Result<T, E>, E>(
            &self,
            len: usize,
            f: F,
        ) -> Result<&$life mut [T], E> {
            let place = always(body::try_fill::<Panicking, T, E, _>(&self.cursor, len, f))?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// [`alloc_slice_try_fill_with`](Self::alloc_slice_try_fill_with) that returns either error.
        ///
        /// # Errors
        /// [`AllocOrInitError::Alloc`] when there is no memory, [`AllocOrInitError::Init`] with the closure's.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_try_fill_with<T, F: FnMut(usize) -> Result<T, E>, E>(
            &self,
            len: usize,
            f: F,
        ) -> Result<&$life mut [T], AllocOrInitError<E>> {
            let place = body::try_fill::<Fallible, T, E, _>(&self.cursor, len, f)?;
            // SAFETY: as in `alloc`.
            place.map(|place| unsafe { &mut *place }).map_err(AllocOrInitError::Init)
        }

        /// A slice of `len` copies of a value.
        ///
        /// # Panics
        /// As [`alloc_slice_fill_with`](Self::alloc_slice_fill_with).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_slice_fill_copy(3, 'x'), ['x'; 3]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_fill_copy<T: Copy>(&self, len: usize, value: T) -> &$life mut [T] {
            self.alloc_slice_fill_with(len, |_| value)
        }

        /// [`alloc_slice_fill_copy`](Self::alloc_slice_fill_copy) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_fill_copy<T: Copy>(
            &self,
            len: usize,
            value: T,
        ) -> Result<&$life mut [T], OutOfMemory> {
            self.try_alloc_slice_fill_with(len, |_| value)
        }

        /// A slice of `len` clones of a value.
        ///
        /// # Panics
        /// As [`alloc_slice_fill_with`](Self::alloc_slice_fill_with).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_slice_fill_clone(2, &Some(1)), [Some(1), Some(1)]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_fill_clone<T: Clone>(&self, len: usize, value: &T) -> &$life mut [T] {
            self.alloc_slice_fill_with(len, |_| value.clone())
        }

        /// [`alloc_slice_fill_clone`](Self::alloc_slice_fill_clone) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_fill_clone<T: Clone>(
            &self,
            len: usize,
            value: &T,
        ) -> Result<&$life mut [T], OutOfMemory> {
            self.try_alloc_slice_fill_with(len, |_| value.clone())
        }

        /// A slice of `len` default values.
        ///
        /// # Panics
        /// As [`alloc_slice_fill_with`](Self::alloc_slice_fill_with).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_slice_fill_default::<u8>(3), [0; 3]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_fill_default<T: Default>(&self, len: usize) -> &$life mut [T] {
            self.alloc_slice_fill_with(len, |_| T::default())
        }

        /// [`alloc_slice_fill_default`](Self::alloc_slice_fill_default) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_fill_default<T: Default>(
            &self,
            len: usize,
        ) -> Result<&$life mut [T], OutOfMemory> {
            self.try_alloc_slice_fill_with(len, |_| T::default())
        }

        /// A slice of what an iterator of known length yields.
        ///
        /// # Panics
        /// As [`alloc_slice_fill_with`](Self::alloc_slice_fill_with), and when the iterator yields fewer values
        /// than it said. What it yields beyond that is left in it.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_slice_fill_iter([1, 2].into_iter().map(|n| n * 2)), [2, 4]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_fill_iter<T, I>(&self, iter: I) -> &$life mut [T]
        where
            I: IntoIterator<Item = T>,
            I::IntoIter: ExactSizeIterator,
        {
            let place = always(body::fill_iter::<Panicking, T, _>(&self.cursor, iter.into_iter()));
            // SAFETY: as in `alloc`.
            unsafe { &mut *place }
        }

        /// [`alloc_slice_fill_iter`](Self::alloc_slice_fill_iter) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        ///
        /// # Panics
        /// When the iterator yields fewer values than it said.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_fill_iter<T, I>(&self, iter: I) -> Result<&$life mut [T], OutOfMemory>
        where
            I: IntoIterator<Item = T>,
            I::IntoIter: ExactSizeIterator,
        {
            let place = body::fill_iter::<Fallible, T, _>(&self.cursor, iter.into_iter())?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// A slice of what an iterator of known length yields, up to its first error.
        ///
        /// # Errors
        /// The iterator's first, with the rule of [`alloc_try_with`](Self::alloc_try_with).
        ///
        /// # Panics
        /// As [`alloc_slice_fill_iter`](Self::alloc_slice_fill_iter).
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_try_fill_iter<T, I, E>(&self, iter: I) -> Result<&$life mut [T], E>
        where
            I: IntoIterator<Item = Result<T, E>>,
            I::IntoIter: ExactSizeIterator,
        {
            let place = always(body::try_fill_iter::<Panicking, T, E, _>(&self.cursor, iter.into_iter()))?;
            // SAFETY: as in `alloc`.
            Ok(unsafe { &mut *place })
        }

        /// [`alloc_slice_try_fill_iter`](Self::alloc_slice_try_fill_iter) that returns either error.
        ///
        /// # Errors
        /// [`AllocOrInitError::Alloc`] when there is no memory, [`AllocOrInitError::Init`] with the iterator's.
        ///
        /// # Panics
        /// When the iterator yields fewer values than it said.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_try_fill_iter<T, I, E>(
            &self,
            iter: I,
        ) -> Result<&$life mut [T], AllocOrInitError<E>>
        where
            I: IntoIterator<Item = Result<T, E>>,
            I::IntoIter: ExactSizeIterator,
        {
            let place = body::try_fill_iter::<Fallible, T, E, _>(&self.cursor, iter.into_iter())?;
            // SAFETY: as in `alloc`.
            place.map(|place| unsafe { &mut *place }).map_err(AllocOrInitError::Init)
        }

        /// Moves a value to the top, to be dropped when the box is.
        ///
        /// # Panics
        /// As [`alloc`](Self::alloc).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let name = arena.alloc_box(String::from("dropped"));
        /// assert_eq!(name.len(), 7);
        /// ```
        #[inline(always)]
        #[track_caller]
        pub fn alloc_box<T>(&self, value: T) -> ArenaBox<$life, T> {
            let place = always(body::value::<Panicking, T, _>(&self.cursor, value));
            // SAFETY: a fresh, initialised value that nothing else refers to, for as long as the memory is.
            unsafe { ArenaBox::from_raw(place) }
        }

        /// [`alloc_box`](Self::alloc_box) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none; the value was dropped then.
        #[inline(always)]
        #[track_caller]
        pub fn try_alloc_box<T>(&self, value: T) -> Result<ArenaBox<$life, T>, OutOfMemory> {
            let place = body::value::<Fallible, T, _>(&self.cursor, value)?;
            // SAFETY: as in `alloc_box`.
            Ok(unsafe { ArenaBox::from_raw(place) })
        }

        /// [`alloc_iter`](Self::alloc_iter), to be dropped when the box is. When the iterator panics, what it
        /// yielded until then is not dropped.
        ///
        /// # Panics
        /// As [`alloc_iter`](Self::alloc_iter).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let words = arena.alloc_box_iter("a b".split(' ').map(String::from));
        /// assert_eq!(words.len(), 2);
        /// ```
        #[track_caller]
        pub fn alloc_box_iter<T>(&self, iter: impl IntoIterator<Item = T>) -> ArenaBox<$life, [T]> {
            let place = always(body::iter::<Panicking, T, _>(&self.cursor, iter));
            // SAFETY: as in `alloc_box`.
            unsafe { ArenaBox::from_raw(place) }
        }

        /// [`alloc_box_iter`](Self::alloc_box_iter) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none; what the iterator yielded until then is not dropped.
        #[track_caller]
        pub fn try_alloc_box_iter<T>(
            &self,
            iter: impl IntoIterator<Item = T>,
        ) -> Result<ArenaBox<$life, [T]>, OutOfMemory> {
            let place = body::iter::<Fallible, T, _>(&self.cursor, iter)?;
            // SAFETY: as in `alloc_box`.
            Ok(unsafe { ArenaBox::from_raw(place) })
        }
    };
}
