//! Growth by touch, and the signal that it takes.

mod backtrace;
mod blocked;
mod engines;
mod foreign;
mod growth;
mod handlers;
mod kernel;
mod many_copies;
mod masks;
mod reporters;
mod seccomp;
mod second_copy;
mod second_copy_gdb;
mod sent;
mod stacks;
#[path = "../support/mod.rs"]
mod support;
mod trim;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        #[cfg(target_os = "linux")]
        backtrace::CASES,
        #[cfg(target_os = "linux")]
        blocked::CASES,
        engines::CASES,
        #[cfg(target_os = "linux")]
        foreign::CASES,
        #[cfg(target_os = "linux")]
        handlers::CASES,
        #[cfg(target_os = "linux")]
        masks::CASES,
        #[cfg(target_os = "linux")]
        reporters::CASES,
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
        seccomp::CASES,
        #[cfg(target_os = "linux")]
        second_copy::CASES,
        #[cfg(target_os = "linux")]
        sent::CASES,
        #[cfg(target_os = "linux")]
        stacks::CASES,
        #[cfg(target_os = "linux")]
        many_copies::CASES,
        #[cfg(target_os = "linux")]
        second_copy_gdb::CASES,
    ]);
}
