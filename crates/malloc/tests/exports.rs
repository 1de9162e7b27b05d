//! What the library gives to a process, and what it takes from it.

mod support;

use std::collections::BTreeSet;
use std::process::Command;
use support::{child::succeeds, here, library};

/// The lines of a list, without its comments.
fn listed(list: &str) -> BTreeSet<&str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The names of dynamic symbols, without their versions.
fn symbols(which: &str) -> BTreeSet<String> {
    let said = succeeds(Command::new("nm").args(["-D", which, "--format=posix"]).arg(library()));
    let name = |line: &str| line.split([' ', '@']).next().expect("a line has a first word").to_string();
    said.lines().map(name).collect()
}

#[test]
fn exactly_the_entry_points_are_exported() {
    if here() {
        let exported = symbols("--defined-only");
        let exported: BTreeSet<&str> = exported.iter().map(String::as_str).collect();
        assert_eq!(exported, listed(include_str!("lists/exported.txt")));
    }
}

/// Whatever is taken from another library is looked up by the dynamic loader, and its first call may come back here.
#[test]
fn nothing_unknown_is_taken() {
    if here() {
        let taken = symbols("--undefined-only");
        let taken: BTreeSet<&str> = taken.iter().map(String::as_str).collect();
        let allowed = listed(include_str!("lists/taken.txt"));
        let more: Vec<_> = taken.difference(&allowed).collect();
        assert!(more.is_empty(), "these are not in lists/taken.txt: {more:?}");
    }
}

/// Our thread-locals have fixed places: the dynamic loader allocates others, by our very calls. The one that is not ours
/// counts std's panics, and only a panic asks for it.
#[test]
fn thread_locals_are_at_fixed_places() {
    if !here() {
        return;
    }
    let relocations = succeeds(Command::new("readelf").args(["--relocs", "--wide"]).arg(library()));
    let count = |kind: &str| relocations.matches(kind).count();
    assert!(count("TPOFF") - count("DTPOFF") > 0, "the slot is not there: {relocations}");
    assert_eq!(count("TLSDESC"), 0, "{relocations}");
    assert!(count("DTPMOD") <= 1, "{relocations}");
    let code = succeeds(Command::new("objdump").args(["--disassemble", "--no-show-raw-insn"]).arg(library()));
    let mut function = "";
    for line in code.lines() {
        if line.ends_with(">:") {
            function = line;
        } else if line.contains("__tls_get_addr") {
            let is_known = function.contains("panicking") || function.contains("<__tls_get_addr@plt>");
            assert!(is_known, "{function} asks the loader for a thread-local");
        }
    }
}

/// Two libraries at most: that of C, and the one that a panic of std would need.
#[test]
fn few_libraries_come_with_it() {
    if here() {
        let dynamic = succeeds(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library()));
        let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
        let is_known =
            |line: &str| ["[libc.so", "[libgcc_s.so", "[ld-linux"].iter().any(|name| line.contains(name));
        let unknown: Vec<_> = needed.filter(|line| !is_known(line)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
    }
}
