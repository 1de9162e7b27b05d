//! Threads that begin and end.

mod support;

use std::time::Duration;
use support::{POLICIES, SETTINGS, Setting, build, here, run_within, skip};

fn run_case(settings: &[Setting], case: &str) {
    if here() {
        build("threads.c").everywhere(settings, case);
    }
}

#[test]
fn ten_thousand_threads_need_little() {
    run_case(&["default", "general HIGHWATER_HARDENED=1"], "ten thousand");
}

#[test]
fn threads_with_the_smallest_stacks() {
    run_case(SETTINGS, "small stacks");
}

#[test]
fn destructors_of_threads_allocate() {
    run_case(POLICIES, "destructors");
}

#[test]
fn hundreds_of_threads() {
    run_case(SETTINGS, "hundreds");
}

#[test]
fn threads_that_are_cancelled() {
    run_case(POLICIES, "cancelled");
}

#[test]
fn the_main_thread_ends_first() {
    run_case(SETTINGS, "main thread ends");
}

/// More threads at once than have a heap of their own.
#[test]
fn more_threads_than_heaps() {
    if !here() {
        return;
    }
    for setting in ["glibc", "default", "blocks"] {
        let ended = build("threads.c").run(setting, ["thousands"]);
        if ended.assert_quiet().stdout.contains("too few") {
            return skip(ended.stdout.trim_end());
        }
    }
}

#[test]
#[ignore = "long: .ci/deep runs it"]
fn ten_thousand_threads_of_every_policy() {
    if !here() {
        return;
    }
    for setting in POLICIES {
        let command = build("threads.c").command(setting, ["ten thousand"]);
        run_within(command, Duration::from_secs(300)).assert_quiet();
    }
}
