//! The C library: `libhighwater.so` and `libhighwater.a`.
//!
//! The allocation itself is in `include/highwater.h`, inlined into the program. Here are the functions that it calls: arenas
//! and their policies, the failing sides of checks, reports and figures. The header describes every function; comments here
//! add what the implementation has to know.
//!
//! Pointers that may be NULL by the header are checked, numbers that stand for enumerations are checked, and a panic leaves
//! no function: those with a status return `HIGHWATER_ERROR_INTERNAL`, the others write a line and abort.

#![allow(clippy::result_large_err, reason = "an error is made where it stays: nothing is allocated for it")]

mod abi;
mod arena;
mod cursor;
mod debug;
mod engine;
mod error;
mod fault;
mod figures;
mod hook;
mod options;
mod refusal;
mod report;
mod vec;

use core::ffi::c_char;
use highwater::Engine;

// What the build script decided is what the library was built as: the symbols that the header asks for say so.
const _: () = assert!(
    matches!(highwater::engine(), Engine::Fault) == cfg!(highwater_fault),
    "the engine of the C library is not the library's: build it with the feature `explicit` of this package"
);

#[unsafe(no_mangle)]
extern "C" fn hw_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// A part of the version.
const fn number(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("a version is made of numbers"),
    }
}

#[unsafe(no_mangle)]
extern "C" fn hw_version_number() -> u32 {
    const NUMBER: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | number(env!("CARGO_PKG_VERSION_PATCH"));
    NUMBER
}
