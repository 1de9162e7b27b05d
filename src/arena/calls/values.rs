//! The allocation calls for single values and uninitialised memory.

macro_rules! value_calls {
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
            let value = always(body::value::<Panicking, T, _>(&self.cursor, value));
            // SAFETY: a fresh block with an initialised `T` that no other pointer refers to, live for `$life`.
            unsafe { &mut *value }
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
            let value = body::value::<Fallible, T, _>(&self.cursor, value)?;
            // SAFETY: a fresh block with an initialised `T` that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
        }

        /// Makes a value at its place at the top. Large values need not pass over the stack this way. The
        /// closure may allocate from the same memory.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does, and when the closure does: the space is taken back then, unless the
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
            let value = always(body::with::<Panicking, T, _>(&self.cursor, f));
            // SAFETY: a fresh block with an initialised `T` that no other pointer refers to, live for `$life`.
            unsafe { &mut *value }
        }

        /// [`alloc_with`](Self::alloc_with) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none; the closure was not called then.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_with<F: FnOnce() -> T, T>(&self, f: F) -> Result<&$life mut T, OutOfMemory> {
            let value = body::with::<Fallible, T, _>(&self.cursor, f)?;
            // SAFETY: a fresh block with an initialised `T` that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
        }

        /// Makes a value that may fail to be made. On an error the space is taken back, unless the closure
        /// allocated: then the error may borrow from what it allocated, and everything stays.
        ///
        /// # Errors
        /// The closure's.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does, and when the closure does.
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
            let value = always(body::try_with::<Panicking, T, E, _>(&self.cursor, f))?;
            // SAFETY: a fresh block with an initialised `T` that no other pointer refers to, live for `$life`.
            Ok(unsafe { &mut *value })
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
            let value = body::try_with::<Fallible, T, E, _>(&self.cursor, f)?;
            // SAFETY: a fresh block with an initialised `T` that no other pointer refers to, live for `$life`.
            value.map(|value| unsafe { &mut *value }).map_err(AllocOrInitError::Init)
        }

        /// Memory for a layout, uninitialised and committed, so that it may be handed to the kernel. For a
        /// layout without a size the pointer is aligned and points to nothing.
        ///
        /// # Panics
        /// Where [`alloc`](Self::alloc) does, and when the system refuses to commit.
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
        /// Where [`alloc_layout`](Self::alloc_layout) does.
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
            let value = always(body::uninit::<Panicking, T, _>(&self.cursor));
            // SAFETY: a fresh block as large and aligned as a `T`, live for `$life`; a `MaybeUninit` may hold any bytes.
            unsafe { &mut *value }
        }

        /// [`alloc_uninit`](Self::alloc_uninit) that returns the error.
        ///
        /// # Errors
        /// [`OutOfMemory`] when there is none.
        #[inline(always)]
        #[allow(clippy::mut_from_ref)]
        #[track_caller]
        pub fn try_alloc_uninit<T>(&self) -> Result<&$life mut MaybeUninit<T>, OutOfMemory> {
            let value = body::uninit::<Fallible, T, _>(&self.cursor)?;
            // SAFETY: a fresh block as large and aligned as a `T`, live for `$life`; a `MaybeUninit` may hold any bytes.
            Ok(unsafe { &mut *value })
        }

        /// Memory for `len` values, uninitialised and committed, so that it may be handed to the kernel: a
        /// `read(2)` into memory that is not committed fails with EFAULT, and a datagram is lost.
        ///
        /// # Panics
        /// Where [`alloc_layout`](Self::alloc_layout) does, and for more than `isize::MAX` bytes.
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
            let value = always(body::uninit_slice::<Panicking, T, _>(&self.cursor, len));
            // SAFETY: a fresh block of `len` places, live for `$life`; a `MaybeUninit` may hold any bytes.
            unsafe { &mut *value }
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
            let value = body::uninit_slice::<Fallible, T, _>(&self.cursor, len)?;
            // SAFETY: a fresh block of `len` places, live for `$life`; a `MaybeUninit` may hold any bytes.
            Ok(unsafe { &mut *value })
        }
    };
}
