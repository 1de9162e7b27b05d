//! Limits of the process and of the machine that keep a region from being made or from growing.

mod build;
mod locked;
mod policies;
mod refused_steps;
mod resources;
mod space;
#[path = "../support/mod.rs"]
mod support;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        #[cfg(target_os = "linux")]
        build::CASES,
        #[cfg(target_os = "linux")]
        locked::CASES,
        policies::CASES,
        #[cfg(target_os = "linux")]
        refused_steps::CASES,
        #[cfg(target_os = "linux")]
        resources::CASES,
        space::CASES,
    ]);
}
