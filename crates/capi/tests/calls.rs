//! What every function answers, asked from C and C++ at every level of optimisation.

mod support;

use support::{Compiler, GCC, Link, Program, available, build, compilers, has_faults, skip};

/// Compiles a program in every way there is, and gives each to the test.
fn in_every_way(source: &str, flags: &[&str], mut test: impl FnMut(&Program)) {
    for compiler in compilers() {
        for (level, link) in [("-O1", Link::Static), ("-O2", Link::Shared), ("-O3", Link::Shared)] {
            let flags: Vec<&str> = [level, "-pthread"].iter().chain(flags).copied().collect();
            test(&build(compiler, source, link, &flags));
        }
    }
}

fn all_succeed(source: &str, flags: &[&str], cases: &[&str]) {
    in_every_way(source, flags, |program| cases.iter().for_each(|case| program.run(case).assert_success()));
}

const ALLOC: &[&str] = &["blocks", "zero", "overflow", "limits", "second stack", "text", "committed"];

#[test]
fn allocations() {
    all_succeed("alloc.c", &[], ALLOC);
    all_succeed("alloc.c", &[], &["nowhere"]);
}

#[test]
fn allocations_in_a_debug_build() {
    for compiler in compilers() {
        let program = build(compiler, "alloc.c", Link::Shared, &["-O2", "-DHIGHWATER_DEBUG"]);
        for case in ALLOC {
            let ended = program.run(case);
            ended.assert_success();
            assert!(ended.stderr.contains("alloc.c:"), "{ended:#?}");
        }
    }
}

#[test]
fn options() {
    all_succeed("options.c", &[], &["wrong", "versions", "words"]);
    if support::reserves() {
        all_succeed("options.c", &[], &["fields"]);
    }
}

#[test]
fn engines() {
    all_succeed("engines.c", &[], &["chosen", "ordinary"]);
    if support::reserves() {
        all_succeed("engines.c", &[], &["paged"]);
    }
}

#[test]
fn arrays() {
    all_succeed("arrays.c", &[], &["pushes", "fallible"]);
    if support::reserves() {
        all_succeed("arrays.c", &[], &["reserves"]);
    }
}

/// The program's malloc says no: a call with a status has one. (glibc has its malloc under another name as well.)
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn a_malloc_that_has_nothing_left() {
    all_succeed("exhausted.c", &[], &["errors"]);
}

#[test]
fn reports_and_figures() {
    all_succeed("reports.c", &[], &["functions", "figures", "injected"]);
    if support::reserves() {
        all_succeed("reports.c", &[], &["files", "backed"]);
    }
}

#[test]
fn the_log_of_a_debug_build() {
    in_every_way("debug.c", &[], |program| {
        let ended = program.run("logs");
        ended.assert_success();
        assert!(
            ended.stderr.starts_with("highwater: ") && ended.stderr.contains(": hw_alloc: 77 bytes at 0x")
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    });
}

/// Cases that end by abort, and what they say.
fn all_abort(source: &str, cases: &[(&str, &str)]) {
    for compiler in compilers() {
        for level in ["-O1", "-O3"] {
            let program = build(compiler, source, Link::Shared, &[level, "-pthread"]);
            for (case, words) in cases {
                program.run(case).assert_died(libc::SIGABRT, words);
            }
        }
    }
}

#[test]
fn a_refused_check_is_a_report_and_the_end() {
    let cases: &[(&str, &str)] = &[
        ("dies of size", "arena \"test\" out of memory: requested 5000 B"),
        ("dies of largest", "arena \"test\" out of memory: requested 15.9 EiB"),
        ("dies of product", "arena \"test\" out of memory: requested 15.9 EiB"),
        ("dies of wide product", "arena \"test\" out of memory: requested 15.9 EiB"),
        ("dies of far alignment", "arena \"test\" out of memory: requested 1 B"),
        ("dies of alignment", "an alignment of 3 is no power of two"),
        ("dies of no alignment", "an alignment of 0 is no power of two"),
        ("dies of no cursor", "in no arena: it was never made"),
        ("dies of commit", "out of memory: requested 8 MiB (effective 8 MiB)"),
        ("dies of reserve", "hw_arena_new: a reserve of"),
    ];
    all_abort("alloc.c", cases);
    if support::is_fault() {
        all_abort("alloc.c", &[("dies of stale limit", "older than its arena's limit (hw_refresh)")]);
    } else {
        all_abort("alloc.c", &[("dies of stale limit", "")]);
    }
    all_abort(
        "arrays.c",
        &[("dies when full", "vector \"few\" out of memory"), ("dies of no array", "the array is NULL")],
    );
}

#[test]
fn what_a_debug_build_refuses() {
    all_abort(
        "debug.c",
        &[
            ("dies of NULL", "hw_alloc: the cursor is NULL"),
            ("dies of nowhere", "hw_sprintf: the cursor was never made"),
            ("dies of skew", "is not aligned to 8 bytes"),
            ("dies beyond", "is beyond its limit"),
            ("dies of a freed arena", "is in no arena: was it freed?"),
            ("dies of a stale limit", "refresh it (hw_refresh)"),
            ("dies of an alignment", "debug.c:130: hw_alloc_aligned: an alignment of 12 is no power of two"),
        ],
    );
}

#[test]
fn a_refused_fault_asks_and_ends() {
    if !has_faults() {
        return;
    }
    all_succeed("reports.c", &[], &["hooks"]);
    all_abort(
        "reports.c",
        &[
            ("dies after the hook", "the hook was asked\nhighwater: arena #1 out of memory: growing by"),
            ("dies of a refusal", "refused by injection"),
        ],
    );
}

#[test]
fn a_touched_guard_is_told() {
    if !has_faults() {
        return;
    }
    in_every_way("reports.c", &[], |program| {
        let ended = program.run("dies in a guard");
        ended.assert_died(libc::SIGSEGV, "end of reservation: 4 bytes past its last one");
        assert!(ended.stderr.contains("the hook was told\n"), "{ended:#?}");
    });
}

#[test]
fn an_arena_spills() {
    const C: Compiler = GCC;
    if !has_faults() || !available(C) {
        return;
    }
    let ended = build(C, "reports.c", Link::Shared, &["-O2", "-pthread"]).run("spills");
    ended.assert_success();
    if ended.stdout.contains("tmpfs") {
        skip("the target directory is in memory (tmpfs)");
    }
}
