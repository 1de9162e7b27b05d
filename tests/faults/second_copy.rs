//! Two copies of the library in one process: this one, and one in a dynamic library.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Region, fault};
use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use support::raw::{self, page, put, wild, write_to};

pub const PATH: &str = "HIGHWATER_TEST_SECOND_COPY";

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("this copy first", this_copy_first),
    ("the library first", library_first),
    ("taking turns", taking_turns),
    ("threads of both", threads_of_both),
    ("a foreign fault, this copy first", || foreign(true, 0)),
    ("a foreign fault, the library first", || foreign(false, 0)),
    ("a foreign fault after turns, this copy first", || foreign(true, 5)),
    ("a foreign fault after turns, the library first", || foreign(false, 5)),
    ("a foreign fault after an even number of turns", || foreign(true, 4)),
];

/// Runs a case with the path of the dynamic library in its environment.
pub fn child(case: &str) -> support::Ended {
    let built = support::build_once(&["--manifest-path", "tests/second-copy/Cargo.toml"]);
    support::child_with(case, |command| {
        command.env(PATH, built.join("libsecond_copy.so"));
    })
}

/// The functions of the loaded library.
pub struct Second {
    pub handle: *mut c_void,
    pub make: extern "C" fn() -> *mut c_void,
    pub grow: unsafe extern "C" fn(*const c_void, usize) -> u64,
    pub free: unsafe extern "C" fn(*mut c_void),
    pub is_front: extern "C" fn() -> bool,
    pub ensure_front: extern "C" fn() -> bool,
}

// SAFETY: function pointers, and a handle that only one thread closes.
unsafe impl Sync for Second {}

/// A function of a library.
///
/// # Safety
/// `F` is the function's type.
pub unsafe fn function<F: Copy>(handle: *mut c_void, name: &CStr) -> F {
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: the handle is open, and the caller knows the type.
    unsafe {
        let address = libc::dlsym(handle, name.as_ptr());
        assert!(!address.is_null(), "{name:?}");
        std::mem::transmute_copy(&address)
    }
}

impl Second {
    pub fn load() -> Self {
        let path = std::env::var_os(PATH).expect("the parent built the library");
        Second::load_from(Path::new(&path))
    }

    pub fn load_from(path: &Path) -> Self {
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

    pub fn region(&self) -> Theirs<'_> {
        let region = (self.make)();
        assert!(!region.is_null());
        Theirs { second: self, region }
    }
}

/// A region of the library's.
pub struct Theirs<'a> {
    second: &'a Second,
    region: *mut c_void,
}

impl Theirs<'_> {
    /// Touches its first `pages` pages.
    pub fn grow(&self, pages: usize) {
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
pub fn grow_ours(region: &Region, pages: usize) {
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
pub fn turns(this_first: bool, turns: usize) -> (Second, Region) {
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
