//! Other signals while the handler works, and handlers that were put behind it.

#![cfg(target_os = "linux")]

use crate::support;
use core::ffi::{c_int, c_void};
use highwater::{Arena, fault};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use support::raw;

static TICKS: AtomicU64 = AtomicU64::new(0);
static ON_ALTERNATE_STACK: AtomicU64 = AtomicU64::new(0);

/// A profiler's handler: it needs more stack than an alternate one has left under ours.
extern "C" fn tick(_: c_int) {
    let mut stack = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: no new stack is given, and there is room for the answer.
    let flags = unsafe {
        libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr());
        stack.assume_init().ss_flags
    };
    if flags & libc::SS_ONSTACK != 0 {
        ON_ALTERNATE_STACK.fetch_add(1, SeqCst);
    }
    let mut samples = [0u8; 6 << 10];
    std::hint::black_box(&mut samples);
    TICKS.fetch_add(1, SeqCst);
}

fn profiled_growth() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let millisecond = libc::timeval { tv_sec: 0, tv_usec: 1000 };
    let timer = libc::itimerval { it_interval: millisecond, it_value: millisecond };
    // SAFETY: the handler is signal-safe and takes one argument, as no flag says otherwise.
    unsafe {
        let action = action.assume_init_mut();
        (action.sa_sigaction, action.sa_flags) = (tick as *const () as usize, libc::SA_RESTART);
        assert_eq!(libc::sigaction(libc::SIGPROF, action, std::ptr::null_mut()), 0);
        assert_eq!(libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut()), 0);
    }
    let grow = || {
        let mut arena = Arena::builder().reserve(1 << 30).build();
        while TICKS.load(SeqCst) < 30 {
            arena.alloc_slice_fill_copy(32 << 20, 1u8);
            arena.reset();
            arena.trim(0);
        }
    };
    std::thread::spawn(grow).join().unwrap();
    assert_eq!(ON_ALTERNATE_STACK.load(SeqCst), 0, "a tick arrived in the middle of a growth");
}

static BEHIND: AtomicUsize = AtomicUsize::new(0);
static MASKED: AtomicBool = AtomicBool::new(true);

/// Opens the wild page, and notes whether SIGUSR1 (which nobody asked to be blocked) was.
unsafe extern "C" fn opens(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a siginfo.
    let address = unsafe { (*info).si_addr() }.addr();
    if address != BEHIND.load(SeqCst) {
        raw::exit_now(3);
    }
    MASKED.store(raw::is_blocked(libc::SIGUSR1), SeqCst);
    raw::open_wild();
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Knows nothing and passes everything on.
unsafe extern "C" fn passes(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: what was in front of this handler takes these arguments.
    unsafe { std::mem::transmute::<usize, raw::Handler>(NEXT.load(SeqCst))(signal, info, context) }
}

fn two_handlers_behind() {
    let arena = Arena::new();
    let flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
    raw::set_action(opens as *const () as usize, flags, &[]);
    fault::ensure_front().unwrap();
    NEXT.store(raw::set_action(passes as *const () as usize, flags, &[]).sa_sigaction, SeqCst);
    fault::ensure_front().unwrap();
    BEHIND.store(raw::wild(), SeqCst);
    raw::write_to(raw::wild());
    assert!(!MASKED.load(SeqCst), "a handler that a fault is passed on to has the mask it asked for");
    arena.alloc_slice_fill_copy(1 << 20, 1u8);
    // A fault that nobody knows goes round once and then to std's handler.
    raw::write_to(8);
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("profiled", profiled_growth), ("behind", two_handlers_behind)];

#[test]
fn other_signals_wait_until_a_growth_is_over() {
    if support::has_faults() {
        support::child("profiled").assert_success();
    }
}

#[test]
fn every_handler_behind_ours_is_asked() {
    if support::has_faults() {
        // The first handler exits with 3 when it is asked about what is not its own, as the null page is.
        assert_eq!(support::child("behind").status.code(), Some(3));
    }
}
