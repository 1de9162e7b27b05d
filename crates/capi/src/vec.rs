//! The growable array: the functions behind `HIGHWATER_VEC`.

use crate::abi::{HwError, HwOptions, HwVec, Status};
use crate::arena::{HwArena, create, die_of};
use crate::error::{abort_with, plain, status};
use core::ptr::null_mut;
use highwater::OutOfMemory;
use highwater::internal::capi::{CursorRegion, vector_builder};

/// `HIGHWATER_VEC` of any type.
type HwArray = HwVec<HwArena>;

const EMPTY: HwArray = HwVec { data: null_mut(), length: 0, capacity: 0, arena: null_mut() };

/// The region of the array's arena, which is made if there is none: for `expected` bytes at least, unless the options say.
///
/// # Safety
/// `options` is null or a valid `hw_options`, and `vec.arena` is null or a live arena.
unsafe fn region(
    vec: &mut HwArray,
    options: *const HwOptions,
    expected: usize,
) -> Result<CursorRegion, HwError> {
    if vec.arena.is_null() {
        // SAFETY: `options` is null or a valid `hw_options`: required by this function's contract.
        let made = unsafe { create(options, |builder| vector_builder(builder, expected))? };
        *vec = HwVec { data: made.arena.region().as_ptr(), arena: Box::into_raw(made), ..EMPTY };
    }
    // SAFETY: null, or an arena of `create`'s, which the array owns.
    let region = unsafe { vec.arena.as_ref() }.and_then(HwArena::remote);
    region.ok_or_else(|| HwError::argument("an array whose arena is gone"))
}

/// How many values may be pushed before the library is called again: with the fault engine as many as there may ever be,
/// since a touch commits.
fn capacity(vec: &HwArray, region: CursorRegion, element: usize) -> usize {
    let bytes = region.limit().addr() - region.base().addr();
    bytes.checked_div(element).unwrap_or(usize::MAX).max(vec.length)
}

/// The bytes of `more` values behind the last one: their offset and their number.
fn next_values(vec: &HwArray, element: usize, more: usize) -> (usize, usize) {
    (vec.length.saturating_mul(element), more.saturating_mul(element))
}

/// Commits memory for `more` values.
fn commit(vec: &mut HwArray, region: CursorRegion, element: usize, more: usize) -> Result<(), OutOfMemory> {
    let (used, bytes) = next_values(vec, element, more);
    let position = region.base().wrapping_add(used.min(region.usable_bytes()));
    region.extend(position, 0, bytes, true)?;
    vec.capacity = capacity(vec, region, element);
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_grow_(vec: *mut HwArray, element: usize, more: usize) {
    plain(|| {
        // SAFETY: null, or an array that no other call uses: the header's contract.
        let Some(vec) = (unsafe { vec.as_mut() }) else {
            abort_with(format_args!("HIGHWATER_VEC_PUSH: the array is NULL"))
        };
        // SAFETY: the options are null.
        let region = unsafe { region(vec, core::ptr::null(), more.saturating_mul(element)) };
        let region =
            region.unwrap_or_else(|error| abort_with(format_args!("HIGHWATER_VEC_PUSH: {}", error.text())));
        if cfg!(highwater_fault) {
            vec.capacity = capacity(vec, region, element);
            if vec.capacity - vec.length >= more {
                return;
            }
        }
        if let Err(error) = commit(vec, region, element, more) {
            die_of(&error);
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_try_grow_(
    vec: *mut HwArray,
    element: usize,
    more: usize,
    error: *mut HwError,
) -> bool {
    let done = status(error, || {
        // SAFETY: null, or an array that no other call uses: the header's contract.
        let vec = unsafe { vec.as_mut() }.ok_or_else(|| HwError::argument("the array is NULL"))?;
        // SAFETY: the options are null.
        let region = unsafe { region(vec, core::ptr::null(), more.saturating_mul(element))? };
        Ok(commit(vec, region, element, more)?)
    });
    done == Status::Ok
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_open_(
    vec: *mut HwArray,
    element: usize,
    options: *const HwOptions,
    error: *mut HwError,
) -> Status {
    status(error, || {
        // SAFETY: null, or an array that no other call uses: the header's contract.
        let vec = unsafe { vec.as_mut() }.ok_or_else(|| HwError::argument("the array is NULL"))?;
        let old = core::mem::replace(vec, EMPTY);
        if !old.arena.is_null() {
            // SAFETY: `region` made it from a box, and the array does not refer to it any more.
            drop(unsafe { Box::from_raw(old.arena) });
        }
        // SAFETY: `options` is null or a valid `hw_options`, as the header requires; `vec.arena` is null.
        let region = unsafe { region(vec, options, 0)? };
        vec.capacity = capacity(vec, region, element);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_free_(vec: *mut HwArray) {
    // SAFETY: null, or an array that no other call uses: the header's contract.
    let Some(vec) = (unsafe { vec.as_mut() }) else { return };
    let old = core::mem::replace(vec, EMPTY);
    if !old.arena.is_null() {
        // SAFETY: `region` made it from a box, and the array does not refer to it any more.
        plain(|| drop(unsafe { Box::from_raw(old.arena) }));
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_shrink_(vec: *mut HwArray, element: usize) {
    // SAFETY: null, or an array that no other call uses: the header's contract.
    let Some(vec) = (unsafe { vec.as_mut() }) else { return };
    // SAFETY: null, or an arena of `create`'s, which the array owns.
    let Some(arena) = (unsafe { vec.arena.as_mut() }) else { return };
    plain(|| {
        arena.arena.trim(vec.length.saturating_mul(element));
        if let Some(region) = arena.remote() {
            vec.capacity = capacity(vec, region, element);
        }
    });
}
