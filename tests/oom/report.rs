//! What a report says, in which words, and where it goes, whatever else is broken.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Growth, Headroom, ReportFormat, oom};
use serde_json::Value;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::SeqCst;
use support::oom::{assert_aborted, child, child_changed, first_line, json, parsed};

pub const MIB: usize = 1 << 20;
const FILE: &str = "HIGHWATER_TEST_REPORT";

/// The system's allocator, until a thread of a child says that it is broken: should that thread ask it then, the
/// process ends. (The test harness has a thread of its own, which may allocate at any time.)
struct Fragile;

static BROKEN: AtomicI32 = AtomicI32::new(0);

// SAFETY: the system's allocator serves everything.
unsafe impl GlobalAlloc for Fragile {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let broken = BROKEN.load(SeqCst);
        // SAFETY: the call only asks for a number.
        if broken != 0 && broken == unsafe { libc::gettid() } {
            support::raw::exit_now(99);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) };
    }
}

/// Of the whole binary: elsewhere in it nothing is broken.
#[global_allocator]
static ALLOCATOR: Fragile = Fragile;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("refused", || refused(&scene())),
    ("refused on a thread", on_a_thread),
    ("refused on many threads", on_many_threads),
    ("json", || {
        oom::set_report_format(ReportFormat::Json);
        refused(&scene());
    }),
    ("broken", broken),
    ("limited", limited),
    ("closed", || {
        // SAFETY: nobody writes to it by its number but reports.
        unsafe { libc::close(2) };
        refused(&scene());
    }),
    ("closed late", || {
        let arena = scene();
        // SAFETY: as above.
        unsafe { libc::close(2) };
        refused(&arena);
    }),
    ("full", || {
        oom::report_to_file(Some(File::create("/dev/full").unwrap()));
        refused(&scene());
    }),
    ("file", || {
        oom::report_to_file(Some(File::create(std::env::var_os(FILE).unwrap()).unwrap()));
        refused(&scene());
    }),
    ("back from file", || {
        oom::report_to_file(Some(File::create(std::env::var_os(FILE).unwrap()).unwrap()));
        oom::report_to_file(None);
        refused(&scene());
    }),
    ("sink", || {
        // SAFETY: the function makes one system call.
        unsafe { oom::report_to_sink(Some(to_stdout)) };
        refused(&scene());
    }),
];

/// An arena that has 3 MiB, of which 2 are in use, and may have no more: for a reason that every engine knows.
pub fn scene() -> Arena {
    let arena = Arena::builder().name("told").reserve(1 << 30).head(0).growth(Growth::Fixed(MIB)).build();
    arena.alloc_slice_fill_copy(2 * MIB / 64, [7u64; 8]);
    arena.commit_ahead(MIB).unwrap();
    oom::set_process_limit(Some(oom::committed_bytes()));
    arena
}

/// Touches more than there may be.
pub fn refused(arena: &Arena) {
    arena.alloc_slice_fill_copy(MIB / 64, [7u64; 8]);
    arena.alloc_slice_fill_copy(MIB / 64, [8u64; 8]);
}

fn on_a_thread() {
    let small = std::thread::Builder::new().stack_size(64 << 10);
    small.spawn(|| refused(&scene())).unwrap().join().unwrap();
}

/// Sixteen threads are refused at the same moment.
fn on_many_threads() {
    let arenas: Vec<Arena> = (0..16).map(|_| scene()).collect();
    oom::set_process_limit(Some(oom::committed_bytes()));
    let barrier = std::sync::Barrier::new(16);
    std::thread::scope(|scope| {
        for arena in arenas {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                refused(&arena);
            });
        }
    });
}

/// This thread must not allocate any more.
fn broken() {
    let arena = scene();
    // SAFETY: as above.
    BROKEN.store(unsafe { libc::gettid() }, SeqCst);
    refused(&arena);
}

/// Nothing can be mapped or allocated any more, and no descriptor can be had.
fn limited() {
    let arena = scene();
    support::limits::limit_address_space(0);
    support::limits::limit_data(0);
    let none = libc::rlimit { rlim_cur: 3, rlim_max: 3 };
    // SAFETY: the structure is initialised.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) };
    refused(&arena);
}

fn to_stdout(text: &[u8]) {
    // SAFETY: the text is readable memory.
    unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
}

const FIRST: &str = "highwater: arena \"told\" out of memory: growing by 4 KiB, used ≥ 3 MiB, \
                     committed 3 MiB, reserved 1 GiB: process limit 3 MiB reached (all regions ";

