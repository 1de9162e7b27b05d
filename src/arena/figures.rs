//! The figures of arenas and scopes, and their calls that are not allocations.

/// Writes the figures into an `impl` block of a type with a field `cursor` that knows its region.
macro_rules! figures {
    () => {
        /// Commits the next `bytes` bytes, exactly, so that allocating and writing them neither faults nor
        /// fails.
        ///
        /// # Errors
        /// [`OutOfMemory`] when they end beyond the limit, or the system refuses.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// arena.commit_ahead(1 << 20)?;
        /// let before = arena.stats().commits;
        /// arena.alloc_slice_fill_copy(1 << 20, 1u8);
        /// assert_eq!(arena.stats().commits, before);
        /// # Ok::<(), highwater::OutOfMemory>(())
        /// ```
        pub fn commit_ahead(&self, bytes: usize) -> Result<(), OutOfMemory> {
            self.cursor.commit_ahead(bytes)
        }

        /// Commits the memory of a buffer that was allocated here and perhaps never touched, so that it may be
        /// handed to the kernel. Memory from elsewhere is left alone.
        ///
        /// # Errors
        /// [`OutOfMemory`] when the system refuses.
        ///
        /// ```
        /// use std::mem::MaybeUninit;
        /// let arena = highwater::Arena::new();
        /// let buffer = arena.alloc([MaybeUninit::<u8>::uninit(); 1 << 20]); // may write nothing
        /// arena.ensure_committed(buffer)?;
        /// # Ok::<(), highwater::OutOfMemory>(())
        /// ```
        pub fn ensure_committed(&self, buffer: &mut [MaybeUninit<u8>]) -> Result<(), OutOfMemory> {
            self.cursor.ensure_committed(buffer.as_ptr().cast(), buffer.len())
        }

        /// Bytes in use: everything from the region's first byte to the position, padding included.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// arena.alloc(1u8);
        /// assert_eq!(arena.allocated_bytes(), 8); // the minimum alignment is 8
        /// ```
        #[inline]
        pub fn allocated_bytes(&self) -> usize {
            self.cursor.used()
        }

        /// Bytes that may still be allocated: up to the limit, or to the end of the reservation.
        ///
        /// ```
        /// let arena = highwater::Arena::builder().limit(100).build();
        /// arena.alloc([0u8; 60]);
        /// assert!(arena.remaining() <= 40);
        /// ```
        #[inline]
        pub fn remaining(&self) -> usize {
            self.cursor.usable_bytes().saturating_sub(self.cursor.used())
        }

        /// Bytes of the region that are committed.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// assert!(arena.allocated_bytes() <= arena.committed_bytes());
        /// assert!(arena.committed_bytes() <= arena.reserved_bytes());
        /// ```
        #[inline]
        pub fn committed_bytes(&self) -> usize {
            self.cursor.control().frontier.get()
        }

        /// Bytes of address space that the region reserved: this may be less than was requested.
        #[inline]
        pub fn reserved_bytes(&self) -> usize {
            self.cursor.control().requested_reserve()
        }

        /// The minimum alignment of every block, in bytes.
        #[inline]
        pub fn min_align(&self) -> usize {
            MIN_ALIGN
        }

        /// The figures of this moment; `used` is exact.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// arena.alloc([1u8; 1 << 20]);
        /// assert!(arena.stats().used >= 1 << 20);
        /// ```
        pub fn stats(&self) -> Stats {
            Stats { used: self.cursor.used(), ..self.cursor.control().stats() }
        }

        /// A view of the region's figures for other threads.
        ///
        /// ```
        /// let arena = highwater::Arena::builder().name("jobs").build();
        /// let monitor = arena.monitor();
        /// let seen = std::thread::spawn(move || monitor.stats().map(|stats| stats.committed));
        /// assert_eq!(seen.join().unwrap(), Some(arena.committed_bytes()));
        /// ```
        pub fn monitor(&self) -> Monitor {
            Monitor::new(self.cursor.control())
        }

        /// The region's number; no other region of this process has had it or will have it.
        pub fn id(&self) -> u64 {
            self.cursor.control().id.load(core::sync::atomic::Ordering::Relaxed)
        }
    };
}

/// Writes checkpoints into an `impl` block of a type with a [`Cursor`](super::cursor::Cursor).
macro_rules! checkpoints {
    ($what:literal) => {
        /// The position of this moment, to go back to with [`reset_to`](Self::reset_to).
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let checkpoint = arena.checkpoint();
        /// arena.alloc(1);
        /// // SAFETY: the 1 is not used any more.
        /// unsafe { arena.reset_to(checkpoint) };
        /// assert_eq!(arena.allocated_bytes(), 0);
        /// ```
        pub fn checkpoint(&self) -> Checkpoint {
            Checkpoint::new(&self.cursor)
        }

        /// Rewinds to a checkpoint: everything allocated since is freed. If the position is before it already, because the
        /// block that was the last one was shrunk or freed since, it stays there.
        ///
        /// # Safety
        #[doc = concat!("The checkpoint was taken from this ", $what, ", which was not reset or rewound further since,")]
        /// and nothing refers to what was allocated after it.
        ///
        /// ```
        /// let arena = highwater::Arena::new();
        /// let kept = arena.alloc(1);
        /// let checkpoint = arena.checkpoint();
        /// arena.alloc(2);
        /// // SAFETY: the 2 is not used any more.
        /// unsafe { arena.reset_to(checkpoint) };
        /// assert_eq!(*kept, 1);
        /// ```
        pub unsafe fn reset_to(&self, checkpoint: Checkpoint) {
            checkpoint.restore(&self.cursor);
        }
    };
}
