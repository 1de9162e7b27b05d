//! A second copy of the library for a process that has one already, behind C functions.

use highwater::{Growth, Region, fault};

/// Makes a region of 64 MiB that grows page by page; null if that cannot be had.
#[unsafe(no_mangle)]
pub extern "C" fn second_make() -> *mut Region {
    match Region::builder().name("second").reserve(64 << 20).growth(Growth::Fixed(4096)).try_build() {
        Ok(region) => Box::into_raw(Box::new(region)),
        Err(_) => std::ptr::null_mut(),
    }
}

/// Touches the first byte of each page up to `bytes`; returns how often the region has grown by fault.
///
/// # Safety
/// The region is one of [`second_make`], not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn second_grow(region: *const Region, bytes: usize) -> u64 {
    // SAFETY: the caller's promise.
    let region = unsafe { &*region };
    if highwater::engine() == highwater::Engine::Explicit && region.ensure(bytes).is_err() {
        return u64::MAX;
    }
    for offset in (0..bytes.min(region.reserved_bytes())).step_by(4096) {
        // SAFETY: the offset is in the reservation.
        unsafe { region.as_ptr().add(offset).write_volatile(offset as u8) };
    }
    region.stats().faults
}

/// Frees a region.
///
/// # Safety
/// The region is one of [`second_make`], not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn second_free(region: *mut Region) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(region) });
}

/// Whether this copy has the front.
#[unsafe(no_mangle)]
pub extern "C" fn second_is_front() -> bool {
    fault::is_front()
}

/// Puts this copy in front.
#[unsafe(no_mangle)]
pub extern "C" fn second_ensure_front() -> bool {
    fault::ensure_front().is_ok()
}

/// Touches memory that is refused, with a hook that stops a debugger and ends the process.
#[unsafe(no_mangle)]
pub extern "C" fn second_refused() {
    use highwater::oom::{Answer, Injection, Response};
    fn hook(_: &highwater::OutOfMemory) -> Answer {
        // SAFETY: the numbers are valid.
        unsafe {
            libc::raise(libc::SIGTRAP);
            libc::_exit(7)
        }
    }
    // SAFETY: the hook is async-signal-safe.
    let response = unsafe { Response::hook(hook) };
    let region = Region::builder().reserve(64 << 20).on_refusal(response).inject(Injection::after(0)).build();
    // SAFETY: the offset is in the reservation.
    unsafe { region.as_ptr().add(32 << 20).write_volatile(1) };
}