/// A whole report of [`scene`], from its first line to its last.
#[track_caller]
fn assert_complete(text: &str) {
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("highwater: ")).collect();
    assert!(lines.first().is_some_and(|line| line.starts_with(FIRST)), "{text}");
    let sections: Vec<&str> = lines[1..].iter().map(|line| line[..15].trim()).collect();
    let named: Vec<&str> = sections.into_iter().filter(|name| !name.is_empty()).collect();
    let expected = ["what to do", "region", "regions", "last growth", "process", "cgroup", "machine"];
    let missing: Vec<&&str> = expected.iter().filter(|name| !named.contains(name)).collect();
    assert!(missing.is_empty() || missing == [&"cgroup"], "{missing:?} are missing in {text}");
}

#[test]
fn a_fault_is_told_from_the_first_line_to_the_last() {
    if !support::has_faults() {
        return;
    }
    for case in ["refused", "refused on a thread", "broken", "back from file"] {
        let dir = tempfile::tempdir().unwrap();
        let Some(ended) = child_changed(case, |command| _ = command.env(FILE, dir.path().join("r"))) else {
            return;
        };
        assert_aborted(&ended, "process-limit");
        assert_complete(&ended.stderr);
        assert!(ended.stderr.contains("raise the limit (oom::set_process_limit)"), "{ended:#?}");
    }
}

#[test]
fn many_threads_that_are_refused_at_once_end_with_a_report() {
    if !support::has_faults() {
        return;
    }
    for _ in 0..10 {
        let ended = child("refused on many threads").expect("it runs anywhere");
        ended.assert_signal(libc::SIGABRT);
        assert!(first_line(&ended).contains("out of memory: growing by 4 KiB"), "{ended:#?}");
    }
}

#[test]
fn a_report_is_written_without_memory_and_without_descriptors() {
    if !support::has_faults() {
        return;
    }
    let ended = child("limited").expect("it runs anywhere");
    ended.assert_signal(libc::SIGABRT);
    assert!(first_line(&ended).starts_with("highwater: arena \"told\" out of memory: "), "{ended:#?}");
    for section in ["  what to do ", "  region ", "  regions ", "  last growth ", "  process "] {
        assert!(ended.stderr.contains(section), "{section} in {ended:#?}");
    }
}

#[test]
fn where_nothing_can_be_written_the_process_ends_all_the_same() {
    if !support::has_faults() {
        return;
    }
    for case in ["closed", "closed late", "full"] {
        let ended = child(case).expect("it runs anywhere");
        ended.assert_signal(libc::SIGABRT);
        // What a file does not take goes to standard error.
        assert_eq!(ended.stderr.is_empty(), case != "full", "{case}: {ended:#?}");
    }
    let full = File::create("/dev/full").unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(support::CHILD_ARGS).env(support::CASE, "refused");
    let status = command.stdout(std::process::Stdio::null()).stderr(full).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGABRT));
}

#[test]
fn a_report_goes_where_it_was_told_to() {
    if !support::has_faults() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report");
    let ended = child_changed("file", |command| _ = command.env(FILE, &path)).expect("it runs anywhere");
    ended.assert_signal(libc::SIGABRT);
    assert_eq!(ended.stderr, "");
    assert_complete(&std::fs::read_to_string(path).unwrap());
    let ended = child("sink").expect("it runs anywhere");
    ended.assert_signal(libc::SIGABRT);
    assert_eq!(ended.stderr, "");
    let told = ended.stdout.find("highwater: ").expect("a report");
    assert_complete(&ended.stdout[told..]);
}

#[test]
fn json_is_one_line_with_the_same_figures() {
    if !support::has_faults() {
        return;
    }
    let ended = child("json").expect("it runs anywhere");
    ended.assert_signal(libc::SIGABRT);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    let report = parsed(&ended.stderr);
    assert_eq!(report["highwater"], "oom");
    assert_eq!(report["cause"], "process-limit");
    assert!(FIRST.ends_with(&report["message"].as_str().unwrap()[..FIRST.len() - "highwater: ".len()]));
    let figure = |name: &str| report[name].as_u64().unwrap() as usize;
    assert_eq!((figure("used"), figure("committed"), figure("reserved")), (3 * MIB, 3 * MIB, 1 << 30));
    assert_eq!((figure("limit"), figure("requested")), (3 * MIB, support::raw::page()));
    assert!(figure("usage") > 3 * MIB);
    check_sections(&report);
}

