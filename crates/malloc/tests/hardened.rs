//! The hardened mode names what a program does wrong, and ends it.

mod support;

use support::{Ended, SETTINGS, build, here};

const HARDENED: &str = "default HIGHWATER_HARDENED=1";
/// Sizes of blocks that `hardened.c` knows.
const SIZES: usize = 13;

/// Runs a case with every size of block.
fn with_all_sizes(setting: &'static str, case: &str, look: impl Fn(&Ended)) {
    if !here() {
        return;
    }
    let program = build("hardened.c");
    for number in 0..SIZES {
        look(&program.run(setting, [case, &number.to_string()]));
    }
    assert_eq!(
        program.run("glibc", [case, &SIZES.to_string()]).status.code(),
        Some(7),
        "there is one more size"
    );
}

#[track_caller]
fn aborts(cases: &[&str], words: &str) {
    for case in cases {
        with_all_sizes(HARDENED, case, |ended| _ = ended.assert_died(libc::SIGABRT, words));
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
    // Of a block of 1 byte the middle is its beginning, and 16 bytes on is another block or none.
    for case in ["interior", "interior middle", "interior by one", "interior realloc"] {
        with_all_sizes(HARDENED, case, |ended| {
            ended.assert_died(libc::SIGABRT, "interior pointer");
        });
    }
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

/// With guards the program is stopped where it writes.
#[test]
fn a_freed_block_is_used() {
    for case in ["write after free", "read after free"] {
        for setting in ["default HIGHWATER_GUARDS=1", "default HIGHWATER_GUARDS=1 HIGHWATER_HARDENED=1"] {
            with_all_sizes(setting, case, |ended| _ = ended.assert_died(libc::SIGSEGV, "use after free"));
        }
    }
}

#[test]
fn a_write_beyond_a_guarded_block() {
    with_all_sizes("default HIGHWATER_GUARDS=1", "write beyond", |ended| {
        ended.assert_died(libc::SIGSEGV, "overflow");
    });
}

/// What is right is never named wrong: the long cases of the other programs, with everything switched on.
#[test]
fn programs_without_mistakes() {
    if !here() {
        return;
    }
    let settings =
        [HARDENED, "default HIGHWATER_GUARDS=1", "default HIGHWATER_GUARDS=3 HIGHWATER_HARDENED=1"];
    for setting in settings.iter().chain(SETTINGS) {
        let cases = ["sizes", "zero", "huge", "alignments", "extras", "realloc steps", "libc"];
        build("contract.c").run(setting, cases).assert_quiet();
        build("churn.c").run(setting, ["reallocation", "swapped"]).assert_quiet();
    }
}
