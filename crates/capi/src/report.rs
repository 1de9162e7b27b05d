//! Where reports go, and the violation hook.

use crate::abi::{HwError, HwTextFunction, HwViolation, HwViolationHook, Status};
use crate::error::{plain, status};
use crate::hook::CallbackCell;
use crate::options;
use core::ffi::{CStr, c_char, c_int, c_void};
use highwater::guard::{Access, Violation, ViolationKind, set_hook};
use highwater::internal::capi::CursorRegion;
use highwater::oom;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::ptr::null_mut;

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_report_to_file(path: *const c_char, error: *mut HwError) -> Status {
    status(error, || {
        let file = if path.is_null() {
            None
        } else {
            // SAFETY: not null, so it is a string: the header's contract.
            let path = OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes());
            Some(File::options().create(true).append(true).open(path)?)
        };
        report_to(file)
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_report_to_fd(fd: c_int, error: *mut HwError) -> Status {
    status(error, || {
        let file = if fd == -1 {
            None
        } else {
            // SAFETY: fcntl accepts any number as a descriptor, and changes none that is open.
            let own = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
            if own < 0 {
                return Err(std::io::Error::last_os_error().into());
            }
            // SAFETY: the descriptor was made just now, and nothing else closes it.
            Some(unsafe { File::from_raw_fd(own) })
        };
        report_to(file)
    })
}

/// Sends reports to a file, which the portable calls cannot.
fn report_to(file: Option<File>) -> Result<(), HwError> {
    if cfg!(highwater_portable) && file.is_some() {
        let message = format_args!("reports go to standard error, or to a function, in a portable build");
        return Err(HwError::new(Status::System, message));
    }
    oom::report_to_file(file);
    Ok(())
}

static TEXT: CallbackCell<HwTextFunction> = CallbackCell::none();

/// Passes a piece of a report to the program's function. Signal-safe.
fn write_piece(text: &[u8]) {
    if let Some(callback) = TEXT.get() {
        // SAFETY: the hook is the program's, for which the header requires that it is signal-safe and returns.
        unsafe { (callback.function)(callback.user, text.as_ptr().cast(), text.len()) };
    }
}

#[unsafe(no_mangle)]
extern "C" fn hw_report_to_function(function: Option<HwTextFunction>, user: *mut c_void) {
    plain(|| {
        TEXT.set(function, user);
        // SAFETY: `write_piece` is signal-safe: it reads an atomic and calls the program's function, which is.
        unsafe { oom::report_to_sink(function.map(|_| write_piece as fn(&[u8]))) };
    });
}

#[unsafe(no_mangle)]
extern "C" fn hw_set_report_format(format: u32) -> Status {
    let Some(format) = options::format(format) else { return Status::Argument };
    status(null_mut(), || {
        oom::set_report_format(format);
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn hw_dump() {
    plain(CursorRegion::dump);
}

#[unsafe(no_mangle)]
extern "C" fn hw_dump_on_signal(signal: c_int, error: *mut HwError) -> Status {
    status(error, || {
        let forbidden =
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGKILL, libc::SIGSTOP];
        if forbidden.contains(&signal) {
            let message = format_args!("signal {signal} cannot be listened to this way");
            return Err(HwError::new(Status::Argument, message));
        }
        Ok(oom::dump_on_signal(signal)?)
    })
}

static VIOLATION: CallbackCell<HwViolationHook> = CallbackCell::none();

/// The number of a kind: its place among all of them, from 1.
fn kind_number(kind: ViolationKind) -> u32 {
    ViolationKind::ALL.iter().position(|&other| other == kind).map_or(0, |place| place as u32 + 1)
}

/// Calls the program's hook with a violation. Signal-safe.
fn call_hook(violation: &Violation) {
    let Some(callback) = VIOLATION.get() else { return };
    let mut name = [0u8; 41];
    for (to, byte) in name.iter_mut().take(40).zip(violation.name().bytes()) {
        *to = byte;
    }
    let described = HwViolation {
        size: size_of::<HwViolation>(),
        name: name.as_ptr().cast(),
        arena: violation.region(),
        kind: kind_number(violation.kind()),
        access: match violation.access() {
            Access::Unknown => 0,
            Access::Read => 1,
            Access::Write => 2,
        },
        address: violation.address(),
        offset: violation.offset(),
        distance: violation.distance(),
        program_counter: violation.program_counter().unwrap_or(0),
        thread: violation.thread(),
        reserved: 0,
    };
    // SAFETY: the hook is the program's, for which the header requires that it is signal-safe and returns.
    unsafe { (callback.function)(callback.user, &described) };
}

#[unsafe(no_mangle)]
extern "C" fn hw_set_violation_hook(hook: Option<HwViolationHook>, user: *mut c_void) {
    plain(|| {
        VIOLATION.set(hook, user);
        // SAFETY: `call_hook` is signal-safe: it reads an atomic and calls the program's hook, which is.
        unsafe { set_hook(hook.map(|_| call_hook as fn(&Violation))) };
    });
}

#[unsafe(no_mangle)]
extern "C" fn hw_violation_name(kind: u32) -> *const c_char {
    let text: &CStr = match kind {
        0 => c"none",
        1 => c"overflow",
        2 => c"underflow",
        3 => c"use-after-reset",
        4 => c"unallocated",
        5 => c"beyond-reach",
        6 => c"end-of-reservation",
        7 => c"before-head",
        8 => c"placed-guard",
        _ => c"unknown",
    };
    text.as_ptr()
}

// The order of the header's constants is that of the library's list.
const _: () = assert!(ViolationKind::ALL.len() == 8);