/// The sections of a report as JSON, where the region in question is "told".
fn check_sections(report: &Value) {
    let own = &report["region"];
    assert_eq!(own["name"], "told");
    let number = own["number"].as_u64().unwrap();
    let entries = |name: &str| report[name].as_array().unwrap_or_else(|| panic!("no {name} in {report}"));
    assert!(entries("regions").iter().any(|region| region["number"] == number));
    let committed: Vec<u64> =
        entries("regions").iter().map(|region| region["committed"].as_u64().unwrap()).collect();
    assert!(committed.is_sorted_by(|larger, smaller| larger >= smaller), "{committed:?}");
    let growths = entries("last_growth");
    assert!(growths.iter().all(|growth| growth["by"].as_u64().unwrap() > 0));
    assert!(growths.iter().any(|growth| growth["of_number"] == number), "{growths:?}");
    assert!(growths.iter().all(|growth| growth["ago"].is_u64() && growth["took"].is_u64()));
    let process = &report["process"];
    assert!(process["regions_have"].as_u64() >= own["committed"].as_u64());
    if !cfg!(highwater_portable) {
        assert!(process["resident"].as_u64() >= Some(2 * MIB as u64), "{process}");
        assert!(process["address_space"].as_u64() >= process["resident"].as_u64());
        let machine = &report["machine"];
        assert!(machine["available"].as_u64() <= machine["of"].as_u64());
        assert!(machine["mappings"].as_u64() < machine["mappings_most"].as_u64());
        assert!(machine["overcommit_memory"].as_u64() <= Some(2) && machine["promised"].is_u64());
    }
    for cgroup in entries("cgroup") {
        assert!(cgroup["path"].as_str().unwrap().starts_with('/') && cgroup["usage"].is_u64(), "{cgroup}");
        assert!(cgroup["limit"].is_u64() || cgroup["limit"] == "none", "{cgroup}");
    }
}

#[test]
fn a_fallible_call_has_the_same_report() {
    let make = |name: &str, bytes: usize| {
        let arena =
            Arena::builder().name(name).reserve(1 << 30).head(0).limit(3 * MIB).headroom(Headroom::Off);
        let arena = arena.growth(Growth::Fixed(1)).build();
        arena.commit_ahead(bytes).unwrap();
        arena
    };
    let others = [make("small", 64 << 10), make("large", 3 * MIB), make("middle", MIB)];
    let arena = make("told", 0);
    arena.try_alloc_slice_fill_copy(2 * MIB / 64, [7u64; 8]).unwrap();
    let error = arena.try_alloc_uninit_slice::<u8>(MIB + 1).unwrap_err();
    let text = error.report().to_string();
    let first = "highwater: arena \"told\" out of memory: requested 1 MiB (effective 1 MiB), used 2 MiB, \
                 committed 2 MiB, reserved 1 GiB: region limit 3 MiB reached";
    assert_eq!(text.lines().next(), Some(first));
    assert_eq!(format!("highwater: {error}"), first);
    assert_eq!(error.report().error(), &error);
    assert!(text.lines().nth(1).unwrap().starts_with("  what to do   raise the limit (Builder::limit"));
    assert!(text.contains("\n  region       number ") && text.contains("\n  regions      number "), "{text}");
    let own = text.lines().find(|line| line.starts_with("  region  ")).unwrap();
    assert!(own.contains("name told, used 2 MiB, committed 2 MiB, peak 2 MiB, reserved 1 GiB"), "{own}");

    let report = json(&error);
    assert_eq!(format!("highwater: {}", report["message"].as_str().unwrap()), first);
    check_sections(&report);
    let own = &report["region"];
    for (name, figure) in [
        ("number", arena.id()),
        ("used", arena.allocated_bytes() as u64),
        ("committed", arena.committed_bytes() as u64),
        ("reserved", arena.reserved_bytes() as u64),
        ("growths", arena.stats().commits),
        ("faults", arena.stats().faults),
    ] {
        assert_eq!(own[name].as_u64(), Some(figure), "{name}");
    }
    assert_eq!(report["requested"].as_u64(), Some(MIB as u64 + 1));
    // Other tests of this binary may have regions too, none of them as large.
    let regions = report["regions"].as_array().unwrap();
    let places: Vec<usize> = ["large", "told", "middle", "small"]
        .iter()
        .filter_map(|name| regions.iter().position(|region| region["name"] == *name))
        .collect();
    assert!(places.len() >= 3 && places.is_sorted(), "{places:?} in {regions:?}");
    drop(others);
    // The region of an error may be gone.
    drop(arena);
    let late = json(&error);
    assert_eq!(
        (late["message"].as_str(), late["region"].as_object().map(|own| own.len())),
        (report["message"].as_str(), Some(0))
    );
    assert!(error.report().to_string().starts_with(first));
}

#[test]
fn names_that_need_escapes_are_escaped() {
    let arena = Arena::builder().name("a \"b\"\\c\n\u{1b}[31m é").reserve(MIB).build();
    let error = arena.try_alloc_uninit_slice::<u8>(2 * MIB).unwrap_err();
    let report = json(&error);
    assert_eq!(report["region"]["name"], "a \"b\"\\c__[31m é");
    assert_eq!(report["message"].as_str(), Some(&*error.to_string()));
    assert!(!error.report().to_string().contains('\u{1b}'));
}
