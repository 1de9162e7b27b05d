//! The SIGSEGV handler, for programs that have one of their own.

use crate::abi::{HwError, Status};
use crate::error::{plain, status};
use core::ffi::{c_int, c_void};
use highwater::fault;

#[unsafe(no_mangle)]
extern "C" fn hw_fault_install(error: *mut HwError) -> Status {
    status(error, || Ok(fault::install()?))
}

#[unsafe(no_mangle)]
extern "C" fn hw_fault_is_front() -> bool {
    plain(fault::is_front)
}

#[unsafe(no_mangle)]
extern "C" fn hw_fault_ensure_front(error: *mut HwError) -> Status {
    status(error, || Ok(fault::ensure_front()?))
}

#[unsafe(no_mangle)]
extern "C" fn hw_fault_prepare_thread(error: *mut HwError) -> Status {
    status(error, || Ok(fault::prepare_thread()?))
}

#[unsafe(no_mangle)]
extern "C" fn hw_fault_is_thread_prepared() -> bool {
    plain(fault::is_thread_prepared)
}

/// Called inside a signal handler, where nothing panics, so that nothing has to be caught.
#[unsafe(no_mangle)]
unsafe extern "C" fn hw_fault_try_handle(signal: c_int, info: *mut c_void, context: *mut c_void) -> bool {
    if info.is_null() || context.is_null() {
        return false;
    }
    // SAFETY: `info` and `context` are not null, so they are the arguments of a signal handler: required by the header.
    unsafe { fault::try_handle(signal, info.cast(), context) }
}
