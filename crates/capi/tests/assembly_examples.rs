//! What gcc makes of the examples in C, and LLVM of the same in Rust: asserts on assembly, which repeats exactly. What
//! is asserted here is shown in docs/c-assembly.md.

mod assembly;
#[path = "../../../tests/codegen/asm.rs"]
#[allow(dead_code, reason = "the tests of the crate use the rest")]
mod llvm;
mod support;

use assembly::compile;
use std::path::PathBuf;
use std::process::Command;
use support::{compilers, root, skip, succeeds};

/// Whether there is something to expect; skips the running test otherwise.
fn expected() -> bool {
    let is_expected = cfg!(target_arch = "x86_64") && support::is_fault();
    if !is_expected {
        skip("the expectations are written for x86_64 and the fault engine");
    }
    is_expected
}

fn example(path: &str) -> PathBuf {
    root().join("examples/c").join(path)
}

#[test]
fn the_sum_of_two_vectors_is_a_constant() {
    if !expected() {
        return;
    }
    for compiler in compilers() {
        for level in ["-O2", "-O3"] {
            let assembly = compile(compiler, &example("vector_sum.c"), &[level]);
            let arena = assembly.function("arena_sum");
            assert!(arena.contains("mov eax, 4"), "{compiler:?} {level}: {arena:#?}");
            // The cursor is the library's to make. What else is called does not return.
            assert_eq!(arena.calls_of("hw_engine_fault"), 1, "{compiler:?} {level}: {arena:#?}");
            let others = |name: &&str| *name != "hw_engine_fault" && *name != "hw_refuse";
            assert_eq!(arena.calls().into_iter().find(others), None, "{compiler:?} {level}: {arena:#?}");
            assert!(arena.calls_of("hw_refuse") >= 1, "three checks: {arena:#?}");
            assert_eq!(arena.branches(), 3, "{compiler:?} {level}: {arena:#?}");

            let stack = assembly.function("stack_sum");
            assert!(stack.contains("mov eax, 4") && stack.calls().is_empty(), "{stack:#?}");
        }
    }
}

#[test]
fn the_sum_with_malloc_calls_it_for_every_vector() {
    if !expected() {
        return;
    }
    for compiler in compilers() {
        for level in ["-O2", "-O3"] {
            // gcc knows malloc by its name: that nothing else points to what it returns.
            let malloc = compile(compiler, &example("vector_sum.c"), &[level]);
            let malloc = malloc.function("malloc_sum");
            let calls = [malloc.calls_of("malloc"), malloc.calls_of("free")];
            assert_eq!(calls, [3, 3], "{compiler:?} {level}: {malloc:#?}");
            // An allocator of another name may return any address: the sum is not known then.
            let flags = [level, "-fno-builtin-malloc", "-fno-builtin-free"];
            let other = compile(compiler, &example("vector_sum.c"), &flags);
            let other = other.function("malloc_sum");
            assert!(!other.contains("mov eax, 4"), "{compiler:?} {level}: {other:#?}");
            assert_eq!([other.calls_of("malloc"), other.calls_of("free")], [3, 3], "{other:#?}");
        }
    }
}

#[test]
fn a_sum_of_any_length_adds_two_numbers_at_a_time() {
    if !expected() {
        return;
    }
    for compiler in compilers() {
        // It is inlined into all of its callers, and is there all the same.
        let arena =
            |define| compile(compiler, &example("rk4/arena.c"), &["-O3", "-fkeep-static-functions", define]);
        let (assembly, unrestricted) = (arena("-UNDEBUG"), arena("-DRESTRICT="));
        let (with, without) = (assembly.function("add_vv"), unrestricted.function("add_vv"));
        for add in [with, without] {
            assert!(add.count("addpd") >= 1, "{compiler:?}: {add:#?}");
            assert!(add.calls().iter().all(|name| *name == "hw_refuse"), "{compiler:?}: {add:#?}");
        }
        // Without `restrict` there is a second loop, for vectors that overlap with their sum, and a branch to it.
        assert!(with.branches() < without.branches(), "{compiler:?}: {with:#?}\n{without:#?}");
        assert!(with.count("addsd") < without.count("addsd"), "{compiler:?}: {with:#?}\n{without:#?}");
        assert!(with.len() < without.len(), "{compiler:?}: {with:#?}\n{without:#?}");
    }
}

/// Compiles the same function in Rust, in a package of its own with this checkout of the library.
fn rust() -> llvm::Assembly {
    let root = root();
    let target = root.join("target/for-tests");
    let package = target.join("c-examples-twin");
    let assembly = package.join("twin.s");
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/assembly/twin.rs");
    let manifest = format!(
        "[package]\nname = \"c-examples-twin\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [lib]\npath = {source:?}\n[dependencies]\nhighwater = {{ path = {root:?} }}\n",
    );
    std::fs::create_dir_all(&package).expect("the target directory can be written");
    std::fs::write(package.join("Cargo.toml"), manifest).expect("the target directory can be written");
    if root.join("Cargo.lock").exists() {
        std::fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock"))
            .expect("the lock file can be copied");
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
    succeeds(&mut cargo);
    llvm::Assembly::parse(&std::fs::read_to_string(&assembly).expect("the compiler wrote the assembly"))
}

#[test]
fn so_does_the_same_in_rust() {
    if !expected() {
        return;
    }
    let assembly = rust();
    let add = assembly.function("add_vv");
    assert!(add.mention(&["addpd "]).is_some(), "{add:#?}");
    for call in add.calls() {
        assert!(call.contains("refuse") || call.contains("assert_failed"), "{call}: {add:#?}");
    }
    // A shared slice is what `restrict` says: one packed loop, and one number at a time for what is left.
    let scalar = add.listing("refuse").iter().filter(|line| line.starts_with("addsd ")).count();
    assert_eq!(scalar, 1, "{add:#?}");
}
