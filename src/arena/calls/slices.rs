//! The allocation calls for slices.

macro_rules! slice_calls {
    ($life:lifetime) => {
        /// A slice of everything an iterator yields, however much that is, built in place. The iterator may
        /// allocate from the same memory; the slice then moves when it grows.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does, and when the iterator does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let odd = arena.alloc_iter((0..10).filter(|n| n % 2 == 1));
        /// assert_eq!(odd, [1, 3, 5, 7, 9]);
        /// ```
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_iter<T>(&self, iter: impl IntoIterator<Item = T>) -> &$life mut [T] {
            let value = always(body::iter::<Panicking, T, _>(&self.cursor, iter));
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            unsafe { &mut *value }
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
            let value = body::iter::<Fallible, T, _>(&self.cursor, iter)?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
        }

        /// A copy of a slice.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_slice_copy(&[1, 2, 3]), [1, 2, 3]);
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_copy<T: Copy>(&self, source: &[T]) -> &$life mut [T] {
            let value = always(body::copy::<Panicking, T, _>(&self.cursor, source));
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            unsafe { &mut *value }
        }

        /// [`alloc_slice_copy`](Self::alloc_slice_copy) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_slice_copy<T: Copy>(&self, source: &[T]) -> Result<&$life mut [T], OutOfMemory> {
            let value = body::copy::<Fallible, T, _>(&self.cursor, source)?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
        }

        /// A slice of clones of another's values.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does, and when `clone` does.
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
        /// Where [`alloc`](Self::alloc) does, for more than `isize::MAX` bytes, and when the closure does; what it
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
            let value = always(body::fill::<Panicking, T, _>(&self.cursor, len, f));
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            unsafe { &mut *value }
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
            let value = body::fill::<Fallible, T, _>(&self.cursor, len, f)?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
        }

        /// A slice of values that may fail to be made. The first error ends it, with the rule of
        /// [`alloc_try_with`](Self::alloc_try_with); values made before are not dropped.
        ///
        /// # Errors
        /// The closure's.
        ///
        /// # Panics
        /// Where [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) does.
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
            let value = always(body::try_fill::<Panicking, T, E, _>(&self.cursor, len, f))?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
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
            let value = body::try_fill::<Fallible, T, E, _>(&self.cursor, len, f)?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            value.map(|value| unsafe { &mut *value }).map_err(AllocOrInitError::Init)
        }

        /// A slice of `len` copies of a value.
        ///
        /// # Panics
        /// Where [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) does.
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
        /// Where [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) does.
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
        /// Where [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) does.
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
        /// Where [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) does, and when the iterator yields fewer values
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
            let value = always(body::fill_iter::<Panicking, T, _>(&self.cursor, iter.into_iter()));
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            unsafe { &mut *value }
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
            let value = body::fill_iter::<Fallible, T, _>(&self.cursor, iter.into_iter())?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
        }

        /// A slice of what an iterator of known length yields, up to its first error.
        ///
        /// # Errors
        /// The iterator's first, with the rule of [`alloc_try_with`](Self::alloc_try_with).
        ///
        /// # Panics
        /// Where [`alloc_slice_fill_iter`](Self::alloc_slice_fill_iter) does.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_slice_try_fill_iter<T, I, E>(&self, iter: I) -> Result<&$life mut [T], E>
        where
            I: IntoIterator<Item = Result<T, E>>,
            I::IntoIter: ExactSizeIterator,
        {
            let value = always(body::try_fill_iter::<Panicking, T, E, _>(&self.cursor, iter.into_iter()))?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
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
            let value = body::try_fill_iter::<Fallible, T, E, _>(&self.cursor, iter.into_iter())?;
            // SAFETY: a fresh block of initialised values that no other pointer refers to, live for `$life`.
            value.map(|value| unsafe { &mut *value }).map_err(AllocOrInitError::Init)
        }
    };
}
