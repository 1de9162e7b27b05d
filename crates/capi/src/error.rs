//! Errors as C gets them: a status, and the figures and the message in a structure of the program's.

use crate::abi::{HwError, MESSAGE_BYTES, Status};
use core::alloc::Layout;
use core::ffi::{CStr, c_char, c_int};
use core::fmt::{self, Write};
use highwater::internal::capi::CursorRegion;
use highwater::internal::sys::TextBuffer;
use highwater::{BuildError, Cause, GuardError, OutOfMemory};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The number of a cause: its place among all of them, from 1.
pub(crate) fn cause_number(cause: Cause) -> u32 {
    let place = Cause::ALL.iter().position(|other| other.name() == cause.name());
    place.map_or(0, |place| place as u32 + 1)
}

/// The errno of a cause that has one.
pub(crate) fn cause_errno(cause: Cause) -> i32 {
    if let Cause::Kernel(errno) = cause { errno } else { 0 }
}

impl HwError {
    /// No error.
    pub(crate) const NONE: HwError = HwError {
        status: Status::Ok,
        cause: 0,
        system_error: 0,
        reserved: 0,
        requested: 0,
        used: 0,
        limit: 0,
        message: [0; MESSAGE_BYTES],
    };

    /// An error with a message.
    #[cold]
    pub(crate) fn new(status: Status, message: fmt::Arguments<'_>) -> Self {
        let mut error = HwError { status, ..HwError::NONE };
        // (The last byte stays zero.)
        let _ = TextBuffer::new(&mut error.message[..MESSAGE_BYTES - 1]).write_fmt(message);
        error
    }

    /// An argument that cannot be honoured.
    #[cold]
    pub(crate) fn argument(message: &str) -> Self {
        HwError::new(Status::Argument, format_args!("{message}"))
    }

    /// The message, without the zero.
    pub(crate) fn text(&self) -> &str {
        let len = self.message.iter().position(|&byte| byte == 0).unwrap_or(0);
        core::str::from_utf8(&self.message[..len]).unwrap_or_default()
    }
}

impl From<OutOfMemory> for HwError {
    fn from(error: OutOfMemory) -> Self {
        let cause = error.cause();
        HwError {
            cause: cause_number(cause),
            system_error: cause_errno(cause),
            requested: error.requested() as u64,
            used: error.used() as u64,
            limit: error.limit().unwrap_or(0),
            ..HwError::new(Status::Memory, format_args!("{error}"))
        }
    }
}

impl From<std::io::Error> for HwError {
    fn from(error: std::io::Error) -> Self {
        let system_error = error.raw_os_error().unwrap_or(0);
        HwError { system_error, ..HwError::new(Status::System, format_args!("{error}")) }
    }
}

impl From<GuardError> for HwError {
    fn from(error: GuardError) -> Self {
        let system_error = match &error {
            GuardError::Limited { error, .. } | GuardError::Refused(error) => {
                error.raw_os_error().unwrap_or(0)
            }
            _ => 0,
        };
        HwError { system_error, ..HwError::new(Status::Guard, format_args!("{error}")) }
    }
}

impl From<BuildError> for HwError {
    fn from(error: BuildError) -> Self {
        let message = HwError::new(Status::Memory, format_args!("{error}")).message;
        let status = match &error {
            BuildError::AddressSpace { .. } | BuildError::Refused { .. } | BuildError::Allocator { .. } => {
                Status::Memory
            }
            BuildError::File { error, .. } if error.raw_os_error() == Some(libc::ENOSPC) => Status::Memory,
            BuildError::File { error, .. } | BuildError::Handler(error) => {
                let system_error = error.raw_os_error().unwrap_or(0);
                return HwError { status: Status::System, system_error, message, ..HwError::NONE };
            }
            BuildError::Guard(_) => {
                return HwError { status: Status::Guard, message, ..HwError::NONE };
            }
            // A head, a limit, a step or a reserve that is wrong.
            _ => return HwError { status: Status::Options, message, ..HwError::NONE },
        };
        HwError { status, message, ..HwError::from(OutOfMemory::from(error)) }
    }
}

/// Calls the body of a function with a status. A panic is caught: nothing unwinds into C.
pub(crate) fn status(error: *mut HwError, body: impl FnOnce() -> Result<(), HwError>) -> Status {
    let _cancellable_again = CancelDisabled::new();
    let outcome = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) if error.is_null() => return Status::Ok,
        Ok(Ok(())) => HwError::NONE,
        Ok(Err(failure)) => failure,
        Err(panic) => HwError::new(Status::Internal, format_args!("internal error: {}", panic_text(&*panic))),
    };
    if !error.is_null() {
        // SAFETY: not null, so it can be written to: the header's contract.
        unsafe { error.write(outcome) };
    }
    outcome.status
}

