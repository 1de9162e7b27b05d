//! A SIGSEGV that somebody sent is never growth.
#![cfg(target_os = "linux")]

use crate::support;
use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use highwater::Region;
use libc::{SA_SIGINFO, SIG_DFL, SIG_IGN, SIGSEGV};
use support::raw::{self, grown, page, put, set_action};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("kill, std's handler", || send(0, None)),
    ("raise, std's handler", || send(1, None)),
    ("queue, std's handler", || send(2, None)),
    ("kill, default", || send(0, Some(SIG_DFL))),
    ("raise, default", || send(1, Some(SIG_DFL))),
    ("queue, default", || send(2, Some(SIG_DFL))),
    ("ignored", ignored),
    ("a user's handler", a_users_handler),
];

/// The ways to send a signal to oneself.
const WAYS: [fn(&Region); 3] = [kill, raise, queue];

fn kill(_: &Region) {
    // SAFETY: kill takes any numbers.
    assert_eq!(unsafe { libc::kill(libc::getpid(), SIGSEGV) }, 0);
    while pending() {
        std::thread::yield_now();
    }
}

/// Whether a SIGSEGV for the whole process was not taken by any thread yet.
fn pending() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (SIGSEGV - 1)) != 0
}

fn raise(_: &Region) {
    // SAFETY: raise takes any number.
    assert_eq!(unsafe { libc::raise(SIGSEGV) }, 0);
}

/// `sigqueue` with an address of the tail in every place where a fault's address or a value could be.
fn queue(region: &Region) {
    let tail = region.as_ptr().addr() + (32 << 20);
    let mut info = [0u64; 16];
    let code: c_int = libc::SI_QUEUE;
    info[0] = SIGSEGV as u64;
    info[1] = u64::from(code.cast_unsigned());
    info[2..].fill(tail as u64);
    // SAFETY: the kernel copies 128 bytes, which a siginfo has.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, libc::getpid(), SIGSEGV, info.as_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    while pending() {
        std::thread::yield_now();
    }
}

/// Sends a signal that the process does not survive, after an action for it was set before ours.
fn send(way: usize, before: Option<usize>) {
    if let Some(action) = before {
        set_action(action, 0, &[]);
    }
    let region = grown(10);
    println!("ready");
    WAYS[way](&region);
    // Another thread may be the one that ends the process: it has a minute.
    loop {
        std::thread::yield_now();
    }
}

#[test]
fn it_ends_the_process_with_the_handler_of_std_or_the_default_before_us() {
    if !support::has_faults() {
        return;
    }
    for before in ["std's handler", "default"] {
        for way in ["kill", "raise", "queue"] {
            let ended = support::child(&format!("{way}, {before}"));
            assert!(ended.stdout.contains("ready"), "{ended:#?}");
            ended.assert_signal(SIGSEGV);
        }
    }
}

#[test]
fn it_is_ignored_where_it_was() {
    if support::has_faults() {
        support::child("ignored").assert_success();
    }
}

fn ignored() {
    set_action(SIG_IGN, 0, &[]);
    let region = grown(10);
    for way in [0, 1, 2, 1] {
        let before = region.committed_bytes();
        WAYS[way](&region);
        assert_eq!(region.committed_bytes(), before);
        put(&region, before, 1);
        assert_eq!(region.committed_bytes(), before + page());
    }
}

#[test]
fn a_handler_before_us_is_called_and_growth_goes_on() {
    if support::has_faults() {
        support::child("a user's handler").assert_success();
    }
}

static CALLS: AtomicUsize = AtomicUsize::new(0);
static CODES: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn note(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes it.
    let code = unsafe { (*info).si_code };
    CODES.fetch_add(usize::from(code <= 0), SeqCst);
    CALLS.fetch_add(1, SeqCst);
}

fn a_users_handler() {
    set_action(note as raw::Handler as usize, SA_SIGINFO, &[]);
    let region = grown(10);
    for (i, way) in [0, 1, 2, 0, 1, 2].into_iter().enumerate() {
        let before = region.committed_bytes();
        WAYS[way](&region);
        while CALLS.load(SeqCst) == i {
            std::thread::yield_now();
        }
        assert_eq!((CALLS.load(SeqCst), CODES.load(SeqCst)), (i + 1, i + 1));
        assert_eq!(region.committed_bytes(), before, "what is sent commits nothing");
        put(&region, before, 1);
        assert_eq!(region.committed_bytes(), before + page());
    }
    assert_eq!(CALLS.load(SeqCst), 6, "growth is not its business");
}
