//! What the library does not do to a process, so that the process may do it.

mod support;

use support::{POLICIES, SETTINGS, Setting, build, here, skip};

fn run_case(settings: &[Setting], case: &str) {
    if here() {
        build("quiet.c").everywhere(settings, case);
    }
}

#[test]
fn signals_are_as_they_were() {
    run_case(&["default", "general:checked", "stack", "bump", "blocks"], "signals");
}

#[test]
fn a_handler_of_the_programs_own() {
    run_case(&["default", "general:checked", "stack", "bump", "blocks"], "own handler");
}

#[test]
fn no_thread_is_started() {
    run_case(SETTINGS, "threads");
}

#[test]
fn untouched_memory_is_not_there() {
    run_case(POLICIES, "untouched");
}

/// Runs a case that says on standard output why it cannot run.
fn run_where_possible(settings: &[Setting], case: &str) {
    if !here() {
        return;
    }
    for setting in ["glibc"].iter().chain(settings) {
        let ended = build("quiet.c").run(setting, [case]);
        if !ended.assert_quiet().stdout.is_empty() {
            return skip(ended.stdout.trim_end());
        }
    }
}

#[test]
fn all_memory_is_locked() {
    run_where_possible(POLICIES, "locked");
}

#[test]
fn in_a_sandbox_that_refuses() {
    run_where_possible(POLICIES, "sandbox refuses");
}

#[test]
fn in_a_sandbox_that_kills() {
    run_where_possible(POLICIES, "sandbox kills");
}
