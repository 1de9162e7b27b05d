//! Blocks that carry a tag keep it, whatever happens around them.

mod support;

use std::time::Duration;
use support::{POLICIES, SETTINGS, Setting, build, here, run_within};

fn keeps_tags(settings: &[Setting], case: &str) {
    if here() {
        build("churn.c").everywhere(settings, case);
    }
}

#[test]
fn one_class_in_every_order() {
    keeps_tags(SETTINGS, "single");
}

#[test]
fn a_mixture_of_sizes() {
    keeps_tags(SETTINGS, "mixture");
}

#[test]
fn blocks_that_grow_in_turn() {
    keeps_tags(SETTINGS, "reallocation");
}

#[test]
fn threads_on_their_own() {
    keeps_tags(SETTINGS, "threads");
}

#[test]
fn blocks_that_another_thread_frees() {
    keeps_tags(SETTINGS, "passed on");
    keeps_tags(SETTINGS, "swapped");
}

#[test]
fn blocks_whose_thread_has_ended() {
    keeps_tags(SETTINGS, "after their thread");
}

#[test]
fn memory_is_given_back_meanwhile() {
    keeps_tags(POLICIES, "trimmed");
}

/// What only a program with one thread may ask for.
#[test]
fn without_locks() {
    keeps_tags(&["stack:single-threaded", "bump:single-threaded", "blocks:single-threaded"], "single");
    keeps_tags(&["stack:single-threaded", "bump:single-threaded", "blocks:single-threaded"], "mixture");
}

#[test]
#[ignore = "long: .ci/deep runs it"]
fn long_churn() {
    if !here() {
        return;
    }
    let program = build("churn.c");
    // (Not the stack: what is freed in no order waits there for what lies above.)
    for setting in ["general", "general:checked", "general HIGHWATER_HARDENED=1", "bump", "blocks"] {
        let mut command = program.command(setting, ["soak"]);
        command.env("HIGHWATER_LIMIT", "2GiB");
        run_within(command, Duration::from_secs(300)).assert_quiet();
    }
}
