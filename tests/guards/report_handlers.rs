//! How a process ends after a report: the handler that was there before, abort, and a closed standard error.
#![cfg(target_os = "linux")]

use super::report::{debug, detail, overflow};
use crate::support;
use core::ffi::{c_int, c_void};
use highwater::{GuardPolicy, OnViolation, Region};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::guards::{to_stderr, touch};
use support::raw::{self, page};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("own_handler", own_handler),
    ("own_handler_goes_on", own_handler_goes_on),
    ("abort_named", abort_named),
    ("no_stderr", no_stderr),
];

#[test]
fn a_handler_from_before_us_gets_the_fault_after_the_report() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("own_handler");
    assert_eq!(ended.status.code(), Some(9), "{ended:#?}");
    let report = ended.stderr.find("overflow by 1 byte").unwrap();
    assert!(report < ended.stderr.find("the program's own handler").unwrap(), "{ended:#?}");
}

unsafe extern "C" fn leave(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    to_stderr("the program's own handler\n");
    raw::exit_now(9);
}

fn own_handler() {
    raw::set_action(leave as raw::Handler as usize, libc::SA_SIGINFO | libc::SA_ONSTACK, &[]);
    overflow(&debug(GuardPolicy::default()));
}

#[test]
fn a_handler_that_returns_gets_the_same_fault_again_without_endless_reports() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("own_handler_goes_on");
    assert_eq!(ended.status.code(), Some(9), "{ended:#?}");
    let reports = ended.stderr.matches("overflow by 1 byte").count();
    assert!((1..100).contains(&reports), "{reports} reports: {ended:#?}");
}

unsafe extern "C" fn come_back(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    if CALLS.fetch_add(1, SeqCst) == 1000 {
        raw::exit_now(9);
    }
}

fn own_handler_goes_on() {
    raw::set_action(come_back as raw::Handler as usize, libc::SA_SIGINFO | libc::SA_ONSTACK, &[]);
    overflow(&debug(GuardPolicy::default()));
}

#[test]
fn abort_is_called_by_a_function_named_after_the_kind() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("abort_named");
    ended.assert_signal(libc::SIGABRT);
    assert!(ended.stderr.contains("highwater_guard_placed_guard"), "{ended:#?}");
    assert!(!ended.stderr.contains("highwater_guard_overflow"), "{ended:#?}");
    assert!(detail(&ended, "next ") == "abort", "{ended:#?}");
}

unsafe extern "C" fn print_stack(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    // Not what a handler should do; nothing else runs in this process.
    to_stderr(&format!("{}\n", std::backtrace::Backtrace::force_capture()));
}

fn abort_named() {
    // Room for more than a handler on the stack for signals.
    let stack = vec![0u8; 4 << 20].leak();
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the stack lives as long as the process; zeroes are an action; the handler is a function.
    unsafe {
        assert_eq!(libc::sigaltstack(&stack, std::ptr::null_mut()), 0);
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = print_stack as raw::Handler as usize;
        assert_eq!(libc::sigaction(libc::SIGABRT, &action, std::ptr::null_mut()), 0);
    }
    let guard = GuardPolicy::default().on_violation(OnViolation::Abort).at(0..page());
    let region = Region::builder().name("told").reserve(1 << 20).guard(guard).build();
    touch(region.as_ptr().expose_provenance(), true);
}

#[test]
fn a_closed_standard_error_changes_nothing() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("no_stderr");
    ended.assert_signal(libc::SIGSEGV);
    assert_eq!(ended.stderr, "");
}

fn no_stderr() {
    // SAFETY: nothing of this process needs it.
    unsafe { libc::close(2) };
    overflow(&debug(GuardPolicy::default()));
}
