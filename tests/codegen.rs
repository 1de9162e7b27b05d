//! What the compiler makes of an allocation: asserts on emitted assembly and on counted instructions, both
//! of which repeat exactly. The probed functions are in `codegen/probe.rs`.

#[path = "codegen/asm.rs"]
mod asm;
mod support;

use asm::{Assembly, Path};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The assembly of the probes; skips the running test where there is none to expect anything of.
fn probes() -> Option<&'static Assembly> {
    static ASSEMBLY: OnceLock<Assembly> = OnceLock::new();
    if !support::has_faults() {
        return None;
    }
    if !cfg!(target_arch = "x86_64") {
        support::skip("the expectations are written for x86_64");
        return None;
    }
    Some(ASSEMBLY.get_or_init(compile))
}

/// Compiles the probes in a package of their own, with this checkout of the library and the peers' versions
/// of the benchmarks (the lock file is the workspace's): building them as a target of the library's package
/// would build all its development dependencies optimised.
fn compile() -> Assembly {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/for-tests");
    let package = target.join("codegen-probe");
    let assembly = package.join("probe.s");
    let manifest = format!(
        "[package]\nname = \"codegen-probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [lib]\npath = {:?}\n\
         [dependencies]\nbumpalo = \"3.20\"\nbump-scope = \"2.4\"\nhighwater = {{ path = {root:?} }}\n",
        root.join("tests/codegen/probe.rs"),
    );
    std::fs::create_dir_all(&package).unwrap();
    std::fs::write(package.join("Cargo.toml"), manifest).unwrap();
    if root.join("Cargo.lock").exists() {
        std::fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "rustc",
        "--release",
        "--lib",
        "--",
        "-Ccodegen-units=1",
        "-Cllvm-args=-x86-asm-syntax=intel",
    ]);
    cargo.arg(format!("--emit=asm={}", assembly.display()));
    cargo.current_dir(&package).env("CARGO_TARGET_DIR", &target);
    // Another processor, coverage or a sanitizer would be another machine code.
    for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
        cargo.env_remove(flags);
    }
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{cargo:?}\n{}", String::from_utf8_lossy(&output.stderr));
    Assembly::parse(&std::fs::read_to_string(&assembly).expect("the compiler wrote the assembly"))
}

/// The function that a failed check ends in.
const DIVERGING: &str = "refuse";

#[track_caller]
fn assert_calls_nothing_else(assembly: &Assembly, name: &str) {
    let function = assembly.function(name);
    for call in function.calls() {
        assert!(call.contains(DIVERGING), "{name}: {call}\n{function:#?}");
    }
    function.fast_path(); // and there is a way without even that
}

#[test]
fn a_sum_of_hard_coded_vectors_is_a_constant() {
    let Some(assembly) = probes() else { return };
    for name in ["constant_sum", "constant_sum_of_slices", "constant_sum_in_a_frame"] {
        let function = assembly.function(name);
        assert!(function.contains("mov eax, 4"), "{name} computes its result: {function:#?}");
        assert_calls_nothing_else(assembly, name);
    }
}

#[test]
fn a_frame_has_one_check_and_its_allocations_are_their_stores() {
    let Some(assembly) = probes() else { return };
    let empty = assembly.function("empty_frame");
    let three = assembly.function("three_from_a_frame");
    assert_eq!(three.branches(), 1, "{three:#?}");
    let stores = three.fast_path().instructions - empty.fast_path().instructions;
    assert!(stores <= 3, "three allocations took {stores} instructions: {three:#?}");

    let adjacent = assembly.function("adjacent_in_a_frame");
    assert_eq!(adjacent.branches(), 1, "{adjacent:#?}");
    let merged = adjacent.fast_path().instructions - empty.fast_path().instructions;
    assert!(merged < 4, "four adjacent stores did not merge: {adjacent:#?}");

    let sum = assembly.function("constant_sum_in_a_frame");
    assert_eq!(sum.branches(), 1, "{sum:#?}");
}

#[test]
fn the_fast_path_calls_nothing() {
    let Some(assembly) = probes() else { return };
    for name in ["arena_u64", "scope_u64", "arena_u8", "scope_u32", "arena_words", "three_from_a_scope"] {
        assert_calls_nothing_else(assembly, name);
    }
    // These have further calls in their cold parts; `fast_path` panics when no way is without one.
    for name in ["uninit", "fallible", "any_layout", "reset"] {
        assembly.function(name).fast_path();
    }
    // The error of a committed block that cannot be had is made out of the way: no stack frame for it.
    let committed = assembly.function("uninit").fast_path();
    assert!(committed.branches == 1 && committed.instructions <= 20, "{committed:?}");
}

#[test]
fn entering_and_leaving_a_scope_is_no_instruction() {
    let Some(assembly) = probes() else { return };
    let path = |name| assembly.function(name).fast_path();
    assert!(path("in_a_scope") <= path("without_a_scope"));
    assert!(path("in_a_nested_scope") <= path("in_a_scope"));
    assert!(path("after_a_scope") <= path("after_nothing"));
}

