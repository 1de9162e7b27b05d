//! The allocation calls for strings.

macro_rules! text_calls {
    ($life:lifetime) => {
        /// A copy of a string.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_str("held"), "held");
        /// ```
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_str(&self, source: &str) -> &$life mut str {
            let value = always(body::copy::<Panicking, u8, _>(&self.cursor, source.as_bytes()));
            // SAFETY: the bytes are a copy of a `str` in a block that no other pointer refers to, for `$life`.
            unsafe { core::str::from_utf8_unchecked_mut(&mut *value) }
        }

        /// [`alloc_str`](Self::alloc_str) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_str(&self, source: &str) -> Result<&$life mut str, OutOfMemory> {
            let value = body::copy::<Fallible, u8, _>(&self.cursor, source.as_bytes())?;
            // SAFETY: the bytes are a copy of a `str` in a block that no other pointer refers to, for `$life`.
            Ok(unsafe { core::str::from_utf8_unchecked_mut(&mut *value) })
        }

        /// Formats into the memory, in place.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does, and when a `Display` implementation fails.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_fmt(format_args!("{}-{:03}", "a", 7)), "a-007");
        /// ```
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn alloc_fmt(&self, arguments: fmt::Arguments<'_>) -> &$life mut str {
            let value = always(body::format::<Panicking, _>(&self.cursor, arguments));
            // SAFETY: a fresh block of bytes, all of which `fmt` wrote as pieces of `str`, live for `$life`.
            unsafe { core::str::from_utf8_unchecked_mut(&mut *value) }
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
            let value = body::format::<Fallible, _>(&self.cursor, arguments)?;
            // SAFETY: a fresh block of bytes, all of which `fmt` wrote as pieces of `str`, live for `$life`.
            Ok(unsafe { core::str::from_utf8_unchecked_mut(&mut *value) })
        }

        /// A copy of a C string, its terminating zero included.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert_eq!(arena.alloc_cstr(c"name"), c"name");
        /// ```
        #[track_caller]
        pub fn alloc_cstr(&self, source: &CStr) -> &$life CStr {
            let value = always(body::c_str::<Panicking, _>(&self.cursor, source));
            // SAFETY: the bytes are a copy of a `CStr` in a block that nothing changes, live for `$life`.
            unsafe { &*value }
        }

        /// [`alloc_cstr`](Self::alloc_cstr) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[track_caller]
        pub fn try_alloc_cstr(&self, source: &CStr) -> Result<&$life CStr, OutOfMemory> {
            let value = body::c_str::<Fallible, _>(&self.cursor, source)?;
            // SAFETY: the bytes are a copy of a `CStr` in a block that nothing changes, live for `$life`.
            Ok(unsafe { &*value })
        }
    };
}
