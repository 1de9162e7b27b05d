//! Under gdb and lldb: growth does not stop the program, a crash does, and the regions can be listed.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::oom::{Answer, Injection, Response};
use highwater::{Growth, GuardPolicy, Region};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::Ended;
use support::raw::{page, put};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/share/highwater/highwater.py");
const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("crash", crash),
    ("crash before the first region", crash_early),
    ("crash of a thread that blocks the signal", crash_blocked),
    ("dump", dump),
    ("fine", fine),
];

/// A region with a name that grew by some pages, with a guard inside.
fn grown() -> Region {
    let guard = GuardPolicy::default().at(32 * MIB..32 * MIB + page());
    let builder = Region::builder().name("watched").reserve(64 * MIB).head(page()).guard(guard);
    let region = builder.growth(Growth::Fixed(page())).build();
    (1..20).for_each(|i| put(&region, i * page(), 1));
    region
}

fn fine() {
    drop(grown());
    println!("it has grown");
}

#[inline(never)]
extern "C" fn read_wrongly(address: usize) -> u8 {
    // SAFETY: that it faults is the point.
    unsafe { std::ptr::with_exposed_provenance::<u8>(std::hint::black_box(address)).read_volatile() }
}

fn crash() {
    let region = grown();
    std::hint::black_box(read_wrongly(8));
    drop(region);
}

fn crash_early() {
    std::hint::black_box(read_wrongly(8));
}

fn crash_blocked() {
    let region = grown();
    let mut all = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is filled before it is used.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
    std::hint::black_box(read_wrongly(8));
    drop(region);
}

/// Stops inside a refusal hook, on the handler's large stack.
fn dump() {
    static WHERE: AtomicUsize = AtomicUsize::new(0);
    let _watched = grown();
    // SAFETY: the hook ends the process.
    let response = unsafe {
        Response::hook(|_| {
            WHERE.store(1, SeqCst);
            libc::raise(libc::SIGTRAP);
            Answer::Die
        })
    };
    let region = Region::builder().name("refused").reserve(64 * MIB).head(page()).on_refusal(response);
    write_late(&region.inject(Injection::after(0)).build());
}

#[inline(never)]
fn write_late(region: &Region) {
    put(region, 32 * MIB, 1);
    std::hint::black_box(());
}

/// Runs a case under a debugger without anything of the user's; `None` skips the test.
fn under(debugger: &str, options: &[&str], commands: &[&str], case: &str) -> Option<Ended> {
    if !support::has_faults() {
        return None;
    }
    let here = Command::new(debugger).arg("--version").output();
    if !here.is_ok_and(|output| output.status.success()) {
        support::skip(&format!("no {debugger} here"));
        return None;
    }
    // One at a time: reading the symbols takes a while.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    let mut command = Command::new(debugger);
    command.args(options);
    // (Debian's lldb looks for its Python modules in a place where they are not.)
    let modules = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().flat_map(|entry| {
        let python = entry.path().join("lib/python3.11/dist-packages");
        entry.file_name().to_string_lossy().starts_with("llvm-").then_some(python)
    });
    let modules: Vec<_> = modules.filter(|path| path.join("lldb").exists()).collect();
    if debugger == "lldb" && !modules.is_empty() {
        command.env("PYTHONPATH", std::env::join_paths(modules).unwrap());
    }
    for &line in commands {
        command.args([if debugger == "gdb" { "-ex" } else { "-o" }, line]);
    }
    command.arg(if debugger == "gdb" { "--args" } else { "--" });
    command.arg(std::env::current_exe().unwrap());
    command.args(support::CHILD_ARGS);
    command.env(support::CASE, case).env_remove("DEBUGINFOD_URLS");
    let ended = support::run(command);
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let stands_in_the_way =
        ["Operation not permitted", "Python scripting is not supported", "No module named 'lldb"];
    if stands_in_the_way.iter().any(|text| said.contains(text)) {
        support::skip(&format!("{debugger} here may not trace or has no Python"));
        return None;
    }
    Some(ended)
}

fn in_gdb(case: &str, commands: &[&str]) -> Option<Ended> {
    let script = format!("source {SCRIPT}");
    let mut all = vec!["set pagination off", "set confirm off", "set width 0", script.as_str(), "run"];
    all.extend(commands);
    under("gdb", &["--batch", "-nx"], &all, case)
}

