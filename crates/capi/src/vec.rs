//! The growable array: the library's side of `HIGHWATER_VEC`.

use crate::abi::{HwError, HwOptions, HwVec, Status};
use crate::arena::{HwArena, create, run_out};
use crate::error::{end, plain, status};
use core::ptr::null_mut;
use highwater::{CursorRegion, OutOfMemory};

/// What an array looks like here.
type Vec = HwVec<HwArena>;

const EMPTY: Vec = HwVec { data: null_mut(), length: 0, capacity: 0, arena: null_mut() };

/// Its arena's region; makes it an arena if it has none, for `expected` bytes at least unless the options say.
///
/// # Safety
/// `options` is null or a valid `hw_options`, and `vec.arena` is null or a live arena.
unsafe fn region(vec: &mut Vec, options: *const HwOptions, expected: usize) -> Result<CursorRegion, HwError> {
    if vec.arena.is_null() {
        // SAFETY: `options` is null or a valid `hw_options`: required by this function's contract.
        let made = unsafe { create(options, |builder| builder.vector().expect(expected))? };
        *vec = HwVec { data: made.arena.region().as_ptr(), arena: Box::into_raw(made), ..EMPTY };
    }
    // SAFETY: the array's own arena.
    let region = unsafe { vec.arena.as_ref() }.and_then(HwArena::remote);
    region.ok_or_else(|| HwError::argument("an array whose arena is gone"))
}

/// How many values may be pushed before the library is asked again: with the fault engine as many as there may ever
/// be, because a touch commits.
fn capacity(vec: &Vec, region: CursorRegion, element: usize) -> usize {
    let bytes = region.limit().addr() - region.base().addr();
    bytes.checked_div(element).unwrap_or(usize::MAX).max(vec.length)
}

/// The bytes of `more` values behind the last one: where they begin and how many they are.
fn wanted(vec: &Vec, element: usize, more: usize) -> (usize, usize) {
    (vec.length.saturating_mul(element), more.saturating_mul(element))
}

/// Commits room for `more` values.
fn commit(vec: &mut Vec, region: CursorRegion, element: usize, more: usize) -> Result<(), OutOfMemory> {
    let (used, bytes) = wanted(vec, element, more);
    let position = region.base().wrapping_add(used.min(region.usable_bytes()));
    region.extend(position, 0, bytes, true)?;
    vec.capacity = capacity(vec, region, element);
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_grow_(vec: *mut Vec, element: usize, more: usize) {
    plain(|| {
        // SAFETY: null or an array of the caller's.
        let Some(vec) = (unsafe { vec.as_mut() }) else {
            end(format_args!("HIGHWATER_VEC_PUSH: the array is NULL"))
        };
        // SAFETY: no options.
        let region = unsafe { region(vec, core::ptr::null(), more.saturating_mul(element)) };
        let region = region.unwrap_or_else(|error| end(format_args!("HIGHWATER_VEC_PUSH: {}", error.text())));
        if cfg!(highwater_fault) {
            vec.capacity = capacity(vec, region, element);
            if vec.capacity - vec.length >= more {
                return;
            }
        }
        if let Err(error) = commit(vec, region, element, more) {
            run_out(&error);
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_try_grow_(
    vec: *mut Vec,
    element: usize,
    more: usize,
    error: *mut HwError,
) -> bool {
    let done = status(error, || {
        // SAFETY: null or an array of the caller's.
        let vec = unsafe { vec.as_mut() }.ok_or_else(|| HwError::argument("the array is NULL"))?;
        // SAFETY: no options.
        let region = unsafe { region(vec, core::ptr::null(), more.saturating_mul(element))? };
        Ok(commit(vec, region, element, more)?)
    });
    done == Status::Ok
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_open_(
    vec: *mut Vec,
    element: usize,
    options: *const HwOptions,
    error: *mut HwError,
) -> Status {
    status(error, || {
        // SAFETY: null or an array of the caller's.
        let vec = unsafe { vec.as_mut() }.ok_or_else(|| HwError::argument("the array is NULL"))?;
        let old = core::mem::replace(vec, EMPTY);
        if !old.arena.is_null() {
            // SAFETY: the array's own arena, which it no longer has.
            drop(unsafe { Box::from_raw(old.arena) });
        }
        // SAFETY: `options` is null or a valid `hw_options`, as the header requires; `vec.arena` is null.
        let region = unsafe { region(vec, options, 0)? };
        vec.capacity = capacity(vec, region, element);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_free_(vec: *mut Vec) {
    // SAFETY: null or an array of the caller's.
    let Some(vec) = (unsafe { vec.as_mut() }) else { return };
    let old = core::mem::replace(vec, EMPTY);
    if !old.arena.is_null() {
        // SAFETY: the array's own arena, which it no longer has.
        plain(|| drop(unsafe { Box::from_raw(old.arena) }));
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_vec_shrink_(vec: *mut Vec, element: usize) {
    // SAFETY: null or an array of the caller's.
    let Some(vec) = (unsafe { vec.as_mut() }) else { return };
    // SAFETY: null or the array's own arena.
    let Some(arena) = (unsafe { vec.arena.as_mut() }) else { return };
    plain(|| {
        arena.arena.trim(vec.length.saturating_mul(element));
        if let Some(region) = arena.remote() {
            vec.capacity = capacity(vec, region, element);
        }
    });
}
