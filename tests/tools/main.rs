//! Test programs under debuggers and valgrind. A small binary of its own, whose symbols are read quickly.

mod debuggers;
#[path = "../support/mod.rs"]
mod support;
mod valgrind;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        #[cfg(target_os = "linux")]
        debuggers::CASES,
        #[cfg(target_os = "linux")]
        valgrind::CASES,
    ]);
}
