//! Cursors: making them, and the failing side of a check.
//!
//! A cursor is two addresses in the program's registers. Their region is found by address, as in the handler: wait-free.

use crate::abi::{HwCursor, HwError, MIN_ALIGN, Status};
use crate::arena::{self, HwArena, die_of};
use crate::error::{abort_with, cause_number, plain, status, succeed};
use core::ffi::c_void;
use core::ptr::null_mut;
use highwater::internal::capi::CursorRegion;
use highwater::{Cause, OutOfMemory};

/// A cursor without memory.
const NULL_CURSOR: HwCursor = HwCursor { position: null_mut(), limit: null_mut() };

/// The limit of a cursor that stands at `position`: a multiple of the minimum alignment, so that the check may be made
/// before a size is rounded up, and never below the position, so that their difference is what fits.
fn limit(region: CursorRegion, position: *mut u8) -> *mut u8 {
    let limit = region.limit();
    let exact = limit.wrapping_sub(limit.addr() % MIN_ALIGN);
    if exact < position { position } else { exact }
}

fn at(region: CursorRegion, position: *mut u8) -> HwCursor {
    HwCursor { position, limit: limit(region, position) }
}

/// The root cursor of an arena. It has one of two names, by which a program finds at link time whether it was compiled
/// for the engine that the library has.
///
/// # Safety
/// `arena` is null or a live arena.
/// # Safety
/// `arena` is null or a live arena.
unsafe fn root(arena: *mut HwArena) -> HwCursor {
    let cursor = |arena: &HwArena| arena.remote().map_or(NULL_CURSOR, |region| at(region, region.base()));
    // SAFETY: `arena` is null or a live arena: required by this function's contract.
    unsafe { arena::of(arena, NULL_CURSOR, cursor) }
}

#[cfg(highwater_fault)]
#[unsafe(no_mangle)]
unsafe extern "C" fn hw_engine_fault(arena: *mut HwArena) -> HwCursor {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { root(arena) }
}

#[cfg(not(highwater_fault))]
#[unsafe(no_mangle)]
unsafe extern "C" fn hw_engine_explicit(arena: *mut HwArena) -> HwCursor {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { root(arena) }
}

/// The region of a cursor; `None` for a cursor that was never made, or whose arena was freed.
fn region(position: *const u8) -> Option<CursorRegion> {
    // SAFETY: no arena is freed while another thread uses a cursor of it: required by the header.
    (!position.is_null()).then(|| unsafe { CursorRegion::at(position) })?
}

/// The bytes from a position to the next multiple of `align`, a power of two.
fn padding(position: *const u8, align: usize) -> usize {
    position.addr().wrapping_neg() & (align.max(MIN_ALIGN) - 1)
}

/// The region of a call's cursor, or what is wrong with the call.
fn checked_region(position: *const u8, align: usize) -> Result<CursorRegion, HwError> {
    if !align.is_power_of_two() {
        return Err(HwError::new(
            Status::Argument,
            format_args!("an alignment of {align} is no power of two"),
        ));
    }
    region(position).ok_or_else(|| {
        HwError::new(
            Status::Argument,
            format_args!(
                "a cursor at {position:p}, which is in no arena: it was never made, or its arena was freed"
            ),
        )
    })
}

/// The end of the usable bytes, committed or not, rounded down to the minimum alignment.
fn end_of(region: CursorRegion) -> usize {
    let end = region.base().addr() + region.usable_bytes();
    end - end % MIN_ALIGN
}

/// Whether a block fits the arena. A cursor that it does not fit is older then than the arena's limit.
fn fits(region: CursorRegion, position: *mut u8, padding: usize, size: usize) -> bool {
    position.addr().saturating_add(padding).saturating_add(size) <= end_of(region)
}

/// The error of a block that fits the arena and not the cursor.
#[cold]
fn stale(position: *mut u8, size: usize) -> HwError {
    HwError {
        requested: size as u64,
        cause: cause_number(Cause::RegionLimit),
        ..HwError::new(
            Status::Memory,
            format_args!(
                "out of memory: {size} bytes at {position:p} are beyond the limit of a cursor that is older than its \
                 arena's limit (hw_refresh)"
            ),
        )
    }
}

// (Each engine has names of its own: see the header.)
#[cfg_attr(highwater_fault, unsafe(no_mangle))]
#[cfg_attr(not(highwater_fault), unsafe(export_name = "hw_refuse_explicit_"))]
extern "C" fn hw_refuse(position: *mut c_void, _limit: *const c_void, size: usize, align: usize) -> ! {
    plain(|| {
        let position = position.cast::<u8>();
        let region = checked_region(position, align)
            .unwrap_or_else(|error| abort_with(format_args!("{}", error.text())));
        let padding = padding(position, align);
        if fits(region, position, padding, size) {
            abort_with(format_args!("{}", stale(position, size).text()));
        }
        die_of(&region.refused(position, padding, size))
    })
}

