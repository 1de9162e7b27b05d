//! Other people's SIGSEGV handlers, before ours and after it.
#![cfg(target_os = "linux")]

use crate::support;
use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::{AtomicU32, AtomicUsize};
use highwater::fault;
use libc::{SA_NODEFER, SA_RESETHAND, SA_SIGINFO, SIGSEGV, SIGUSR1, SIGUSR2};
use support::raw::{self, grown, is_blocked, open_wild, put, set_action, wild, write_to};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("siginfo before us", siginfo_before_us),
    ("one argument before us", one_argument_before_us),
    ("once before us", once_before_us),
    ("once before us, faulting", once_before_us_faulting),
    ("mask before us", mask_before_us),
    ("nodefer before us", nodefer_before_us),
    ("chaining after us", chaining_after_us),
    ("rude after us", rude_after_us),
    ("rude after us, and growth", rude_after_us_and_growth),
    ("ensure_front", ensure_front_repairs),
    ("circle, handled by the first", circle_handled_by_the_first),
    ("circle, default first", circle_default_first),
    ("circle, std first", circle_std_first),
    ("try_handle", try_handle_from_the_front),
];

/// How often each handler below was called.
static SERVED: AtomicUsize = AtomicUsize::new(0);
static PASSED: AtomicUsize = AtomicUsize::new(0);
/// What the kernel told the last of them.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static PC: AtomicUsize = AtomicUsize::new(0);
/// The signals that were blocked: SIGSEGV 1, SIGUSR1 2, SIGUSR2 4.
static BLOCKED: AtomicU32 = AtomicU32::new(0);

fn note_blocked() {
    let bits = [SIGSEGV, SIGUSR1, SIGUSR2].map(|signal| u32::from(is_blocked(signal)));
    BLOCKED.store(bits[0] | bits[1] << 1 | bits[2] << 2, SeqCst);
}

/// The handler of a program that knows what to do about its wild page.
unsafe extern "C" fn serve(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    SERVED.fetch_add(1, SeqCst);
    // SAFETY: the kernel passes both, and whoever stands between passes them on.
    unsafe {
        ADDRESS.store((*info).si_addr().addr(), SeqCst);
        PC.store(program_counter(context), SeqCst);
    }
    note_blocked();
    open_wild();
}

unsafe extern "C" fn serve_without_siginfo(signal: c_int) {
    SERVED.fetch_add(if signal == SIGSEGV { 1 } else { 1000 }, SeqCst);
    open_wild();
}

unsafe fn program_counter(context: *mut c_void) -> usize {
    // SAFETY: the caller passes what the kernel passed.
    let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    return machine.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    return machine.pc as usize;
}

/// The action before [`chain`] was installed, as the handler reads it.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Passes everything on.
unsafe extern "C" fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if PASSED.fetch_add(1, SeqCst) > 1000 {
        raw::exit_now(42);
    }
    // SAFETY: the one before is ours, which has three arguments.
    unsafe {
        let next = std::mem::transmute::<usize, raw::Handler>(NEXT.load(SeqCst));
        next(signal, info, context);
    }
}

fn install_chain() {
    let before = set_action(chain as raw::Handler as usize, SA_SIGINFO, &[]);
    assert_ne!(before.sa_flags & SA_SIGINFO, 0);
    NEXT.store(before.sa_sigaction, SeqCst);
}

fn install_serve(flags: c_int, mask: &[c_int]) {
    set_action(serve as raw::Handler as usize, flags | SA_SIGINFO, mask);
}

/// Faults that are not ours, with growth before, between and after.
fn foreign_faults(times: usize) {
    for i in 1..=times {
        let region = grown(10);
        write_to(wild());
        assert_eq!(SERVED.load(SeqCst), i);
        drop(region);
        drop(grown(20));
        assert_eq!(SERVED.load(SeqCst), i, "a growth is nobody else's business");
    }
}

#[test]
fn a_handler_before_us_gets_foreign_faults_with_all_that_the_kernel_said() {
    if support::has_faults() {
        support::child("siginfo before us").assert_success();
        support::child("one argument before us").assert_success();
    }
}

fn siginfo_before_us() {
    install_serve(0, &[]);
    foreign_faults(3);
    assert_eq!(ADDRESS.load(SeqCst), wild());
    // The instruction stands in a small function, which nothing is inlined into.
    let (pc, near) = (PC.load(SeqCst), write_to as fn(usize) as usize);
    assert!(pc.abs_diff(near) < 1 << 20, "{pc:x} is not near {near:x}");
}

fn one_argument_before_us() {
    let handler: unsafe extern "C" fn(c_int) = serve_without_siginfo;
    set_action(handler as usize, 0, &[]);
    foreign_faults(3);
}

#[test]
fn one_that_wants_to_be_called_once_is_called_once() {
    if support::has_faults() {
        let ended = support::child("once before us");
        assert!(ended.stdout.contains("once"), "{ended:#?}");
        ended.assert_signal(SIGSEGV);
        let ended = support::child("once before us, faulting");
        assert!(ended.stdout.contains("ready"), "{ended:#?}");
        ended.assert_signal(SIGSEGV);
    }
}

fn once_before_us() {
    install_serve(SA_RESETHAND, &[]);
    foreign_faults(1);
    println!("once");
    write_to(wild());
}

/// A handler that faults itself: with `SA_RESETHAND` the default action is in force by then.
unsafe extern "C" fn fault_again(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    if PASSED.fetch_add(1, SeqCst) > 0 {
        raw::exit_now(42);
    }
    write_to(8);
}

