//! Threads, forks and monitors.

mod fork;
mod many;
#[path = "../support/mod.rs"]
mod support;
mod vfork;
mod watch;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        fork::CASES,
        #[cfg(target_os = "linux")]
        vfork::CASES,
        watch::CASES,
    ]);
}
