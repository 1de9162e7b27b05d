//! Two copies of the library in one process, under gdb.
#![cfg(target_os = "linux")]

use super::second_copy::{PATH, Second, function, turns};
use crate::support;
use support::raw::{wild, write_to};

/// What runs in child processes.
pub const CASES: &[support::Case] =
    &[("stops of a debugger", stops), ("refused in the library", refused_in_the_library)];

/// Runs a case in gdb without anything of the user's; `None` skips the test.
fn in_gdb(case: &str, commands: &[&str]) -> Option<support::Ended> {
    if !support::has_faults() {
        return None;
    }
    let version = std::process::Command::new("gdb").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        support::skip("no gdb here");
        return None;
    }
    let built = support::build_once(&["--manifest-path", "tests/second-copy/Cargo.toml"]);
    let mut gdb = std::process::Command::new("gdb");
    gdb.args(["--batch", "-nx", "-ex", "set breakpoint pending on", "-ex", "set width 0"]);
    gdb.args(["-ex", "handle SIGSEGV nostop noprint pass"]);
    commands.iter().for_each(|command| _ = gdb.args(["-ex", command]));
    gdb.arg("--args").arg(std::env::current_exe().unwrap());
    gdb.args(support::CHILD_ARGS);
    gdb.env(support::CASE, case).env_remove("DEBUGINFOD_URLS");
    gdb.env(PATH, built.join("libsecond_copy.so"));
    let ended = support::run(gdb);
    if ended.stderr.contains("Operation not permitted") {
        support::skip("gdb here may not trace");
        return None;
    }
    Some(ended)
}

/// A debugger that stops where a fault is foreign stops once, not for the growth of either copy.
#[test]
fn the_growth_of_one_copy_is_no_foreign_fault_of_the_other() {
    let commands = ["break highwater_foreign_fault", "run", "backtrace 24"];
    let Some(ended) = in_gdb("stops of a debugger", &commands) else { return };
    assert!(ended.stdout.contains("both have grown"), "{ended:#?}");
    assert!(ended.stdout.contains("write_to"), "{ended:#?}");
}

fn stops() {
    for this_first in [true, false] {
        drop(turns(this_first, 5));
    }
    println!("both have grown");
    write_to(wild());
}

/// The library's large stacks lie above the stacks of threads that are made after it was loaded.
#[test]
fn gdb_goes_through_from_a_large_stack_to_a_lower_one() {
    let Some(ended) = in_gdb("refused in the library", &["run", "backtrace"]) else { return };
    assert!(ended.stdout.contains("SIGTRAP"), "{ended:#?}");
    assert!(ended.stdout.contains("second_refused"), "{ended:#?}");
    assert!(ended.stdout.contains("refused_in_the_library"), "{ended:#?}");
}

fn refused_in_the_library() {
    let second = Second::load();
    // SAFETY: the type is that of the library's source.
    let refused: extern "C" fn() = unsafe { function(second.handle, c"second_refused") };
    let large = refused as *const () as usize;
    // More than threads that have ended may have left behind.
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(move || {
        let here = 0u8;
        assert!((&raw const here).addr() < large, "the stack lies below the library");
        refused();
    });
    let _ = thread.unwrap().join();
}
