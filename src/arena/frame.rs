//! [`Frame`]: bytes that were checked once.

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;

/// `N` bytes of a scope (rounded up to its minimum alignment), allocated with one check.
///
/// The bytes in use are a local number that starts at zero, so for values whose size is known at compile time
/// the comparison with `N` folds away and the stores remain. A value that does not fit
/// makes the call panic, as everywhere; one that needs more alignment than the scope guarantees does not
/// compile.
///
/// ```
/// let mut arena = highwater::Arena::new();
/// let scope = arena.scope();
/// let frame = scope.frame::<16>();
/// let (x, y) = (frame.alloc(3.0f64), frame.alloc(4.0f64));
/// assert_eq!((*x * *x + *y * *y).sqrt(), 5.0);
/// assert_eq!(frame.try_alloc(1u8), Err(1)); // it is full
/// ```
#[must_use = "a frame that is not allocated from is lost until its scope ends"]
pub struct Frame<'a, const N: usize, const MIN_ALIGN: usize = 8> {
    start: *mut u8,
    used: Cell<usize>,
    scope: PhantomData<&'a mut ()>,
}

// SAFETY: the bytes belong to the frame alone for as long as the scope's parent is borrowed.
unsafe impl<const N: usize, const MIN_ALIGN: usize> Send for Frame<'_, N, MIN_ALIGN> {}

impl<'a, const N: usize, const MIN_ALIGN: usize> Frame<'a, N, MIN_ALIGN> {
    /// The bytes that the frame takes: a size like any other, so that the check's sums cannot wrap.
    pub(super) const BYTES: usize = {
        assert!(N <= isize::MAX as usize - (MIN_ALIGN - 1), "a frame has at most isize::MAX bytes");
        N.next_multiple_of(MIN_ALIGN)
    };

    #[inline(always)]
    pub(super) fn new(start: *mut u8) -> Self {
        Frame { start, used: Cell::new(0), scope: PhantomData }
    }

    /// The place for a `T`.
    #[inline(always)]
    fn place<T>(&self) -> Option<*mut T> {
        const {
            assert!(
                align_of::<T>() <= MIN_ALIGN,
                "a value in a frame may need at most the scope's minimum alignment"
            );
        }
        // The frame starts at a multiple of MIN_ALIGN, so offsets are aligned as addresses are. Neither sum
        // can overflow: `used` is at most BYTES and the other is the size of a type.
        let start = self.used.get().next_multiple_of(align_of::<T>());
        let end = start + size_of::<T>();
        if end > Self::BYTES {
            return None;
        }
        self.used.set(end);
        Some(self.start.wrapping_add(start).cast())
    }

    /// Moves a value into the frame and returns a reference to it. The value is not dropped.
    ///
    /// # Panics
    /// When the frame has no room for it left.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn alloc<T>(&self, value: T) -> &'a mut T {
        self.alloc_with(|| value)
    }

    /// Makes a value at its place in the frame.
    ///
    /// # Panics
    /// When the frame has no room for it left, and when the closure does.
    ///
    /// ```
    /// let mut arena = highwater::Arena::new();
    /// let frame = arena.scope().frame::<64>();
    /// assert_eq!(frame.alloc_with(|| [7u64; 8])[7], 7);
    /// assert_eq!(frame.remaining(), 0);
    /// ```
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub fn alloc_with<T>(&self, f: impl FnOnce() -> T) -> &'a mut T {
        let before = self.used.get();
        match self.place::<T>() {
            Some(place) => {
                let slot = UninitFrameSlot { used: &self.used, before, after: self.used.get() };
                // SAFETY: the place is inside the frame, aligned, and was not handed out before; the frame's
                // bytes are the scope's for `'a`.
                unsafe { place.write(f()) };
                core::mem::forget(slot);
                // SAFETY: the place is inside the frame, was handed out once, and is initialised; it is the scope's for `'a`.
                unsafe { &mut *place }
            }
            None => full(size_of::<T>(), Self::BYTES),
        }
    }

    /// [`alloc`](Frame::alloc) that gives the value back when there is no room left.
    ///
    /// # Errors
    /// The value.
    #[inline(always)]
    pub fn try_alloc<T>(&self, value: T) -> Result<&'a mut T, T> {
        match self.place::<T>() {
            // SAFETY: the place is inside the frame, aligned, and was not handed out before; the frame's bytes are the
            // scope's for `'a`.
            Some(place) => unsafe {
                place.write(value);
                Ok(&mut *place)
            },
            None => Err(value),
        }
    }

    /// Bytes of the frame that are left.
    #[inline(always)]
    pub fn remaining(&self) -> usize {
        Self::BYTES - self.used.get()
    }
}

/// A place whose value is being made. Dropped because that panicked, it makes the place free again if it is still the last
/// one.
struct UninitFrameSlot<'f> {
    used: &'f Cell<usize>,
    before: usize,
    after: usize,
}

impl Drop for UninitFrameSlot<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.used.get() == self.after {
            self.used.set(self.before);
        }
    }
}

#[cold]
#[inline(never)]
fn full(size: usize, bytes: usize) -> ! {
    panic!("highwater: frame out of memory: {size} more bytes do not fit its {bytes} bytes")
}

impl<const N: usize, const MIN_ALIGN: usize> fmt::Debug for Frame<'_, N, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("bytes", &Self::BYTES).field("used", &self.used.get()).finish()
    }
}
