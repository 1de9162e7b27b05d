//! Two copies of the library in one process: this one, and one in a dynamic library.
#![cfg(target_os = "linux")]

use crate::support;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use highwater::{Region, fault};
use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use support::raw::{self, page, put, wild, write_to};

const PATH: &str = "HIGHWATER_TEST_SECOND_COPY";

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("this copy first", this_copy_first),
    ("the library first", library_first),
    ("taking turns", taking_turns),
    ("stops of a debugger", stops),
    ("refused in the library", refused_in_the_library),
    ("threads of both", threads_of_both),
    ("a foreign fault, this copy first", || foreign(true, 0)),
    ("a foreign fault, the library first", || foreign(false, 0)),
    ("a foreign fault after turns, this copy first", || foreign(true, 5)),
    ("a foreign fault after turns, the library first", || foreign(false, 5)),
    ("a foreign fault after an even number of turns", || foreign(true, 4)),
    ("many copies", many_copies),
    ("many copies, and an overflow", many_copies_and_overflow),
    ("many copies, and a foreign fault", many_copies_and_foreign),
    ("unloaded", unloaded),
    ("unloaded, and a foreign fault", unloaded_and_foreign),
];

/// Runs a case with the path of the dynamic library in its environment.
fn child(case: &str) -> support::Ended {
    let built = support::build_once(&["--manifest-path", "tests/second-copy/Cargo.toml"]);
    support::child_with(case, |command| {
        command.env(PATH, built.join("libsecond_copy.so"));
    })
}

/// The functions of the loaded library.
struct Second {
    handle: *mut c_void,
    make: extern "C" fn() -> *mut c_void,
    grow: unsafe extern "C" fn(*const c_void, usize) -> u64,
    free: unsafe extern "C" fn(*mut c_void),
    is_front: extern "C" fn() -> bool,
    ensure_front: extern "C" fn() -> bool,
}

// SAFETY: function pointers, and a handle that only one thread closes.
unsafe impl Sync for Second {}

/// A function of a library.
///
/// # Safety
/// `F` is the function's type.
unsafe fn function<F: Copy>(handle: *mut c_void, name: &CStr) -> F {
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: the handle is open, and the caller knows the type.
    unsafe {
        let address = libc::dlsym(handle, name.as_ptr());
        assert!(!address.is_null(), "{name:?}");
        std::mem::transmute_copy(&address)
    }
}

impl Second {
    fn load() -> Self {
        let path = std::env::var_os(PATH).expect("the parent built the library");
        Second::load_from(Path::new(&path))
    }

    fn load_from(path: &Path) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: the library's initialisers have no preconditions, and the types are those of its source.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
            assert!(!handle.is_null(), "{:?}", CStr::from_ptr(libc::dlerror()));
            Second {
                handle,
                make: function(handle, c"second_make"),
                grow: function(handle, c"second_grow"),
                free: function(handle, c"second_free"),
                is_front: function(handle, c"second_is_front"),
                ensure_front: function(handle, c"second_ensure_front"),
            }
        }
    }

    fn region(&self) -> Theirs<'_> {
        let region = (self.make)();
        assert!(!region.is_null());
        Theirs { second: self, region }
    }
}

/// A region of the library's.
struct Theirs<'a> {
    second: &'a Second,
    region: *mut c_void,
}

impl Theirs<'_> {
    /// Touches its first `pages` pages.
    fn grow(&self, pages: usize) {
        // SAFETY: the region is live.
        let faults = unsafe { (self.second.grow)(self.region, pages * 4096) };
        // The head is committed from the start.
        let expected = pages.saturating_sub((64 << 10) / 4096) as u64;
        assert_eq!(faults, if highwater::engine() == highwater::Engine::Fault { expected } else { 0 });
    }
}

impl Drop for Theirs<'_> {
    fn drop(&mut self) {
        // SAFETY: freed once.
        unsafe { (self.second.free)(self.region) };
    }
}

/// Grows a region of this copy's by some pages.
fn grow_ours(region: &Region, pages: usize) {
    let before = region.committed_bytes();
    for i in 0..pages {
        put(region, before + i * page(), 1);
    }
    assert_eq!(region.committed_bytes(), before + pages * page());
}

#[test]
fn both_grow_whoever_came_first() {
    if support::has_faults() {
        child("this copy first").assert_success();
        child("the library first").assert_success();
    }
}

fn this_copy_first() {
    let ours = raw::grown(10);
    assert!(fault::is_front());
    let second = Second::load();
    let theirs = second.region();
    assert!((second.is_front)() && !fault::is_front(), "whoever comes later is in front");
    for i in 1..20 {
        theirs.grow(i * 10);
        grow_ours(&ours, 10);
    }
    assert!((second.is_front)() && !fault::is_front(), "nobody fights");
}

fn library_first() {
    let second = Second::load();
    let theirs = second.region();
    theirs.grow(50);
    let ours = raw::grown(10);
    assert!(fault::is_front() && !(second.is_front)());
    for i in 6..20 {
        theirs.grow(i * 10);
        grow_ours(&ours, 10);
        drop(second.region());
        drop(raw::grown(3));
    }
    assert!(fault::is_front() && !(second.is_front)());
}

#[test]
fn the_front_may_be_taken_in_turns() {
    if support::has_faults() {
        child("taking turns").assert_success();
        child("threads of both").assert_success();
    }
}

