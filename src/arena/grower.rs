//! A block of unknown final length, built in place at the top of a cursor.

use super::source::{BlockSource, CallSite, ErrorMode};
use core::alloc::Layout;
use core::marker::PhantomData;

/// Bytes that are taken ahead on an iterator's word; beyond that the block grows as it fills.
const HINT: usize = 64 << 10;

/// Values that are pushed one by one onto the end of a cursor.
///
/// Whatever produces the values may allocate from the same cursor between two pushes. Then the block is no
/// longer the last one, and moves to the top when it is full.
///
/// Dropped before it is finished (memory ran out, or what produces the values panicked), the block is taken
/// back if it is still the last one. The values in it are not dropped.
pub(super) struct Grower<'c, T, P: BlockSource, F: ErrorMode> {
    cursor: &'c P,
    /// The position before the block and its padding.
    before: *mut u8,
    start: *mut T,
    len: usize,
    capacity: usize,
    caller: CallSite,
    mode: PhantomData<F>,
}

impl<'c, T, P: BlockSource, F: ErrorMode> Grower<'c, T, P, F> {
    /// Begins a block for perhaps `hint` values. A hint may lie, in either direction: one that is absurd, or
    /// that does not fit, must not fail.
    pub(super) fn with_hint(cursor: &'c P, hint: usize, caller: CallSite) -> Result<Self, F::Error> {
        let before = cursor.position();
        if size_of::<T>() == 0 {
            let start = F::allocate(cursor, 0, align_of::<T>(), caller)?.cast();
            return Ok(Grower {
                cursor,
                before,
                start,
                len: 0,
                capacity: usize::MAX,
                caller,
                mode: PhantomData,
            });
        }
        let capacity = hint.min(HINT / size_of::<T>());
        let bytes = capacity * size_of::<T>();
        let hinted = F::allocate_if_fits(cursor, bytes, align_of::<T>(), caller);
        let (start, capacity) = match hinted {
            Some(start) => (start.cast(), capacity),
            None => (F::allocate(cursor, 0, align_of::<T>(), caller)?.cast(), 0),
        };
        Ok(Grower { cursor, before, start, len: 0, capacity, caller, mode: PhantomData })
    }

    /// Bytes of the block; of none when its values have no size.
    fn bytes(&self) -> usize {
        if size_of::<T>() == 0 { 0 } else { self.capacity * size_of::<T>() }
    }

    /// Room for at least `more` values after the ones that are there.
    #[cold]
    #[inline(never)]
    fn reserve(&mut self, more: usize) -> Result<(), F::Error> {
        let exact = self.len.saturating_add(more);
        let double = exact.max(self.capacity.saturating_mul(2)).max(4);
        // Twice as much may be more than the limit allows where exactly enough is not.
        for capacity in [double, exact] {
            if let Ok(layout) = Layout::array::<T>(capacity)
                && let Ok(Some(start)) =
                    self.cursor.resize_last(self.start.cast(), self.bytes(), layout.size())
            {
                self.start = start.cast();
                self.capacity = capacity;
                return Ok(());
            }
        }
        // A last block that could not be extended a moment ago is left behind, and taken back with the new one.
        let is_last = self.cursor.is_last(self.start.cast(), self.bytes());
        let before = if is_last { self.before } else { self.cursor.position() };
        let place = |layout: Layout| F::allocate(self.cursor, layout.size(), layout.align(), self.caller);
        let doubled = Layout::array::<T>(double)
            .ok()
            .and_then(|layout| F::allocate_if_fits(self.cursor, layout.size(), layout.align(), self.caller));
        let (start, capacity) = match doubled {
            Some(start) => (start.cast::<T>(), double),
            // Not allowed, or the system has not that much; there may be exactly enough.
            None => (place(F::array::<T, P>(self.cursor, exact)?)?.cast::<T>(), exact),
        };
        // SAFETY: the new block has room for more than `len` values and overlaps no other.
        unsafe { start.copy_from_nonoverlapping(self.start, self.len) };
        (self.before, self.start, self.capacity) = (before, start, capacity);
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

    /// The values, after what was not used was given back, if the block is still the last one.
    pub(super) fn finish(self) -> (*mut T, usize) {
        if self.len == 0 {
            return (self.start, 0); // dropped, which takes all of the block back
        }
        let grower = core::mem::ManuallyDrop::new(self);
        let used = grower.len * size_of::<T>();
        if used < grower.bytes() {
            // A smaller block commits nothing. It is refused only when a limit was set below it meanwhile,
            // and then the block stays as it is.
            let resized = grower.cursor.resize_last(grower.start.cast(), grower.bytes(), used);
            if let Ok(Some(start)) = resized {
                return (start.cast(), grower.len);
            }
        }
        (grower.start, grower.len)
    }
}

impl<T, P: BlockSource, F: ErrorMode> Drop for Grower<'_, T, P, F> {
    fn drop(&mut self) {
        self.cursor.undo(self.before, self.start.cast(), self.bytes());
    }
}

impl<P: BlockSource, F: ErrorMode> Grower<'_, u8, P, F> {
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
pub(super) struct FormatTo<'c, P: BlockSource, F: ErrorMode> {
    pub(super) grower: Grower<'c, u8, P, F>,
    pub(super) failure: Option<F::Error>,
}

impl<P: BlockSource, F: ErrorMode> core::fmt::Write for FormatTo<'_, P, F> {
    fn write_str(&mut self, piece: &str) -> core::fmt::Result {
        self.grower.push_bytes(piece.as_bytes()).map_err(|error| {
            self.failure = Some(error);
            core::fmt::Error
        })
    }
}
