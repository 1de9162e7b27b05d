//! Crash reporters around ours: what they do when a crash is theirs, and when they leave.
#![cfg(target_os = "linux")]

use crate::support;
use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::SeqCst;
use highwater::fault;
use libc::{SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_SIGINFO, SIG_DFL, SIG_IGN, SIGSEGV};
use support::raw::{self, grown, set_action, wild, write_to};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("restores and returns", || crash(restores, 0)),
    ("restores and returns, behind the default", || behind_default(restores, 0)),
    ("restores and raises", || crash(restores_and_raises, 0)),
    ("restores and raises, nested", || crash(restores_and_raises, SA_NODEFER)),
    ("restores and raises, behind the default", || behind_default(restores_and_raises, SA_NODEFER)),
    ("restores and sends", || crash(restores_and_sends, 0)),
    ("restores and sends, nested", || crash(restores_and_sends, SA_NODEFER)),
    ("calls and returns", || crash(calls, 0)),
    ("restores and calls", || crash(restores_and_calls, 0)),
    ("returns, once", || crash(returns, SA_RESETHAND)),
    ("restores and returns, once", || crash(restores, SA_RESETHAND)),
    ("restores and raises, without siginfo", without_siginfo),
    ("two of them", two_of_them),
    ("a thousand times", a_thousand_times),
    ("installed again and again", installed_again_and_again),
    ("leaves by a jump", leaves_by_a_jump),
    ("default while it stands", || removed(SIG_DFL)),
    ("ignored while it stands", || removed(SIG_IGN)),
    ("one before us leaves", one_before_us_leaves),
    ("one behind us leaves", one_behind_us_leaves),
    ("default a thousand times", default_a_thousand_times),
    ("one that is not known", one_that_is_not_known),
];

/// What the reporters found when they were installed.
static FOUND: [AtomicUsize; 2] = [AtomicUsize::new(SIG_DFL), AtomicUsize::new(SIG_DFL)];
static FOUND_FLAGS: AtomicUsize = AtomicUsize::new(0);
static REPORTS: AtomicUsize = AtomicUsize::new(0);

/// Installs a reporter, as a program in C would.
fn install(reporter: raw::Handler, flags: c_int) {
    let found = set_action(reporter as usize, flags | SA_SIGINFO, &[]);
    FOUND[0].store(found.sa_sigaction, SeqCst);
    FOUND_FLAGS
        .store(usize::try_from(found.sa_flags & (SA_SIGINFO | SA_NODEFER | SA_ONSTACK)).unwrap(), SeqCst);
}

/// Makes what was found the action again.
fn restore() {
    let flags = c_int::try_from(FOUND_FLAGS.load(SeqCst)).unwrap_or(0);
    set_action(FOUND[0].load(SeqCst), flags, &[]);
}

/// Writes a report. One that goes on and on ends the process otherwise than by SIGSEGV.
fn report() {
    let text = b"report\n";
    // SAFETY: the text is memory.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    if REPORTS.fetch_add(1, SeqCst) > 20 {
        raw::exit_now(42);
    }
}

unsafe extern "C" fn returns(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    report();
}

unsafe extern "C" fn restores(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    report();
    restore();
}

unsafe extern "C" fn restores_and_raises(signal: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    report();
    restore();
    // SAFETY: any number may be raised.
    unsafe { libc::raise(signal) };
}

extern "C" fn restores_and_raises_without_siginfo(signal: c_int) {
    report();
    restore();
    // SAFETY: any number may be raised.
    unsafe { libc::raise(signal) };
}

unsafe extern "C" fn restores_and_sends(signal: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    report();
    restore();
    // SAFETY: the numbers are this thread's; a process may send itself a siginfo as the kernel makes them.
    unsafe {
        let (process, thread) = (libc::getpid(), libc::syscall(libc::SYS_gettid));
        let sent = libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, info);
        if sent != 0 {
            libc::syscall(libc::SYS_tgkill, process, thread, signal);
        }
    }
}

unsafe extern "C" fn calls(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    report();
    // SAFETY: what was found has three arguments.
    unsafe { std::mem::transmute::<usize, raw::Handler>(FOUND[0].load(SeqCst))(signal, info, context) };
}

unsafe extern "C" fn restores_and_calls(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    restore();
    // SAFETY: as a handler is called.
    unsafe { calls(signal, info, context) };
}

