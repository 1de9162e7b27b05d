//! What the allocation calls do, for either [`ErrorMode`]. The functions return raw pointers: the lifetime is the
//! caller's to give.

use super::grower::{FormatTo, Grower};
use super::source::{BlockSource, CallSite, ErrorMode, here};
use core::alloc::Layout;
use core::convert::Infallible;
use core::ffi::CStr;
use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::{self, NonNull};

/// The value of a result that cannot be an error.
#[inline(always)]
pub(super) fn always<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// A block that is being initialised: dropped before it is kept, it is given back if it is still the last one. So it is when
/// what makes its values panics. All of it is inlined, also where it unwinds: a cursor that the compiler has in registers
/// stays there. What the unwinding needs is what is live anyway: of one value its block, of `MANY` where that ends.
struct UninitBlock<'c, P: BlockSource, const MANY: bool> {
    cursor: &'c P,
    /// The position before the block and its padding, and after it.
    before: *mut u8,
    after: *mut u8,
    block: *mut u8,
    size: usize,
}

impl<'c, P: BlockSource, const MANY: bool> UninitBlock<'c, P, MANY> {
    #[inline(always)]
    fn allocate<F: ErrorMode>(cursor: &'c P, layout: Layout, caller: CallSite) -> Result<Self, F::Error> {
        let before = cursor.position();
        let block = F::allocate(cursor, layout.size(), layout.align(), caller)?;
        Ok(UninitBlock { cursor, before, after: cursor.position(), block, size: layout.size() })
    }

    /// The block, which is initialised.
    #[inline(always)]
    fn keep(self) -> *mut u8 {
        ManuallyDrop::new(self).block
    }

    /// What dropping it does, for certain inlined.
    #[inline(always)]
    fn undo_now(self) {
        ManuallyDrop::new(self).undo();
    }

    #[inline(always)]
    fn undo(&self) {
        if MANY {
            self.cursor.undo_at(self.before, self.after, self.block, self.size);
        } else {
            self.cursor.undo(self.before, self.block, self.size);
        }
    }
}

impl<'c, P: BlockSource> UninitBlock<'c, P, false> {
    /// A block for a `T`.
    #[inline(always)]
    fn one<F: ErrorMode, T>(cursor: &'c P, caller: CallSite) -> Result<Self, F::Error> {
        Self::allocate::<F>(cursor, Layout::new::<T>(), caller)
    }
}

impl<'c, P: BlockSource> UninitBlock<'c, P, true> {
    /// A block for `len` values of `T`.
    #[inline(always)]
    fn many<F: ErrorMode, T>(cursor: &'c P, len: usize, caller: CallSite) -> Result<Self, F::Error> {
        Self::allocate::<F>(cursor, F::array::<T, P>(cursor, len)?, caller)
    }
}

impl<P: BlockSource, const MANY: bool> Drop for UninitBlock<'_, P, MANY> {
    #[inline(always)]
    fn drop(&mut self) {
        self.undo();
    }
}

type RawResult<T, F> = Result<*mut T, <F as ErrorMode>::Error>;

#[inline(always)]
#[track_caller]
pub(super) fn value<F: ErrorMode, T, P: BlockSource>(cursor: &P, value: T) -> RawResult<T, F> {
    let place = F::allocate(cursor, size_of::<T>(), align_of::<T>(), here::<P>())?.cast::<T>();
    // SAFETY: the block is ours, aligned and as large as a `T`, and the check passed.
    unsafe { place.write(value) };
    Ok(place)
}

#[inline(always)]
#[track_caller]
pub(super) fn with<F: ErrorMode, T, P: BlockSource>(cursor: &P, make: impl FnOnce() -> T) -> RawResult<T, F> {
    let uninit_block = UninitBlock::one::<F, T>(cursor, here::<P>())?;
    // SAFETY: the block is fresh, aligned and as large as a `T`; what `make` allocates comes after it.
    unsafe { uninit_block.block.cast::<T>().write(make()) };
    Ok(uninit_block.keep().cast())
}

