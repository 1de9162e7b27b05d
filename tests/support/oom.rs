//! Children that are refused memory: why they could not be, how they ended, and what they said of it.

use super::{Ended, child_with, skip};
use highwater::OutOfMemory;
use serde_json::Value;
use std::process::Command;

const CANNOT: &str = "this system cannot: ";

/// Ends a child that cannot do on this system what it was started for; [`child`] skips the test then.
pub fn cannot(reason: &str) -> ! {
    println!("{CANNOT}{reason}");
    std::process::exit(0);
}

/// What a child said, unless it could not do what it was started for: then the running test is skipped.
pub fn unless_skipped(ended: Ended) -> Option<Ended> {
    match ended.stdout.lines().find_map(|line| line.split_once(CANNOT)) {
        Some((_, reason)) => {
            skip(reason);
            None
        }
        None => Some(ended),
    }
}

/// Runs a case in a child without backtraces, which take more memory than it may have left; `None` where the case
/// cannot run.
pub fn child(case: &str) -> Option<Ended> {
    child_changed(case, |_| {})
}

/// [`child`] with changes to the command.
pub fn child_changed(case: &str, change: impl FnOnce(&mut Command)) -> Option<Ended> {
    unless_skipped(child_with(case, |command| {
        command.env("RUST_BACKTRACE", "0");
        change(command);
    }))
}

/// An error's report as JSON.
#[track_caller]
pub fn json(error: &OutOfMemory) -> Value {
    parsed(&error.report().to_json())
}

#[track_caller]
pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The first line of the report that a child wrote.
#[track_caller]
pub fn first_line(ended: &Ended) -> &str {
    let line = ended.stderr.lines().find(|line| line.starts_with("highwater: "));
    line.unwrap_or_else(|| panic!("no report: {ended:#?}"))
}

/// What a panic said.
pub fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => String::new(),
    }
}

/// Has this process print a stack trace when it aborts, on a signal stack that has room for that.
#[cfg(target_os = "linux")]
pub fn trace_abort() {
    extern "C" fn trace(_signal: libc::c_int) {
        // In a child that is about to die, and that was interrupted while it wrote to an arena: nobody has malloc's
        // lock. What was limited is not any more.
        super::limits::lift_limits();
        eprintln!("{}", std::backtrace::Backtrace::force_capture());
    }
    let stack = vec![0u8; 1 << 20].leak();
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the stack lives as long as the process, and the handler's type is that of one without SA_SIGINFO.
    unsafe {
        assert_eq!(libc::sigaltstack(&stack, std::ptr::null_mut()), 0);
        assert_ne!(libc::signal(libc::SIGABRT, trace as *const () as usize), libc::SIG_ERR);
    }
}

/// A child whose growth by fault was refused: it told why and aborted, in a function of that name.
#[track_caller]
pub fn assert_aborted(ended: &Ended, cause: &str) {
    ended.assert_signal(libc::SIGABRT);
    let line = first_line(ended);
    assert!(line.contains(" out of memory: growing by ") && line.contains(", used ≥ "), "{line}");
    let function = format!("highwater_oom_{}", cause.replace('-', "_"));
    // Where nothing can be mapped any more, symbols cannot be read either.
    let traced = ended.stderr.contains("highwater::fault::");
    assert!(!traced || ended.stderr.contains(&function), "no {function} in {ended:#?}");
}
