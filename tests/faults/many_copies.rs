//! Dozens of copies of the library in one process, and copies that are unloaded.
#![cfg(target_os = "linux")]

use super::second_copy::{PATH, Second, child, grow_ours};
use crate::support;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use highwater::{Region, fault};
use std::ffi::{c_int, c_void};
use support::raw::{self, wild, write_to};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("many copies", many_copies),
    ("many copies, and an overflow", many_copies_and_overflow),
    ("many copies, and a foreign fault", many_copies_and_foreign),
    ("unloaded", unloaded),
    ("unloaded, and a foreign fault", unloaded_and_foreign),
];

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

pub unsafe extern "C" fn open(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
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
