//! What a backtrace from inside a fault shows: the frames of whoever touched the memory.
#![cfg(target_os = "linux")]

use crate::support;
use core::ffi::{c_int, c_void};
use highwater::guard::{Violation, set_hook};
use highwater::oom::{Answer, Injection, Response};
use highwater::{Arena, OutOfMemory, Region};
use std::backtrace::Backtrace;
use std::hint::black_box;
use support::raw::{exit_now, page};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("refusal, std", || refused(|_| print(Backtrace::force_capture().to_string()))),
    ("refusal, glibc", || refused(|_| print(by_glibc()))),
    ("violation, std", || violated(|_| _ = print(Backtrace::force_capture().to_string()))),
    ("violation, glibc", || violated(|_| _ = print(by_glibc()))),
    ("refusal, on another thread", || {
        let _ = std::thread::spawn(|| refused(|_| print(Backtrace::force_capture().to_string()))).join();
    }),
];

/// Nothing was interrupted that allocates or holds a lock, so a hook of this file may.
fn print(trace: String) -> Answer {
    eprintln!("{trace}");
    exit_now(7)
}

/// What glibc's `backtrace` finds of the function below; it unwinds by the same tables as C++ and libunwind.
#[cfg(target_env = "gnu")]
fn by_glibc() -> String {
    unsafe extern "C" {
        fn backtrace(buffer: *mut *mut c_void, size: c_int) -> c_int;
    }
    let mut frames = [std::ptr::null_mut(); 64];
    // SAFETY: there is room for so many.
    let found = unsafe { backtrace(frames.as_mut_ptr(), 64) };
    let ours = first_user_frame as *const () as usize;
    let is_ours = |frame: &*mut c_void| frame.addr().wrapping_sub(ours) < 256;
    let shows = frames[..usize::try_from(found).unwrap()].iter().any(is_ours);
    format!("{found} frames, {}", if shows { "first_user_frame" } else { "none of the user's" })
}

#[cfg(not(target_env = "gnu"))]
fn by_glibc() -> String {
    "first_user_frame".into()
}

/// What a backtrace has to show.
#[inline(never)]
extern "C" fn first_user_frame(place: *mut u8) {
    // SAFETY: of an arena's reservation; the tests expect it to be refused.
    unsafe { black_box(place).write_volatile(1) };
    black_box(());
}

fn refused(hook: fn(&OutOfMemory) -> Answer) {
    // SAFETY: the hook ends the process, and interrupts code that holds nothing.
    let response = unsafe { Response::hook(hook) };
    let builder = Region::builder().reserve(64 << 20).head(page()).on_refusal(response);
    let region = builder.inject(Injection::after(0)).build();
    first_user_frame(region.as_ptr().wrapping_add(32 << 20));
}

fn violated(hook: fn(&Violation)) {
    // SAFETY: as above.
    unsafe { set_hook(Some(hook)) };
    let arena = Arena::builder().reserve(1 << 20).checked().build();
    let block = arena.alloc([1u64; 4]).as_mut_ptr().cast::<u8>();
    first_user_frame(block.wrapping_add(32));
}

#[track_caller]
fn shows_the_user(case: &str) {
    let ended = support::child(case);
    assert_eq!(ended.status.code(), Some(7), "{ended:#?}");
    assert!(ended.stderr.contains("first_user_frame"), "{ended:#?}");
}

#[test]
fn a_refusal_hook_sees_the_frames_of_the_write() {
    if support::has_faults() {
        shows_the_user("refusal, std");
        shows_the_user("refusal, glibc");
        shows_the_user("refusal, on another thread");
    }
}

#[test]
fn a_violation_hook_sees_the_frames_of_the_access() {
    if support::has_faults() {
        shows_the_user("violation, std");
        shows_the_user("violation, glibc");
    }
}
