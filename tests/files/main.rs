//! Regions over files, and what of memory is made present.

mod backing;
mod full;
mod policies;
mod populate;
#[path = "../support/mod.rs"]
mod support;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        #[cfg(target_os = "linux")]
        backing::CASES,
        #[cfg(target_os = "linux")]
        full::CASES,
        #[cfg(target_os = "linux")]
        policies::CASES,
    ]);
}