fn once_before_us_faulting() {
    set_action(fault_again as raw::Handler as usize, SA_RESETHAND | SA_SIGINFO | SA_NODEFER, &[]);
    let _region = grown(10);
    println!("ready");
    write_to(wild());
}

#[test]
fn the_mask_of_one_before_us_is_in_force_while_it_runs() {
    if support::has_faults() {
        support::child("mask before us").assert_success();
        support::child("nodefer before us").assert_success();
    }
}

fn mask_before_us() {
    install_serve(0, &[SIGUSR1]);
    foreign_faults(1);
    assert_eq!(BLOCKED.load(SeqCst), 0b011, "its mask and the signal itself");
    note_blocked();
    assert_eq!(BLOCKED.load(SeqCst), 0, "and nothing afterwards");
}

fn nodefer_before_us() {
    install_serve(SA_NODEFER, &[SIGUSR2]);
    foreign_faults(1);
    assert_eq!(BLOCKED.load(SeqCst), 0b100);
}

#[test]
fn one_after_us_that_chains_changes_nothing() {
    if support::has_faults() {
        support::child("chaining after us").assert_success();
    }
}

fn chaining_after_us() {
    install_serve(0, &[]);
    drop(grown(10));
    assert!(fault::is_front());
    install_chain();
    assert!(!fault::is_front());
    foreign_faults(2);
    assert_eq!(PASSED.load(SeqCst), 2 * (10 + 20 + 1), "each fault came by once");
}

#[test]
fn one_after_us_that_does_not_chain_stops_growth_until_ensure_front() {
    if support::has_faults() {
        assert_eq!(support::child("rude after us, and growth").status.code(), Some(42));
        support::child("rude after us").assert_success();
        support::child("ensure_front").assert_success();
    }
}

/// Serves its page and passes nothing on.
unsafe extern "C" fn rude(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    SERVED.fetch_add(1, SeqCst);
    // SAFETY: the kernel passes it.
    if unsafe { (*info).si_addr().addr() } != ADDRESS.load(SeqCst) {
        raw::exit_now(42);
    }
    open_wild();
}

fn install_rude() {
    drop(grown(10));
    ADDRESS.store(wild(), SeqCst);
    set_action(rude as raw::Handler as usize, SA_SIGINFO, &[]);
    assert!(!fault::is_front());
}

fn rude_after_us_and_growth() {
    install_rude();
    drop(grown(1));
}

fn rude_after_us() {
    install_rude();
    fault::ensure_front().unwrap();
    assert!(fault::is_front());
    foreign_faults(3);
}

fn ensure_front_repairs() {
    for i in 0..50 {
        install_rude();
        fault::ensure_front().unwrap();
        fault::ensure_front().unwrap();
        assert!(fault::is_front());
        drop(grown(2));
        write_to(wild());
        assert_eq!(SERVED.load(SeqCst), i + 1);
    }
}

#[test]
fn a_foreign_fault_goes_round_no_circle() {
    if support::has_faults() {
        support::child("circle, handled by the first").assert_success();
        for case in ["circle, default first", "circle, std first"] {
            let ended = support::child(case);
            assert!(ended.stdout.contains("ready"), "{ended:#?}");
            ended.assert_signal(SIGSEGV);
        }
    }
}

/// Ours in front, one behind it that passes everything on to ours.
fn make_circle() {
    drop(grown(10));
    install_chain();
    fault::ensure_front().unwrap();
    assert!(fault::is_front());
    drop(grown(10));
    assert_eq!(PASSED.load(SeqCst), 0);
    println!("ready");
}

fn circle_handled_by_the_first() {
    install_serve(0, &[]);
    make_circle();
    // More often than any table of faults under way could have places.
    foreign_faults(200);
    assert_eq!(PASSED.load(SeqCst), 200);
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(|| drop(grown(100)))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn circle_default_first() {
    set_action(libc::SIG_DFL, 0, &[]);
    make_circle();
    write_to(wild());
}

fn circle_std_first() {
    make_circle();
    write_to(wild());
}

#[test]
fn a_handler_that_stays_in_front_may_ask_us() {
    if support::has_faults() {
        support::child("try_handle").assert_success();
    }
}

unsafe extern "C" fn ask(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: these are a handler's arguments; errno is this thread's own.
    unsafe {
        *libc::__errno_location() = 77;
        if fault::try_handle(signal, info.cast(), context) {
            PASSED.fetch_add(if *libc::__errno_location() == 77 { 1 } else { 1000 }, SeqCst);
        } else {
            SERVED.fetch_add(1, SeqCst);
            open_wild();
        }
    }
}

fn try_handle_from_the_front() {
    fault::install().unwrap();
    set_action(ask as raw::Handler as usize, SA_SIGINFO, &[]);
    let region = grown(100);
    assert_eq!((PASSED.load(SeqCst), SERVED.load(SeqCst)), (100, 0));
    write_to(wild());
    assert_eq!((PASSED.load(SeqCst), SERVED.load(SeqCst)), (100, 1));
    put(&region, 32 << 20, 1);
    assert_eq!((PASSED.load(SeqCst), SERVED.load(SeqCst)), (101, 1));
    // SAFETY: nothing is read for another signal.
    assert!(!unsafe { fault::try_handle(SIGUSR1, std::ptr::null_mut(), std::ptr::null_mut()) });
}