/// A block whose initialiser may fail.
#[inline(always)]
#[track_caller]
pub(super) fn try_with<F: ErrorMode, T, E, P: BlockSource>(
    cursor: &P,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<Result<*mut T, E>, F::Error> {
    let uninit_block = UninitBlock::one::<F, T>(cursor, here::<P>())?;
    Ok(make().map(|value| {
        // SAFETY: the block is fresh, aligned and as large as a `T`.
        unsafe { uninit_block.block.cast::<T>().write(value) };
        uninit_block.keep().cast()
    }))
}

#[inline(always)]
#[track_caller]
pub(super) fn layout<F: ErrorMode, P: BlockSource>(
    cursor: &P,
    layout: Layout,
) -> Result<NonNull<u8>, F::Error> {
    let place = F::allocate_committed(cursor, layout.size(), layout.align(), here::<P>())?;
    // SAFETY: neither an address in a region nor an alignment is zero.
    Ok(unsafe { NonNull::new_unchecked(place) })
}

#[inline(always)]
#[track_caller]
pub(super) fn uninit<F: ErrorMode, T, P: BlockSource>(cursor: &P) -> RawResult<MaybeUninit<T>, F> {
    Ok(F::allocate_committed(cursor, size_of::<T>(), align_of::<T>(), here::<P>())?.cast())
}

#[inline(always)]
#[track_caller]
pub(super) fn uninit_slice<F: ErrorMode, T, P: BlockSource>(
    cursor: &P,
    len: usize,
) -> RawResult<[MaybeUninit<T>], F> {
    let layout = F::array::<T, P>(cursor, len)?;
    let start = F::allocate_committed(cursor, layout.size(), layout.align(), here::<P>())?;
    Ok(ptr::slice_from_raw_parts_mut(start.cast(), len))
}

#[inline(always)]
#[track_caller]
pub(super) fn copy<F: ErrorMode, T: Copy, P: BlockSource>(cursor: &P, source: &[T]) -> RawResult<[T], F> {
    // A slice that exists has a layout.
    let start = F::allocate(cursor, size_of_val(source), align_of::<T>(), here::<P>())?.cast::<T>();
    // SAFETY: the block is ours, aligned and long enough; it is fresh, so it does not overlap.
    unsafe { start.copy_from_nonoverlapping(source.as_ptr(), source.len()) };
    Ok(ptr::slice_from_raw_parts_mut(start, source.len()))
}

#[inline(always)]
#[track_caller]
pub(super) fn fill<F: ErrorMode, T, P: BlockSource>(
    cursor: &P,
    len: usize,
    mut make: impl FnMut(usize) -> T,
) -> RawResult<[T], F> {
    let uninit_block = UninitBlock::many::<F, T>(cursor, len, here::<P>())?;
    let start = uninit_block.block.cast::<T>();
    for i in 0..len {
        // SAFETY: `i` is below the length of the block, which is ours; what `make` allocates comes after.
        unsafe { start.add(i).write(make(i)) };
    }
    Ok(ptr::slice_from_raw_parts_mut(uninit_block.keep().cast(), len))
}

/// Like [`fill`], with values that may fail to be made.
#[inline(always)]
#[track_caller]
pub(super) fn try_fill<F: ErrorMode, T, E, P: BlockSource>(
    cursor: &P,
    len: usize,
    mut make: impl FnMut(usize) -> Result<T, E>,
) -> Result<Result<*mut [T], E>, F::Error> {
    let uninit_block = UninitBlock::many::<F, T>(cursor, len, here::<P>())?;
    let start = uninit_block.block.cast::<T>();
    for i in 0..len {
        match make(i) {
            // SAFETY: `i` is below the length of the block, which no other pointer refers to.
            Ok(value) => unsafe { start.add(i).write(value) },
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(ptr::slice_from_raw_parts_mut(uninit_block.keep().cast(), len)))
}

/// [`fill`] from an iterator that knows its length.
#[inline(always)]
#[track_caller]
pub(super) fn fill_iter<F: ErrorMode, T, P: BlockSource>(
    cursor: &P,
    mut iter: impl ExactSizeIterator<Item = T>,
) -> RawResult<[T], F> {
    let len = iter.len();
    let uninit_block = UninitBlock::many::<F, T>(cursor, len, here::<P>())?;
    let start = uninit_block.block.cast::<T>();
    for i in 0..len {
        let Some(value) = iter.next() else {
            // Given back here: most iterators cannot panic, and then nothing unwinds through this function.
            uninit_block.undo_now();
            too_few();
        };
        // SAFETY: `i` is below the length of the block, which no other pointer refers to.
        unsafe { start.add(i).write(value) };
    }
    Ok(ptr::slice_from_raw_parts_mut(uninit_block.keep().cast(), len))
}

/// [`try_fill`] from an iterator that knows its length.
#[inline(always)]
#[track_caller]
pub(super) fn try_fill_iter<F: ErrorMode, T, E, P: BlockSource>(
    cursor: &P,
    mut iter: impl ExactSizeIterator<Item = Result<T, E>>,
) -> Result<Result<*mut [T], E>, F::Error> {
    let len = iter.len();
    let uninit_block = UninitBlock::many::<F, T>(cursor, len, here::<P>())?;
    let start = uninit_block.block.cast::<T>();
    for i in 0..len {
        match iter.next() {
            // SAFETY: `i` is below the length of the block, which no other pointer refers to.
            Some(Ok(value)) => unsafe { start.add(i).write(value) },
            Some(Err(error)) => return Ok(Err(error)),
            None => {
                uninit_block.undo_now();
                too_few();
            }
        }
    }
    Ok(Ok(ptr::slice_from_raw_parts_mut(uninit_block.keep().cast(), len)))
}

#[cold]
#[inline(never)]
#[track_caller]
fn too_few() -> ! {
    panic!("the iterator yielded too few values")
}

#[inline(always)]
#[track_caller]
pub(super) fn iter<F: ErrorMode, T, P: BlockSource>(
    cursor: &P,
    iter: impl IntoIterator<Item = T>,
) -> RawResult<[T], F> {
    let iter = iter.into_iter();
    let mut grower = Grower::<T, P, F>::with_hint(cursor, iter.size_hint().0, here::<P>())?;
    for value in iter {
        grower.push(value)?;
    }
    let (start, len) = grower.finish();
    Ok(ptr::slice_from_raw_parts_mut(start, len))
}

/// The bytes of a formatted text.
///
/// # Panics
/// When a `Display` implementation returns an error of its own, as `format!` does.
#[track_caller]
pub(super) fn format<F: ErrorMode, P: BlockSource>(
    cursor: &P,
    arguments: fmt::Arguments<'_>,
) -> RawResult<[u8], F> {
    if let Some(text) = arguments.as_str() {
        return copy::<F, u8, P>(cursor, text.as_bytes());
    }
    let grower = Grower::<u8, P, F>::with_hint(cursor, 0, here::<P>())?;
    let mut to = FormatTo { grower, failure: None };
    let written = fmt::write(&mut to, arguments);
    // Also where a `Display` implementation went on after the failure: the text has a hole.
    if let Some(error) = to.failure {
        return Err(error);
    }
    if written.is_err() {
        panic!("a formatting trait implementation returned an error without the writer failing");
    }
    let (start, len) = to.grower.finish();
    Ok(ptr::slice_from_raw_parts_mut(start, len))
}

#[inline(always)]
#[track_caller]
pub(super) fn c_str<F: ErrorMode, P: BlockSource>(cursor: &P, text: &CStr) -> Result<*const CStr, F::Error> {
    let bytes = copy::<F, u8, P>(cursor, text.to_bytes_with_nul())?;
    Ok(bytes as *const CStr)
}