#[cfg(not(highwater_fault))]
#[unsafe(no_mangle)]
extern "C" fn hw_extend_(
    position: *mut c_void,
    _limit: *mut c_void,
    size: usize,
    align: usize,
) -> *mut c_void {
    plain(|| {
        let position = position.cast::<u8>();
        let region = checked_region(position, align)
            .unwrap_or_else(|error| abort_with(format_args!("{}", error.text())));
        match extend(region, position, padding(position, align), size, true) {
            Ok(()) => limit(region, position).cast(),
            Err(error) => die_of(&error),
        }
    })
}

/// Commits a block, rounded up to the minimum alignment.
fn extend(
    region: CursorRegion,
    position: *mut u8,
    padding: usize,
    size: usize,
    touched: bool,
) -> Result<(), OutOfMemory> {
    let whole = size.checked_next_multiple_of(MIN_ALIGN).unwrap_or(size);
    if !fits(region, position, padding, whole) {
        return Err(region.refused(position, padding, size));
    }
    region.extend(position, padding, whole, touched).map(drop)
}

/// The start of a block that is committed and fits the cursor.
#[inline]
fn committed_already(cursor: &HwCursor, size: usize, align: usize) -> Option<*mut u8> {
    if !align.is_power_of_two() || size == 0 {
        return None;
    }
    let position = cursor.position;
    let padding = padding(position, align);
    let end = position.addr().checked_add(padding)?.checked_add(size)?;
    let is_within = end <= cursor.limit.addr() && region(position)?.has(end);
    is_within.then(|| position.wrapping_add(padding))
}

#[cfg_attr(highwater_fault, unsafe(no_mangle))]
#[cfg_attr(not(highwater_fault), unsafe(export_name = "hw_place_explicit_"))]
unsafe extern "C" fn hw_place_(
    cursor: HwCursor,
    size: usize,
    align: usize,
    error: *mut HwError,
) -> *mut c_void {
    if let Some(start) = committed_already(&cursor, size, align) {
        succeed(error);
        return start.cast();
    }
    let mut start = null_mut();
    status(error, || {
        let position = cursor.position;
        let region = checked_region(position, align)?;
        let padding = padding(position, align);
        if size > 0 {
            let end = position.addr().saturating_add(padding).saturating_add(size);
            // (With the explicit engine the cursor's limit is what is committed, not what is allowed.)
            if cfg!(highwater_fault) && end > cursor.limit.addr() {
                let is_stale = fits(region, position, padding, size);
                return Err(if is_stale {
                    stale(position, size)
                } else {
                    region.refused(position, padding, size).into()
                });
            }
            extend(region, position, padding, size, true)?;
        }
        start = position.wrapping_add(padding).cast();
        Ok(())
    });
    start
}

#[cfg(highwater_fault)]
#[unsafe(no_mangle)]
extern "C" fn hw_commit_(position: *mut c_void, _limit: *mut c_void, padding: usize, size: usize) {
    // The block passed the check, so that its end does not wrap.
    let last = position.addr().wrapping_add(padding).wrapping_add(size);
    if region(position.cast()).is_some_and(|region| region.has(last)) {
        return;
    }
    plain(|| {
        let position = position.cast::<u8>();
        let region =
            checked_region(position, 1).unwrap_or_else(|error| abort_with(format_args!("{}", error.text())));
        if let Err(error) = extend(region, position, padding, size, false) {
            die_of(&error);
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn hw_commit_ahead(cursor: HwCursor, bytes: usize, error: *mut HwError) -> Status {
    status(error, || match checked_region(cursor.position, 1)? {
        _ if bytes == 0 => Ok(()),
        region => Ok(region.ensure(cursor.position, bytes)?),
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_ensure(start: *mut c_void, size: usize, error: *mut HwError) -> Status {
    // SAFETY: the arena of `start`, if there is one, is not freed during this call: required by the header.
    status(error, || match unsafe { CursorRegion::of(start.cast()) } {
        Some(region) if size > 0 => Ok(region.ensure(start.cast(), size)?),
        _ => Ok(()),
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_committed_of(start: *const c_void, size: usize) -> usize {
    plain(|| highwater::committed_of(start.cast(), size))
}

#[unsafe(no_mangle)]
extern "C" fn hw_refresh(cursor: HwCursor) -> HwCursor {
    plain(|| match region(cursor.position) {
        Some(region) => at(region, cursor.position),
        None => HwCursor { limit: cursor.position, ..cursor },
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_used(cursor: HwCursor) -> usize {
    plain(|| region(cursor.position).map_or(0, |region| cursor.position.addr() - region.base().addr()))
}

#[unsafe(no_mangle)]
extern "C" fn hw_remaining(cursor: HwCursor) -> usize {
    plain(|| {
        region(cursor.position).map_or(0, |region| end_of(region).saturating_sub(cursor.position.addr()))
    })
}