/// A reporter between two entries of ours, and a crash.
fn crash(reporter: raw::Handler, flags: c_int) {
    let _region = grown(10);
    install(reporter, flags);
    fault::ensure_front().unwrap();
    assert!(fault::is_front());
    drop(grown(20));
    assert_eq!(REPORTS.load(SeqCst), 0, "a growth is no crash");
    println!("ready");
    write_to(wild());
}

/// The same without std's handler, which restores the default action by itself.
fn behind_default(reporter: raw::Handler, flags: c_int) {
    set_action(SIG_DFL, 0, &[]);
    crash(reporter, flags);
}

#[track_caller]
fn reports_once(case: &str) {
    reports(case, 1);
}

#[track_caller]
fn reports(case: &str, times: usize) {
    let ended = support::child(case);
    assert!(ended.stdout.contains("ready"), "{ended:#?}");
    assert_eq!(ended.stderr.matches("report").count(), times, "{case}: {ended:#?}");
    ended.assert_signal(SIGSEGV);
}

#[test]
fn a_crash_is_reported_once_and_ends_the_process() {
    if !support::has_faults() {
        return;
    }
    for case in [
        "restores and returns",
        "restores and returns, behind the default",
        "restores and raises",
        "restores and raises, nested",
        "restores and raises, behind the default",
        "restores and raises, without siginfo",
        "restores and sends",
        "restores and sends, nested",
        "calls and returns",
        "restores and calls",
        "returns, once",
        "restores and returns, once",
        "installed again and again",
    ] {
        reports_once(case);
    }
}

fn without_siginfo() {
    let _region = grown(10);
    let reporter: extern "C" fn(c_int) = restores_and_raises_without_siginfo;
    let found = set_action(reporter as usize, SA_NODEFER, &[]);
    FOUND[0].store(found.sa_sigaction, SeqCst);
    FOUND_FLAGS.store(usize::try_from(SA_SIGINFO).unwrap(), SeqCst);
    fault::ensure_front().unwrap();
    println!("ready");
    write_to(wild());
}

/// One in front of ours, and there again whenever the fault was passed on. So is ours where other threads build
/// arenas.
fn installed_again_and_again() {
    set_action(SIG_DFL, 0, &[]);
    let _region = grown(10);
    install(calls_and_stays, SA_ONSTACK);
    println!("ready");
    write_to(wild());
}

unsafe extern "C" fn calls_and_stays(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: as a handler is called.
    unsafe { calls(signal, info, context) };
    set_action(calls_and_stays as raw::Handler as usize, SA_SIGINFO | SA_ONSTACK, &[]);
}

/// Another reporter, which found the first one's successor.
unsafe extern "C" fn second(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    report();
    set_action(FOUND[1].load(SeqCst), SA_SIGINFO, &[]);
}

#[test]
fn two_reporters_report_once_each() {
    if support::has_faults() {
        reports("two of them", 2);
    }
}

fn two_of_them() {
    let _region = grown(10);
    install(restores, 0);
    fault::ensure_front().unwrap();
    let found = set_action(second as raw::Handler as usize, SA_SIGINFO, &[]);
    FOUND[1].store(found.sa_sigaction, SeqCst);
    fault::ensure_front().unwrap();
    drop(grown(20));
    println!("ready");
    write_to(wild());
}

#[test]
fn the_front_may_be_repaired_any_number_of_times() {
    if support::has_faults() {
        reports("a thousand times", 2);
    }
}

/// More often than there are places for handlers, by turns.
fn a_thousand_times() {
    for _ in 0..500 {
        two_of_them_again();
    }
    println!("ready");
    write_to(wild());
}

fn two_of_them_again() {
    install(restores, 0);
    fault::ensure_front().unwrap();
    let found = set_action(second as raw::Handler as usize, SA_SIGINFO, &[]);
    FOUND[1].store(found.sa_sigaction, SeqCst);
    fault::ensure_front().unwrap();
    drop(grown(2));
}

#[test]
fn a_handler_behind_us_may_leave_by_a_jump() {
    if support::has_faults() {
        support::child("leaves by a jump").assert_success();
    }
}

/// Where the handler jumps to.
struct Shared(std::cell::UnsafeCell<std::mem::MaybeUninit<libc::ucontext_t>>);

// SAFETY: one thread of the child uses it.
unsafe impl Sync for Shared {}