#[test]
fn growth_does_not_stop_in_gdb() {
    let Some(ended) = in_gdb("fine", &[]) else { return };
    assert!(ended.stdout.contains("it has grown") && ended.stdout.contains("exited normally"), "{ended:#?}");
}

#[test]
fn a_crash_stops_in_gdb_at_the_frame_that_faulted() {
    let Some(ended) = in_gdb("crash", &["backtrace", "highwater regions", "highwater address $pc"]) else {
        return;
    };
    assert!(ended.stdout.contains("highwater: a fault at 0x8 that is not growth"), "{ended:#?}");
    assert!(ended.stdout.contains("read_wrongly"), "{ended:#?}");
    assert!(ended.stdout.contains("debuggers::crash"), "{ended:#?}");
    lists_the_region(&ended);
    assert!(ended.stdout.contains(": in no region"), "{ended:#?}");
}

/// What the kernel gives to no handler.
#[test]
fn a_crash_that_no_handler_is_given_stops_in_gdb() {
    for case in ["crash before the first region", "crash of a thread that blocks the signal"] {
        let Some(ended) = in_gdb(case, &["backtrace"]) else { return };
        assert!(ended.stdout.contains("read_wrongly"), "{case}: {ended:#?}");
    }
}

#[track_caller]
fn lists_the_region(ended: &Ended) {
    let line = ended.stdout.lines().find(|line| line.starts_with("\"watched\""));
    let line = line.unwrap_or_else(|| panic!("{ended:#?}"));
    let fields: Vec<&str> = line.split("  ").map(str::trim).filter(|field| !field.is_empty()).collect();
    let base = usize::from_str_radix(fields[1].trim_start_matches("0x"), 16).unwrap();
    let frontier = usize::from_str_radix(fields[2].trim_start_matches("0x"), 16).unwrap();
    assert_eq!(frontier - base, 20 * page());
    assert_eq!(fields[5..], ["64 MiB", "1", "19"], "reserved, guards, faults: {line}");
    let guard = format!("guard 0x{:x}-0x{:x}", base + 32 * MIB, base + 32 * MIB + page());
    assert!(ended.stdout.contains(&guard), "{guard}: {ended:#?}");
}

#[test]
fn gdb_goes_through_from_a_hook_to_the_write() {
    let Some(ended) = in_gdb("dump", &["backtrace", "highwater regions"]) else { return };
    assert!(ended.stdout.contains("SIGTRAP"), "{ended:#?}");
    assert!(ended.stdout.contains("write_late"), "{ended:#?}");
    assert!(ended.stdout.contains("debuggers::dump"), "{ended:#?}");
    lists_the_region(&ended);
}

#[test]
fn a_core_dump_lists_the_regions() {
    let dir = tempfile::tempdir().unwrap();
    let core = dir.path().join("core");
    let write = format!("generate-core-file {}", core.display());
    let Some(ended) = in_gdb("dump", &[&write, "kill"]) else { return };
    assert!(
        core.exists() && !ended.stderr.contains("Memory read failed for corefile section, 1048576"),
        "{ended:#?}"
    );
    let mut gdb = Command::new("gdb");
    gdb.args(["--batch", "-nx", "-ex", "set width 0", "-ex"]).arg(format!("source {SCRIPT}"));
    gdb.args(["-ex", "highwater regions", "-ex", "backtrace"]);
    gdb.arg(std::env::current_exe().unwrap()).arg(&core).env_remove("DEBUGINFOD_URLS");
    let ended = support::run(gdb);
    lists_the_region(&ended);
    assert!(ended.stdout.contains("write_late"), "{ended:#?}");
}

#[test]
fn a_crash_stops_in_lldb_at_the_frame_that_faulted() {
    let import = format!("command script import {SCRIPT}");
    let all = ["process launch --stop-at-entry", &import, "continue", "bt", "highwater regions", "kill"];
    let Some(ended) = under("lldb", &["--batch", "--no-lldbinit"], &all, "crash") else { return };
    assert!(ended.stdout.contains("highwater: a fault at 0x8 that is not growth"), "{ended:#?}");
    assert!(ended.stdout.contains("read_wrongly"), "{ended:#?}");
    lists_the_region(&ended);
}