/// Both copies in use, after so many times that one of them was put in front.
fn turns(this_first: bool, turns: usize) -> (Second, Region) {
    let (second, ours) = if this_first {
        let ours = raw::grown(10);
        (Second::load(), ours)
    } else {
        let second = Second::load();
        second.region().grow(50);
        (second, raw::grown(10))
    };
    let theirs = second.region();
    for turn in 0..turns {
        if turn % 2 == 0 {
            fault::ensure_front().unwrap();
        } else {
            assert!((second.ensure_front)());
        }
        assert_eq!((fault::is_front(), (second.is_front)()), (turn % 2 == 0, turn % 2 == 1));
        theirs.grow((turn + 1) * 20);
        grow_ours(&ours, 10);
    }
    drop(theirs);
    (second, ours)
}

fn taking_turns() {
    drop(turns(true, 50));
    drop(turns(false, 51));
}

fn threads_of_both() {
    let (second, _ours) = turns(true, 3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..100).for_each(|_| drop(raw::grown(50))));
            scope.spawn(|| (0..100).for_each(|_| second.region().grow(50)));
        }
    });
}

#[test]
fn a_foreign_fault_ends_the_process_and_does_not_go_round() {
    if !support::has_faults() {
        return;
    }
    for case in [
        "a foreign fault, this copy first",
        "a foreign fault, the library first",
        "a foreign fault after turns, this copy first",
        "a foreign fault after turns, the library first",
        "a foreign fault after an even number of turns",
    ] {
        let ended = child(case);
        assert!(ended.stdout.contains("ready"), "{ended:#?}");
        ended.assert_signal(libc::SIGSEGV);
    }
}

fn foreign(this_first: bool, count: usize) {
    let _both = turns(this_first, count);
    println!("ready");
    write_to(wild());
}

const COPIES: usize = 40;

/// A process with dozens of copies, as hot-reloaded plug-ins make it, whose first one is the last to be asked. A
/// handler that was there before all of them opens the wild page.
fn with_many_copies(run: fn(&[Second], &Region)) {
    let ours = raw::grown(10);
    let path = std::env::var_os(PATH).expect("the parent built the library");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let load = |number: usize| {
        // The loader knows a file by its inode: each copy needs one.
        let copy = dir.path().join(format!("{number}.so"));
        std::fs::copy(&path, &copy).unwrap();
        let second = Second::load_from(&copy);
        drop(second.region());
        assert!((second.is_front)());
        second
    };
    let copies: Vec<_> = (0..COPIES).map(load).collect();
    drop(dir);
    // On a thread of std's, whose alternate stack has 8 KiB.
    std::thread::scope(|scope| scope.spawn(|| run(&copies, &ours)).join()).unwrap();
}

fn many_copies() {
    raw::set_action(open as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK, &[]);
    with_many_copies(|copies, ours| {
        grow_ours(ours, 100);
        copies.iter().for_each(|copy| copy.region().grow(20));
        for i in 1..=3 {
            write_to(wild());
            assert_eq!(OPENED.load(SeqCst), i);
        }
        // SAFETY: raise takes any number.
        assert_eq!(unsafe { libc::raise(libc::SIGSEGV) }, 0);
        assert_eq!(OPENED.load(SeqCst), 4);
        grow_ours(ours, 100);
    });
}

static OPENED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn open(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    OPENED.fetch_add(1, SeqCst);
    raw::open_wild();
}

fn many_copies_and_overflow() {
    with_many_copies(|_, ours| {
        grow_ours(ours, 100);
        println!("ready");
        recurse(0);
    });
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn recurse(depth: usize) -> usize {
    std::hint::black_box([depth; 64]);
    recurse(depth + 1) + std::hint::black_box(1)
}

fn many_copies_and_foreign() {
    with_many_copies(|_, _| {
        println!("ready");
        write_to(wild());
    });
}

#[test]
fn dozens_of_copies_fit_on_a_small_stack() {
    if !support::has_faults() {
        return;
    }
    child("many copies").assert_success();
    let ended = child("many copies, and an overflow");
    assert!(ended.stderr.contains("has overflowed its stack"), "{ended:#?}");
    ended.assert_signal(libc::SIGABRT);
    let ended = child("many copies, and a foreign fault");
    assert!(ended.stdout.contains("ready"), "{ended:#?}");
    ended.assert_signal(libc::SIGSEGV);
}

#[test]
fn the_handler_outlives_the_library_it_came_with() {
    if support::has_faults() {
        child("unloaded").assert_success();
        let ended = child("unloaded, and a foreign fault");
        assert!(ended.stdout.contains("ready"), "{ended:#?}");
        ended.assert_signal(libc::SIGSEGV);
    }
}

/// Its handler is in front when the library is unloaded.
fn unload() -> Region {
    let ours = raw::grown(10);
    // On a thread of its own: what the library keeps per thread would hold it in memory.
    std::thread::spawn(|| {
        let second = Second::load();
        second.region().grow(50);
        assert!((second.is_front)());
        // SAFETY: nothing of the library is used afterwards.
        assert_eq!(unsafe { libc::dlclose(second.handle) }, 0);
    })
    .join()
    .unwrap();
    ours
}

fn unloaded() {
    let ours = unload();
    assert!(!fault::is_front());
    grow_ours(&ours, 100);
    assert_eq!(ours.stats().faults, 110);
}

fn unloaded_and_foreign() {
    let ours = unload();
    println!("ready");
    write_to(wild());
    drop(ours);
}

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
