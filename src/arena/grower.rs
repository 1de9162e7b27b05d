//! A block of unknown final length, built in place at the top of a cursor.

use super::cursor::{Cursor, Mode};
use core::marker::PhantomData;

/// Values that are pushed one by one onto the end of a cursor.
///
/// Whatever produces the values may allocate from the same cursor between two pushes. Then the block is no
/// longer the last one, and moves to the top when it is full.
pub(super) struct Grower<'c, T, const M: usize, const C: bool, F: Mode> {
    cursor: &'c Cursor<M, C>,
    start: *mut T,
    len: usize,
    capacity: usize,
    mode: PhantomData<F>,
}

impl<'c, T, const M: usize, const C: bool, F: Mode> Grower<'c, T, M, C, F> {
    pub(super) fn with_capacity(cursor: &'c Cursor<M, C>, capacity: usize) -> Result<Self, F::Error> {
        let layout = F::array::<T, M, C>(cursor, capacity)?;
        let start = F::place(cursor, layout.size(), layout.align())?.cast();
        let capacity = if size_of::<T>() == 0 { usize::MAX } else { capacity };
        Ok(Grower { cursor, start, len: 0, capacity, mode: PhantomData })
    }

    /// Room for at least `more` values after the ones that are there.
    #[cold]
    #[inline(never)]
    fn reserve(&mut self, more: usize) -> Result<(), F::Error> {
        let wanted = self.len.saturating_add(more).max(self.capacity.saturating_mul(2)).max(4);
        let new = F::array::<T, M, C>(self.cursor, wanted)?;
        let old = self.capacity * size_of::<T>();
        // Twice as much may be more than the limit allows where exactly enough is not.
        for (capacity, bytes) in [(wanted, new.size()), (self.len.saturating_add(more), 0)] {
            let bytes = if bytes == 0 { capacity.saturating_mul(size_of::<T>()) } else { bytes };
            if bytes <= isize::MAX as usize
                && self.cursor.resize_last(self.start.cast(), old, bytes).is_ok_and(|done| done)
            {
                self.capacity = capacity;
                return Ok(());
            }
        }
        let start = F::place(self.cursor, new.size(), new.align())?.cast::<T>();
        // SAFETY: the new block has room for more than `len` values and overlaps no other.
        unsafe { start.copy_from_nonoverlapping(self.start, self.len) };
        (self.start, self.capacity) = (start, wanted);
        Ok(())
    }

    #[inline]
    pub(super) fn push(&mut self, value: T) -> Result<(), F::Error> {
        if self.len == self.capacity {
            self.reserve(1)?;
        }
        // SAFETY: there is room for one more value.
        unsafe { self.start.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Gives back what was not used, if the block is still the last one.
    pub(super) fn finish(self) -> (*mut T, usize) {
        if size_of::<T>() != 0 && self.len < self.capacity {
            let (old, new) = (self.capacity * size_of::<T>(), self.len * size_of::<T>());
            // Shrinking commits nothing, so it cannot fail.
            let _ = self.cursor.resize_last(self.start.cast(), old, new);
        }
        (self.start, self.len)
    }
}

impl<const M: usize, const C: bool, F: Mode> Grower<'_, u8, M, C, F> {
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), F::Error> {
        if self.capacity - self.len < bytes.len() {
            self.reserve(bytes.len())?;
        }
        // SAFETY: there is room for the bytes, and what is not handed out yet overlaps nothing.
        unsafe { self.start.add(self.len).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.len += bytes.len();
        Ok(())
    }
}

/// Formatting into a grower; an allocation that failed is kept for the caller, since `fmt::Error` says
/// nothing.
pub(super) struct FormatTo<'c, const M: usize, const C: bool, F: Mode> {
    pub(super) grower: Grower<'c, u8, M, C, F>,
    pub(super) failure: Option<F::Error>,
}

impl<const M: usize, const C: bool, F: Mode> core::fmt::Write for FormatTo<'_, M, C, F> {
    fn write_str(&mut self, piece: &str) -> core::fmt::Result {
        self.grower.push_bytes(piece.as_bytes()).map_err(|error| {
            self.failure = Some(error);
            core::fmt::Error
        })
    }
}
