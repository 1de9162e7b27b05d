//! The header: clean under all warnings, and of one mind with the library.

#[path = "../src/abi.rs"]
#[allow(dead_code, reason = "what is not laid out is not needed here")]
mod abi;
mod support;

use abi::{
    HwCursor, HwError, HwOptions, HwRange, HwRefusal, HwRefusalHook, HwStats, HwVec, HwViolation, Status,
};
use core::mem::offset_of;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Command;
use support::{GCC, Link, all_compilers, available, build, compile_command, library, succeeds};

#[test]
fn every_macro_compiles_without_a_warning() {
    for compiler in all_compilers() {
        for optimisation in ["-O0", "-O1", "-O2", "-O3"] {
            for defines in [
                &[][..],
                &["-DHIGHWATER_DEBUG"],
                &["-UHIGHWATER_EXPLICIT", "-DHIGHWATER_EXPLICIT"],
                &["-DHIGHWATER_DEBUG", "-UHIGHWATER_EXPLICIT", "-DHIGHWATER_EXPLICIT"],
            ] {
                let mut command = compile_command(compiler, "everything.c");
                let standard = if compiler.is_cpp { "-std=c++17" } else { "-std=c11" };
                command.args([optimisation, standard, "-Wconversion", "-Wshadow", "-c", "-o", "/dev/null"]);
                succeeds(command.args(defines));
            }
        }
        let newer = if compiler.is_cpp { "-std=c++20" } else { "-std=c2x" };
        succeeds(compile_command(compiler, "everything.c").args(["-O2", newer, "-c", "-o", "/dev/null"]));
    }
}

/// The names of the functions that the header declares and does not define.
fn declared() -> BTreeSet<String> {
    let header =
        std::fs::read_to_string(support::include().join("highwater.h")).expect("the header is there");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let declarations = header.lines().filter(|line| {
        line.contains('(')
            && line.starts_with(|c: char| c.is_ascii_alphabetic())
            && !["static ", "typedef ", "extern ", "HIGHWATER_ATTRIBUTE_", "HIGHWATER_STATIC"]
                .iter()
                .any(|other| line.starts_with(other))
    });
    let names = declarations.filter_map(|line| {
        let before = line.split_once('(')?.0;
        before.rsplit(|c| !is_name(c)).next().map(str::to_owned)
    });
    names.collect()
}

#[test]
fn header_and_library_have_the_same_functions() {
    let listing =
        succeeds(Command::new("nm").args(["-D", "--defined-only"]).arg(library().join("libhighwater.so")));
    let exported: BTreeSet<String> =
        listing.lines().filter_map(|line| line.rsplit(' ').next()).map(str::to_owned).collect();
    let others: Vec<&String> = exported.iter().filter(|name| !name.starts_with("hw_")).collect();
    assert!(others.is_empty(), "not ours: {others:?}");
    let mut declared = declared();
    // The library has the one of its engine.
    let others = if support::is_fault() {
        ["hw_engine_explicit", "hw_extend_"].as_slice()
    } else {
        ["hw_engine_fault", "hw_commit_", "hw_refuse", "hw_place_"].as_slice()
    };
    others.iter().for_each(|&other| assert!(declared.remove(other), "{other}: {declared:?}"));
    if !support::is_fault() {
        declared.extend(["hw_refuse_explicit_", "hw_place_explicit_"].map(String::from));
    }
    assert!(declared.len() > 50, "{declared:?}");
    assert_eq!(declared, exported);
}

/// The size of what a function refers to.
fn field_size<T, F>(_: impl Fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layout_of {
    ($to:ident, $type:ty as $name:literal { $($field:ident $(as $shown:literal)?),* $(,)? }) => {
        writeln!($to, "sizeof {} {} {}", $name, size_of::<$type>(), align_of::<$type>()).unwrap();
        $(
            let field = [$($shown,)? stringify!($field)][0];
            let size = field_size(|value: &$type| &value.$field);
            writeln!($to, "offsetof {}.{field} {} {size}", $name, offset_of!($type, $field)).unwrap();
        )*
    };
}

#[test]
fn header_and_library_agree_on_every_layout() {
    let mut ours = String::new();
    layout_of!(ours, HwCursor as "hw_cursor" { position, limit });
    layout_of!(ours, HwError as "hw_error" {
        status, cause, system_error, reserved as "reserved_", requested, used, limit, message,
    });
    layout_of!(ours, HwRefusal as "hw_refusal" {
        size, name, arena, cause, system_error, requested, used, committed, reserved, limit,
    });
    layout_of!(ours, HwRange as "hw_range" { start, end });
    layout_of!(ours, HwOptions as "hw_options" {
        size, name, reserve, head, limit, growth, populate, growth_first, growth_max, growth_seed, huge_pages,
        guard_mechanism, guard_before, guard_after, guard_reach, guards, guard_count, on_violation, violation_format,
        headroom, backing_directory, on_refusal, reserved as "reserved_", spill_directory, refusal_hook, refusal_user,
        engine, reserved_2 as "reserved_2_",
    });
    layout_of!(ours, HwStats as "hw_stats" {
        size, reserved, committed, peak_committed, used, faults, commits, populated, growth_ns, engine,
        reserved_,
    });
    layout_of!(ours, HwViolation as "hw_violation" {
        size, name, arena, kind, access, address, offset, distance, program_counter, thread, reserved as "reserved_",
    });
    layout_of!(ours, HwVec<u8> as "vec" { data, length, capacity, arena });
    writeln!(ours, "sizeof hw_monitor 16 8").unwrap();
    layout_of!(ours, Status as "hw_status" {});
    layout_of!(ours, Option<HwRefusalHook> as "hw_refusal_hook" {});
    for (name, value) in [
        ("OK", Status::Ok),
        ("ERROR_MEMORY", Status::Memory),
        ("ERROR_ARGUMENT", Status::Argument),
        ("ERROR_OPTIONS", Status::Options),
        ("ERROR_GUARD", Status::Guard),
        ("ERROR_SYSTEM", Status::System),
        ("ERROR_INTERNAL", Status::Internal),
    ] {
        writeln!(ours, "value HIGHWATER_{name} {}", value as u32).unwrap();
    }
    for (name, value) in [("NONE", abi::NONE), ("PHYSICAL", abi::PHYSICAL), ("MIN_ALIGN", abi::MIN_ALIGN)] {
        writeln!(ours, "value HIGHWATER_{name} {value}").unwrap();
    }
    for compiler in support::compilers() {
        for defines in [&[][..], &["-DHIGHWATER_DEBUG"]] {
            let ended = build(compiler, "layout.c", Link::Shared, defines).run("layout");
            ended.assert_success();
            assert_eq!(ended.stdout, ours, "{compiler:?} {defines:?}");
        }
    }
}

#[test]
fn constants_have_the_librarys_names() {
    if !available(GCC) {
        return;
    }
    let ended = build(GCC, "layout.c", Link::Shared, &[]).run("names");
    ended.assert_success();
    let mut expected = vec!["none"];
    expected.extend(highwater::Cause::ALL.iter().map(|cause| cause.name()));
    expected.push("none");
    expected.extend(highwater::guard::ViolationKind::ALL.iter().map(|kind| kind.name()));
    let mut lines = ended.stdout.lines();
    for word in expected {
        let constant = word.to_uppercase().replace('-', "_");
        assert_eq!(lines.next(), Some(format!("{constant} {word}").as_str()));
    }
    assert_eq!(lines.next(), None);
}