#[test]
fn an_allocation_is_seven_instructions_and_one_branch() {
    let Some(assembly) = probes() else { return };
    let path = |what: &str, kind: &str| assembly.function(&format!("{what}_{kind}")).fast_path();
    let kinds = ["u8", "u32", "u64", "words"];
    let rows = [
        ("highwater, &Arena", "arena"),
        ("highwater, &Scope", "scope"),
        ("bumpalo", "bumpalo"),
        ("bumpalo, min align 8", "bumpalo8"),
        ("bump-scope", "bump_scope"),
        ("bump-scope, min align 8", "bump_scope8"),
    ];
    println!("{:24}{:>9}{:>9}{:>9}{:>11}", "instructions|branches", "u8", "u32", "u64", "[u32; 16]");
    for (label, what) in rows {
        let cell = |kind| {
            let Path { instructions, branches } = path(what, kind);
            format!("{instructions}|{branches}")
        };
        let [a, b, c, d] = kinds.map(cell);
        println!("{label:24}{a:>9}{b:>9}{c:>9}{d:>11}");
    }
    for what in ["arena", "scope"] {
        for kind in ["u8", "u32", "u64"] {
            let ours = path(what, kind);
            assert!(ours.instructions <= 7 && ours.branches == 1, "{what} {kind}: {ours:?}");
        }
        for peer in ["bumpalo", "bumpalo8", "bump_scope", "bump_scope8"] {
            for kind in kinds {
                assert!(path(what, kind) <= path(peer, kind), "{peer} {kind}: {:?}", path(peer, kind));
            }
        }
    }
}

/// What stands in the code of an allocation that a ledger places: the ledger's side of a cursor, and constant data,
/// which is what the caller's place in its source is.
const WATCHED: [&str; 3] = ["watched", "give_up_ended", "Ledger"];
const CONSTANT_DATA: [&str; 2] = [".Lanon", ".L__unnamed"];

#[test]
fn an_allocation_is_its_check_and_nothing_else() {
    let Some(assembly) = probes() else { return };
    let listing = |what: &str| assembly.function(what).listing(DIVERGING);
    for kind in ["u8", "u32", "u64", "words"] {
        for what in ["arena", "scope"] {
            assert_eq!(listing(&format!("{what}_{kind}")), listing(&format!("bare_{kind}")), "{what} {kind}");
        }
    }
    assert_eq!(listing("copied"), listing("bare_copied"), "a slice");
}

#[test]
fn an_unchecked_arena_knows_of_no_caller_and_no_ledger() {
    let Some(assembly) = probes() else { return };
    let checked = assembly.function("checked_u64");
    for words in [&WATCHED[..], &CONSTANT_DATA[..]] {
        assert!(checked.mention(words).is_some(), "the words are not those of a checked arena: {checked:#?}");
    }
    for name in [
        "arena_u8",
        "arena_u32",
        "arena_u64",
        "arena_words",
        "scope_u8",
        "scope_u32",
        "scope_u64",
        "scope_words",
        "three_from_a_scope",
        "three_from_a_frame",
        "adjacent_in_a_frame",
        "empty_frame",
        "in_a_scope",
        "in_a_nested_scope",
        "after_a_scope",
        "uninit",
        "fallible",
        "any_layout",
        "copied",
        "copied_text",
        "filled",
        "reset",
    ] {
        let function = assembly.function(name);
        for words in [&WATCHED[..], &CONSTANT_DATA[..]] {
            assert_eq!(function.mention(words), None, "{name}: {function:#?}");
        }
    }
    // Constant data may be the vectors' bytes here, and the place of a panic that has nothing to do with memory.
    for name in ["constant_sum", "constant_sum_of_slices", "constant_sum_in_a_frame", "collected"] {
        assert_eq!(assembly.function(name).mention(&WATCHED), None, "{name}");
    }
}

/// What is on the other side of the branch makes the first reservation, or diverges: no growth is compiled into a push.
#[test]
fn a_push_is_one_compare_and_its_stores() {
    let Some(assembly) = probes() else { return };
    let [ours, pinned, std] =
        ["vec_push", "vec_push_pinned", "std_push"].map(|name| assembly.function(name).fast_path());
    println!("a push: {ours:?}, with a reference {pinned:?}, of std's vector {std:?}");
    assert_eq!((ours.branches, pinned.branches), (1, 1), "{:#?}", assembly.function("vec_push"));
    // Saving registers is for the sake of the calls on the other side; inlined into a loop a push has none of it.
    let push = assembly.function("vec_push");
    let is_saving =
        |line: &&String| ["push ", "pop ", "sub rsp", "add rsp"].iter().any(|it| line.starts_with(it));
    let saving = push.listing(DIVERGING).iter().filter(is_saving).count();
    assert!(ours.instructions <= 8 + saving, "{ours:?}: {push:#?}");
    assert_eq!(push.mention(&["frontier", "4grow", "commit"]), None, "{push:#?}");
}
