//! The functions that a program compiled with `HIGHWATER_DEBUG` calls.

use crate::abi::{HwCursor, HwTextFunction, MIN_ALIGN};
use crate::error::{abort_with, plain};
use crate::hook::CallbackCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::Relaxed;
use highwater::internal::capi::CursorRegion;
use std::borrow::Cow;
use std::io::Write;

static IS_LOGGING: AtomicBool = AtomicBool::new(true);
static LOG: CallbackCell<HwTextFunction> = CallbackCell::none();

#[unsafe(no_mangle)]
extern "C" fn hw_debug_log(on: bool, function: Option<HwTextFunction>, user: *mut c_void) {
    plain(|| {
        LOG.set(function, user);
        IS_LOGGING.store(on, Relaxed);
    });
}

/// # Safety
/// `text` is null or a string.
unsafe fn text_of<'a>(text: *const c_char) -> Cow<'a, str> {
    if text.is_null() {
        return "?".into();
    }
    // SAFETY: `text` is not null, so it is a string that ends in NUL: required by this function's contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy()
}

/// Why a cursor cannot be allocated from, if it cannot.
fn error_of(cursor: &HwCursor, align: usize) -> Option<String> {
    let HwCursor { position, limit } = *cursor;
    if position.is_null() {
        return Some("the cursor was never made: its position is NULL".into());
    }
    if !position.addr().is_multiple_of(MIN_ALIGN) || !limit.addr().is_multiple_of(MIN_ALIGN) {
        return Some(format!("the cursor {position:p}..{limit:p} is not aligned to {MIN_ALIGN} bytes"));
    }
    if position > limit {
        return Some(format!("the cursor's position {position:p} is beyond its limit {limit:p}"));
    }
    // SAFETY: no arena is freed while a cursor of it is used: the header's contract.
    let Some(region) = (unsafe { CursorRegion::at(position) }) else {
        return Some(format!("the cursor's position {position:p} is in no arena: was it freed?"));
    };
    let end = region.base().wrapping_add(region.usable_bytes());
    if limit > end && limit > position {
        return Some(format!(
            "the cursor's limit {limit:p} is beyond what its arena allows, {end:p}: refresh it (hw_refresh)"
        ));
    }
    (!align.is_power_of_two()).then(|| format!("an alignment of {align} is no power of two"))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_debug_check_(
    cursor: *const HwCursor,
    align: usize,
    call: *const c_char,
    file: *const c_char,
    line: c_int,
) {
    plain(|| {
        // SAFETY: null, or a cursor that no other thread changes: the header's contract.
        let error = match unsafe { cursor.as_ref() } {
            Some(cursor) => error_of(cursor, align),
            None => Some("the cursor is NULL".into()),
        };
        if let Some(error) = error {
            // SAFETY: the header's macros pass strings.
            let (call, file) = unsafe { (text_of(call), text_of(file)) };
            abort_with(format_args!("{file}:{line}: {call}: {error}"));
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_debug_made_(
    cursor: HwCursor,
    made: *const c_void,
    size: usize,
    call: *const c_char,
    file: *const c_char,
    line: c_int,
) {
    if !IS_LOGGING.load(Relaxed) {
        return;
    }
    plain(|| {
        // SAFETY: the header's macros pass strings.
        let (call, file) = unsafe { (text_of(call), text_of(file)) };
        // SAFETY: the arena of the cursor, if there is one, is not freed during this call: required by the header.
        let start = unsafe { CursorRegion::at(cursor.position) }
            .map_or(core::ptr::null_mut(), |region| region.base());
        let text = format!(
            "highwater: {file}:{line}: {call}: {size} bytes at {made:p}, start {start:p}, current {:p}, end {:p}\n",
            cursor.position, cursor.limit
        );
        match LOG.get() {
            // SAFETY: a function of this type that the program set, with the pointer it set.
            Some(callback) => unsafe { (callback.function)(callback.user, text.as_ptr().cast(), text.len()) },
            // A standard error that is closed or full is no reason to fail.
            None => _ = std::io::stderr().write_all(text.as_bytes()),
        }
    });
}
