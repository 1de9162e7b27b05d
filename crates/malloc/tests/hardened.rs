//! The hardened mode names what a program does wrong, and ends it.

mod support;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use support::{Ended, build, here, run};

/// Every mistake is found when the block comes back.
const HARDENED: &str = "default HIGHWATER_HARDENED=1 HIGHWATER_GUARDS=0";
/// Sizes of blocks that `hardened.c` knows, and how many of them have at most a page: larger blocks have no guards.
const SIZES: usize = 13;
const GUARDED: usize = 7;

/// Runs a case with so many sizes of blocks, from the smallest.
#[track_caller]
fn with_sizes(sizes: core::ops::Range<usize>, setting: &'static str, case: &str, look: impl Fn(&Ended)) {
    if here() {
        let program = build("hardened.c");
        sizes.for_each(|number| look(&program.run(setting, [case, &number.to_string()])));
    }
}

#[track_caller]
fn aborts(cases: &[&str], words: &str) {
    for case in cases {
        with_sizes(0..SIZES, HARDENED, case, |ended| _ = ended.assert_died(libc::SIGABRT, words));
    }
}

#[test]
fn a_double_free() {
    aborts(
        &["double free", "double free later", "double free elsewhere", "realloc of a freed block"],
        "double free",
    );
}

#[test]
fn a_pointer_into_a_block() {
    aborts(&["interior", "interior by one", "interior realloc"], "interior pointer");
    // The middle of a single byte is its beginning.
    with_sizes(1..SIZES, HARDENED, "interior middle", |ended| {
        ended.assert_died(libc::SIGABRT, "interior pointer");
    });
}

#[test]
fn a_pointer_to_a_stack() {
    aborts(&["stack", "stack of a thread"], "stack");
}

#[test]
fn a_pointer_to_anything_else() {
    aborts(
        &["variable", "function", "made up low", "made up", "made up high", "realloc of a variable"],
        "foreign",
    );
}

#[test]
fn a_byte_too_many() {
    aborts(&["overflow", "overflow by zero", "overflow then realloc", "overflow of calloc"], "overflow");
    aborts(&["overflow after realloc", "overflow after shrinking", "overflow of aligned"], "overflow");
    aborts(&["overflow freed elsewhere"], "overflow");
}

/// With guards the program is stopped where it writes or reads.
#[test]
fn a_freed_block_is_used() {
    for case in ["write after free", "read after free"] {
        for setting in ["default HIGHWATER_GUARDS=1", "default HIGHWATER_GUARDS=1 HIGHWATER_HARDENED=1"] {
            with_sizes(0..GUARDED, setting, case, |ended| {
                _ = ended.assert_died(libc::SIGSEGV, "use after free")
            });
        }
    }
}

/// A signal that was sent goes to the action from before the library's, and the library's handler stays.
#[test]
fn a_freed_block_is_used_after_signals_that_are_ignored() {
    if !here() {
        return;
    }
    let mut command =
        build("hardened.c").command("default HIGHWATER_GUARDS=1", ["write after free and signals", "3"]);
    // SAFETY: the closure makes one system call.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGSEGV, libc::SIG_IGN);
            Ok(())
        });
    }
    run(command).assert_died(libc::SIGSEGV, "use after free");
}

#[test]
fn a_write_beyond_a_guarded_block() {
    with_sizes(0..GUARDED, "default HIGHWATER_GUARDS=1", "write beyond", |ended| {
        ended.assert_died(libc::SIGSEGV, "overflow");
    });
}

/// Blocks with guards are looked at as well when they come back: of some, and of all.
#[test]
fn mistakes_with_guarded_blocks() {
    let mistakes = [
        ("double free", "double free"),
        ("double free elsewhere", "double free"),
        ("realloc of a freed block", "free"),
        ("interior by one", "interior pointer"),
        ("overflow", "overflow"),
        ("overflow then realloc", "overflow"),
        ("overflow of calloc", "overflow"),
        ("overflow after shrinking", "overflow"),
        ("stack", "stack"),
        ("made up", "foreign"),
    ];
    for setting in ["default HIGHWATER_HARDENED=1", "default HIGHWATER_HARDENED=1 HIGHWATER_GUARDS=1"] {
        for (case, words) in mistakes {
            with_sizes(0..SIZES, setting, case, |ended| {
                let is_known = [Some(libc::SIGABRT), Some(libc::SIGSEGV)].contains(&ended.status.signal());
                assert!(is_known && ended.stderr.contains(words), "{words} in {ended:#?}");
                assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
            });
        }
    }
}

/// What is right is never named wrong: the long cases of the other programs, with everything switched on.
#[test]
fn programs_without_mistakes() {
    if !here() {
        return;
    }
    let settings =
        [HARDENED, "default HIGHWATER_GUARDS=1", "default HIGHWATER_GUARDS=3 HIGHWATER_HARDENED=1"];
    for setting in settings {
        let cases = ["sizes", "zero", "huge", "alignments", "extras", "libc"];
        build("contract.c").run(setting, cases).assert_quiet();
        build("contents.c").run(setting, ["realloc steps"]).assert_quiet();
        build("churn.c").run(setting, ["reallocation", "swapped"]).assert_quiet();
    }
}
