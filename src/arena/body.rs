//! What the allocation calls do, for either [`Mode`]. The functions return raw pointers: the lifetime is the
//! caller's to give.

use super::grower::{FormatTo, Grower};
use super::place::{Mode, Place, here};
use core::alloc::Layout;
use core::convert::Infallible;
use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

/// The value of a result that cannot be an error.
#[inline(always)]
pub(super) fn always<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

type Raw<T, F> = Result<*mut T, <F as Mode>::Error>;

#[inline(always)]
#[track_caller]
pub(super) fn value<F: Mode, T, P: Place>(cursor: &P, value: T) -> Raw<T, F> {
    let place = F::place(cursor, size_of::<T>(), align_of::<T>(), here::<P>())?.cast::<T>();
    // SAFETY: the block is ours, aligned and as large as a `T`, and the check passed.
    unsafe { place.write(value) };
    Ok(place)
}

#[inline(always)]
#[track_caller]
pub(super) fn with<F: Mode, T, P: Place>(cursor: &P, make: impl FnOnce() -> T) -> Raw<T, F> {
    let place = F::place(cursor, size_of::<T>(), align_of::<T>(), here::<P>())?.cast::<T>();
    // SAFETY: as in `value`; what `make` allocates comes after the block.
    unsafe { place.write(make()) };
    Ok(place)
}

/// A block whose initialiser may fail.
#[inline(always)]
#[track_caller]
pub(super) fn try_with<F: Mode, T, E, P: Place>(
    cursor: &P,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<Result<*mut T, E>, F::Error> {
    let before = cursor.position();
    let place = F::place(cursor, size_of::<T>(), align_of::<T>(), here::<P>())?.cast::<T>();
    let after = cursor.position();
    Ok(match make() {
        Ok(value) => {
            // SAFETY: as in `value`.
            unsafe { place.write(value) };
            Ok(place)
        }
        Err(error) => {
            cursor.take_back(before, after, place.cast(), size_of::<T>());
            Err(error)
        }
    })
}

#[inline(always)]
#[track_caller]
pub(super) fn layout<F: Mode, P: Place>(cursor: &P, layout: Layout) -> Result<NonNull<u8>, F::Error> {
    let place = F::place_committed(cursor, layout.size(), layout.align(), here::<P>())?;
    // SAFETY: neither an address in a region nor an alignment is zero.
    Ok(unsafe { NonNull::new_unchecked(place) })
}

#[inline(always)]
#[track_caller]
pub(super) fn uninit<F: Mode, T, P: Place>(cursor: &P) -> Raw<MaybeUninit<T>, F> {
    Ok(F::place_committed(cursor, size_of::<T>(), align_of::<T>(), here::<P>())?.cast())
}

#[inline(always)]
#[track_caller]
pub(super) fn uninit_slice<F: Mode, T, P: Place>(cursor: &P, len: usize) -> Raw<[MaybeUninit<T>], F> {
    let layout = F::array::<T, P>(cursor, len)?;
    let start = F::place_committed(cursor, layout.size(), layout.align(), here::<P>())?;
    Ok(ptr::slice_from_raw_parts_mut(start.cast(), len))
}

#[inline(always)]
#[track_caller]
pub(super) fn copy<F: Mode, T: Copy, P: Place>(cursor: &P, source: &[T]) -> Raw<[T], F> {
    // A slice that exists has a layout.
    let start = F::place(cursor, size_of_val(source), align_of::<T>(), here::<P>())?.cast::<T>();
    // SAFETY: the block is ours, aligned and long enough; it is fresh, so it does not overlap.
    unsafe { start.copy_from_nonoverlapping(source.as_ptr(), source.len()) };
    Ok(ptr::slice_from_raw_parts_mut(start, source.len()))
}

#[inline(always)]
#[track_caller]
pub(super) fn fill<F: Mode, T, P: Place>(
    cursor: &P,
    len: usize,
    mut make: impl FnMut(usize) -> T,
) -> Raw<[T], F> {
    let layout = F::array::<T, P>(cursor, len)?;
    let start = F::place(cursor, layout.size(), layout.align(), here::<P>())?.cast::<T>();
    for i in 0..len {
        // SAFETY: `i` is below the length of the block, which is ours; what `make` allocates comes after.
        unsafe { start.add(i).write(make(i)) };
    }
    Ok(ptr::slice_from_raw_parts_mut(start, len))
}

/// Like [`fill`], with values that may fail to be made.
#[inline(always)]
#[track_caller]
pub(super) fn try_fill<F: Mode, T, E, P: Place>(
    cursor: &P,
    len: usize,
    mut make: impl FnMut(usize) -> Result<T, E>,
) -> Result<Result<*mut [T], E>, F::Error> {
    let before = cursor.position();
    let layout = F::array::<T, P>(cursor, len)?;
    let start = F::place(cursor, layout.size(), layout.align(), here::<P>())?.cast::<T>();
    let after = cursor.position();
    for i in 0..len {
        match make(i) {
            // SAFETY: as in `fill`.
            Ok(value) => unsafe { start.add(i).write(value) },
            Err(error) => {
                cursor.take_back(before, after, start.cast(), layout.size());
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(ptr::slice_from_raw_parts_mut(start, len)))
}

#[inline(always)]
#[track_caller]
pub(super) fn iter<F: Mode, T, P: Place>(cursor: &P, iter: impl IntoIterator<Item = T>) -> Raw<[T], F> {
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
pub(super) fn format<F: Mode, P: Place>(cursor: &P, arguments: fmt::Arguments<'_>) -> Raw<[u8], F> {
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
pub(super) fn c_str<F: Mode, P: Place>(cursor: &P, text: &CStr) -> Result<*const CStr, F::Error> {
    let bytes = copy::<F, u8, P>(cursor, text.to_bytes_with_nul())?;
    Ok(bytes as *const CStr)
}
