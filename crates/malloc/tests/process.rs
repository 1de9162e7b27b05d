//! What a program does as a process: forks, signals, descriptors, children.

mod support;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use support::{POLICIES, SETTINGS, Setting, build, here, run_within};

fn run_case(settings: &[Setting], case: &str) {
    if here() {
        build("process.c").everywhere(settings, case);
    }
}

#[test]
fn a_storm_of_forks() {
    run_case(&["default", "general HIGHWATER_HARDENED=1"], "fork storm");
    run_case(SETTINGS, "fork gust");
}

/// Whose handlers of forks allocate, and were there before our first allocation or came after it.
#[test]
fn forks_from_several_threads() {
    run_case(POLICIES, "forks in threads");
}

#[test]
fn handlers_that_interrupt_the_allocator() {
    run_case(SETTINGS, "signals");
}

#[test]
fn handlers_that_fork_or_end_the_process() {
    run_case(POLICIES, "forks in a handler");
    if here() {
        for setting in
            ["glibc", "general HIGHWATER_STATS=1", "bump HIGHWATER_STATS=1", "blocks HIGHWATER_STATS=1"]
        {
            for _ in 0..5 {
                build("process.c").run(setting, ["exits in a handler"]).assert_success();
            }
        }
    }
}

#[test]
fn other_programs_are_run() {
    run_case(POLICIES, "others run");
}

#[test]
fn the_first_file_is_the_third() {
    run_case(SETTINGS, "descriptors");
}

#[test]
fn all_files_are_closed() {
    run_case(SETTINGS, "closes all");
    run_case(&["general HIGHWATER_STATS=1", "blocks HIGHWATER_STATS=1"], "closes all");
}

#[test]
fn a_program_dies_as_ever() {
    if !here() {
        return;
    }
    for setting in ["glibc"].iter().chain(SETTINGS) {
        for (case, signal) in [("dies of a fault", libc::SIGSEGV), ("aborts", libc::SIGABRT)] {
            let ended = build("process.c").run(setting, [case]);
            assert_eq!(ended.status.signal(), Some(signal), "{setting}: {ended:#?}");
        }
    }
}

#[test]
#[ignore = "long: .ci/deep runs it"]
fn a_long_storm_of_forks() {
    if !here() {
        return;
    }
    for setting in POLICIES.iter().chain(&["general HIGHWATER_HARDENED=1"]) {
        let command = build("process.c").command(setting, ["long fork storm"]);
        run_within(command, Duration::from_secs(120)).assert_quiet();
    }
}