/// Calls the body of a function without a status. A panic ends the process: there is no way to return an error.
pub(crate) fn plain<T>(body: impl FnOnce() -> T) -> T {
    let _cancellable_again = CancelDisabled::new();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(panic) => abort_with(format_args!("internal error: {}", panic_text(&*panic))),
    }
}

/// Writes that a function with a status succeeded.
pub(crate) fn succeed(error: *mut HwError) {
    if !error.is_null() {
        // SAFETY: not null, so it can be written to: the header's contract.
        unsafe { error.write(HwError::NONE) };
    }
}

/// While it lives the thread is not cancelled (`pthread_cancel`): it would be unwound from a system call, through frames
/// that nothing may unwind.
struct CancelDisabled {
    before: c_int,
}

#[cfg(target_os = "linux")]
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}

impl CancelDisabled {
    fn new() -> Self {
        #[cfg(target_os = "linux")]
        {
            /// `PTHREAD_CANCEL_DISABLE`, of glibc and of musl.
            const DISABLE: c_int = 1;
            let mut before = 0;
            // SAFETY: the state is a valid one, and `before` can be written to.
            unsafe { pthread_setcancelstate(DISABLE, &mut before) };
            CancelDisabled { before }
        }
        #[cfg(not(target_os = "linux"))]
        CancelDisabled { before: 0 }
    }
}

impl Drop for CancelDisabled {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the state is the one from before, and the null pointer says that the other is not wanted.
        unsafe {
            pthread_setcancelstate(self.before, core::ptr::null_mut())
        };
    }
}

fn panic_text(panic: &(dyn core::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}

/// Writes a line where reports go, and ends the process: for mistakes of the program, or of the library.
#[cold]
#[inline(never)]
pub(crate) fn abort_with(message: fmt::Arguments<'_>) -> ! {
    CursorRegion::write_line(format_args!("highwater: {message}"));
    highwater_misuse()
}

/// It is named in stack traces.
#[inline(never)]
fn highwater_misuse() -> ! {
    std::process::abort()
}

/// A sentence for a status.
#[unsafe(no_mangle)]
pub extern "C" fn hw_strerror(status: u32) -> *const c_char {
    let text: &CStr = match status {
        0 => c"success",
        1 => c"memory or address space ran out",
        2 => c"a null pointer, or a value that cannot be honoured",
        3 => c"an option that cannot be honoured",
        4 => c"a guard cannot be placed there, or not that way",
        5 => c"the system refused",
        6 => c"internal error",
        _ => c"no status of this library",
    };
    text.as_ptr()
}

/// A word for a cause.
#[unsafe(no_mangle)]
pub extern "C" fn hw_cause_name(cause: u32) -> *const c_char {
    let text: &CStr = match cause {
        0 => c"none",
        1 => c"reservation-exhausted",
        2 => c"region-limit",
        3 => c"process-limit",
        4 => c"address-space",
        5 => c"cgroup-limit",
        6 => c"system-memory",
        7 => c"rlimit-data",
        8 => c"rlimit-as",
        9 => c"overcommit",
        10 => c"map-count",
        11 => c"locked-limit",
        12 => c"disk-full",
        13 => c"huge-pages",
        14 => c"not-inherited",
        15 => c"injected",
        16 => c"kernel",
        17 => c"allocator",
        _ => c"unknown",
    };
    text.as_ptr()
}

// The order of the header's constants is that of the library's list.
const _: () = assert!(Cause::ALL.len() == 17);

/// A value in a box, or the error of a malloc that has no memory for it.
pub(crate) fn boxed<T>(value: T) -> Result<Box<T>, HwError> {
    let layout = Layout::new::<T>();
    assert!(layout.size() > 0, "a box of something");
    // SAFETY: the layout is not empty.
    let place = unsafe { std::alloc::alloc(layout) }.cast::<T>();
    if place.is_null() {
        return Err(BuildError::Allocator { bytes: layout.size() }.into());
    }
    // SAFETY: the block is as large and as aligned as the value, comes from the global allocator, and has no other owner.
    unsafe {
        place.write(value);
        Ok(Box::from_raw(place))
    }
}
