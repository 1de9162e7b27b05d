//! Guards: what they stop, what is said about it, and what they cost.

mod attacks;
mod bounds;
mod kinds;
mod kinds_table;
mod log;
mod many;
mod placed;
mod report;
mod report_handlers;
mod sinks;
#[path = "../support/mod.rs"]
mod support;
mod survive;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        attacks::CASES,
        #[cfg(target_os = "linux")]
        kinds::CASES,
        #[cfg(target_os = "linux")]
        log::CASES,
        #[cfg(target_os = "linux")]
        many::CASES,
        #[cfg(target_os = "linux")]
        placed::CASES,
        #[cfg(target_os = "linux")]
        report::CASES,
        #[cfg(target_os = "linux")]
        report_handlers::CASES,
    ]);
}