static BACK: Shared = Shared(std::cell::UnsafeCell::new(std::mem::MaybeUninit::uninit()));

#[cfg(target_env = "gnu")]
unsafe extern "C" fn jumps(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    REPORTS.fetch_add(1, SeqCst);
    // SAFETY: the context was saved by the swap that led here, and is used once.
    unsafe { libc::setcontext((*BACK.0.get()).as_ptr()) };
}

#[cfg(target_env = "gnu")]
extern "C" fn faults_at_null() {
    write_to(8);
}

/// As siglongjmp does it: the stack pointer and the mask are those from before, and the handler never returns.
#[cfg(target_env = "gnu")]
fn leaves_by_a_jump() {
    let _region = grown(10);
    install(jumps, SA_ONSTACK);
    fault::ensure_front().unwrap();
    let mut stack = vec![0u8; 256 << 10];
    for i in 1..=300 {
        let mut there = std::mem::MaybeUninit::<libc::ucontext_t>::uninit();
        // SAFETY: the contexts are initialised before they are used; the stack outlives the function on it, which
        // is left by the handler's jump. It owns nothing.
        unsafe {
            assert_eq!(libc::getcontext(there.as_mut_ptr()), 0);
            let context = there.assume_init_mut();
            context.uc_stack.ss_sp = stack.as_mut_ptr().cast();
            context.uc_stack.ss_size = stack.len();
            context.uc_link = std::ptr::null_mut();
            libc::makecontext(context, faults_at_null, 0);
            assert_eq!(libc::swapcontext((*BACK.0.get()).as_mut_ptr(), context), 0);
        }
        assert_eq!(REPORTS.load(SeqCst), i);
        assert!(!raw::is_blocked(SIGSEGV) && !raw::is_blocked(libc::SIGUSR1));
        drop(grown(3));
    }
}

#[cfg(not(target_env = "gnu"))]
fn leaves_by_a_jump() {}

/// Somebody sets an action while a region lives; the next region repairs that, also for the first.
fn removed(action: usize) {
    let region = grown(10);
    set_action(action, 0, &[]);
    assert!(!fault::is_front());
    drop(grown(10));
    assert!(fault::is_front());
    raw::put(&region, 40 << 20, 1);
    println!("ready");
    write_to(wild());
}

#[test]
fn a_region_that_is_built_puts_the_handler_back_where_none_is_left() {
    if !support::has_faults() {
        return;
    }
    for case in ["default while it stands", "ignored while it stands"] {
        reports(case, 0);
    }
    support::child("one before us leaves").assert_signal(libc::SIGABRT);
    support::child("one behind us leaves").assert_success();
    support::child("default a thousand times").assert_success();
}

/// A reporter between std's handler and ours: what it restores is std's, whose message for an overflowed stack stays.
fn one_before_us_leaves() {
    install(returns, 0);
    let region = grown(10);
    restore();
    assert!(!fault::is_front());
    drop(grown(10));
    assert!(fault::is_front());
    raw::put(&region, 40 << 20, 1);
    recurse(0);
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn recurse(depth: usize) -> usize {
    std::hint::black_box([depth; 64]);
    recurse(depth + 1) + std::hint::black_box(1)
}

/// As `faulthandler.disable()` does: what it restores is ours, from before it was there.
fn one_behind_us_leaves() {
    let region = grown(10);
    for _ in 0..200 {
        install(returns, 0);
        fault::ensure_front().unwrap();
        restore();
        assert!(fault::is_front());
        drop(grown(10));
        raw::put(&region, 40 << 20, 1);
    }
    assert_eq!(REPORTS.load(SeqCst), 0);
}

fn default_a_thousand_times() {
    for _ in 0..1000 {
        drop(grown(2));
        set_action(SIG_DFL, 0, &[]);
    }
}

#[test]
fn a_region_that_is_built_leaves_a_handler_that_is_not_known_where_it_is() {
    if support::has_faults() {
        support::child("one that is not known").assert_success();
    }
}

fn one_that_is_not_known() {
    drop(grown(10));
    install(calls, SA_ONSTACK);
    let region = highwater::Region::builder().reserve(64 << 20).build();
    assert!(!fault::is_front());
    raw::put(&region, 32 << 20, 1);
    assert_eq!(REPORTS.load(SeqCst), 1, "it passed the growth on");
}
