//! Vectors that do not move.

mod body;
mod kernel;
mod limits;
mod model;
mod panics;
mod refused;
mod refused_children;
mod serde;
mod shared;
mod sizes;
#[path = "../support/mod.rs"]
mod support;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        #[cfg(target_os = "linux")]
        refused_children::CASES,
        #[cfg(feature = "serde")]
        serde::CASES,
        #[cfg(target_os = "linux")]
        sizes::CASES,
    ]);
}
