//! The allocation calls for owned values.

macro_rules! box_calls {
    ($life:lifetime) => {
        /// Moves a value to the top, to be dropped when the box is.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let name = arena.alloc_box(String::from("dropped"));
        /// assert_eq!(name.len(), 7);
        /// ```
        #[inline(always)]
        #[track_caller]
        pub fn alloc_box<T>(&self, value: T) -> ArenaBox<$life, T> {
            let value = always(body::value::<Panicking, T, _>(&self.cursor, value));
            // SAFETY: a fresh block, initialised, live for `$life`, and owned by nothing else.
            unsafe { ArenaBox::from_raw(value) }
        }

        /// [`alloc_box`](Self::alloc_box) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none; the value was dropped then.
        #[inline(always)]
        #[track_caller]
        pub fn try_alloc_box<T>(&self, value: T) -> Result<ArenaBox<$life, T>, OutOfMemory> {
            let value = body::value::<Fallible, T, _>(&self.cursor, value)?;
            // SAFETY: a fresh block, initialised, live for `$life`, and owned by nothing else.
            Ok(unsafe { ArenaBox::from_raw(value) })
        }

        /// [`alloc_iter`](Self::alloc_iter), to be dropped when the box is. When the iterator panics, what it
        /// yielded until then is not dropped.
        ///
        /// # Panics
        /// Where [`alloc_iter`](Self::alloc_iter) does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let words = arena.alloc_box_iter("a b".split(' ').map(String::from));
        /// assert_eq!(words.len(), 2);
        /// ```
        #[track_caller]
        pub fn alloc_box_iter<T>(&self, iter: impl IntoIterator<Item = T>) -> ArenaBox<$life, [T]> {
            let value = always(body::iter::<Panicking, T, _>(&self.cursor, iter));
            // SAFETY: a fresh block, initialised, live for `$life`, and owned by nothing else.
            unsafe { ArenaBox::from_raw(value) }
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
            let value = body::iter::<Fallible, T, _>(&self.cursor, iter)?;
            // SAFETY: a fresh block, initialised, live for `$life`, and owned by nothing else.
            Ok(unsafe { ArenaBox::from_raw(value) })
        }
    };
}
