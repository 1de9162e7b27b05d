//! Threads on which SIGSEGV is blocked: a library's own, which call back from there.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Region, SharedArena, fault};
use std::mem::MaybeUninit;
use support::raw;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("touched", touched)];

fn block_all_signals() {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is filled before it is used.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Runs on a thread of its own on which every signal is blocked.
fn on_blocked_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            block_all_signals();
            run()
        };
        scope.spawn(run).join().unwrap()
    })
}

/// Only the signal that growth needs is unblocked.
fn assert_prepared() {
    assert!(fault::is_thread_prepared());
    assert!(
        !raw::is_blocked(libc::SIGSEGV) && raw::is_blocked(libc::SIGUSR1) && raw::is_blocked(libc::SIGBUS)
    );
}

#[test]
fn a_thread_that_is_prepared_grows() {
    if support::has_faults() {
        let arena = Arena::builder().reserve(64 << 20).build();
        on_blocked_thread(move || {
            assert!(!fault::is_thread_prepared());
            fault::prepare_thread().unwrap();
            assert_prepared();
            arena.alloc_slice_fill_copy(8 << 20, 1u8);
            assert!(arena.stats().faults > 0);
        });
    }
}

#[test]
fn a_builder_prepares_its_thread() {
    if !support::has_faults() {
        return;
    }
    on_blocked_thread(|| {
        assert_eq!(raw::grown(10).stats().faults, 10);
        assert_prepared();
    });
    on_blocked_thread(|| {
        let arena = SharedArena::new();
        assert_prepared();
        assert_eq!(arena.alloc_slice_fill_copy(8 << 20, 7u8)[8 << 19], 7);
    });
    on_blocked_thread(|| {
        let values: highwater::GrowVec<u32> = (0..1 << 20).collect();
        assert_eq!(values[1 << 19], 1 << 19);
        assert_prepared();
    });
}

#[test]
fn what_commits_first_works_on_any_thread() {
    if !support::has_faults() {
        return;
    }
    let mut arena = Arena::builder().reserve(256 << 20).build();
    let region = Region::builder().reserve(64 << 20).build();
    let region = &region;
    on_blocked_thread(move || {
        for _ in 0..3 {
            assert_eq!(arena.try_alloc_slice_fill_copy(4 << 20, 3u8).unwrap()[4 << 19], 3);
            assert_eq!(*arena.try_alloc(5u64).unwrap(), 5);
        }
        assert_eq!(arena.scope().try_alloc_slice_copy(&[9u8; 1 << 20]).unwrap()[1 << 19], 9);
        region.ensure(32 << 20).unwrap();
        raw::put(region, (32 << 20) - 1, 1);
        assert!(!fault::is_thread_prepared());
        assert_eq!((arena.stats().faults, region.stats().faults), (0, 0));
        arena.reset();
    });
}

/// What is known of a thread too late is told in time with debug assertions.
#[test]
fn a_debug_build_says_so_before_the_kernel_kills() {
    if !support::has_faults() {
        return;
    }
    // The place is in the backtrace.
    let ended = support::child_with("touched", |command| _ = command.env("RUST_BACKTRACE", "1"));
    assert!(ended.stdout.contains("ready"), "{ended:#?}");
    if cfg!(debug_assertions) {
        assert!(ended.stderr.contains("this thread blocks SIGSEGV"), "{ended:#?}");
        assert!(ended.stderr.contains("tests/faults/blocked.rs"), "the place of the call: {ended:#?}");
        assert_eq!(ended.status.code(), Some(101));
    } else {
        ended.assert_signal(libc::SIGSEGV);
    }
}

fn touched() {
    let arena = Arena::builder().reserve(64 << 20).build();
    block_all_signals();
    // What is committed already is no growth.
    arena.alloc(1u64);
    println!("ready");
    arena.alloc_slice_fill_copy(8 << 20, 1u8);
}

/// A library that really does so.
#[cfg(target_env = "gnu")]
mod timer {
    use super::{assert_prepared, support};
    use core::ffi::{c_int, c_void};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// `struct sigevent` with the members of `SIGEV_THREAD`, which the crate libc does not have.
    #[repr(C)]
    struct Event {
        value: *mut c_void,
        signal: c_int,
        notify: c_int,
        function: extern "C" fn(*mut c_void),
        attributes: *mut c_void,
        rest: [u64; 4],
    }

    const SIGEV_THREAD: c_int = 2;

    extern "C" fn fires(value: *mut c_void) {
        let was_prepared = highwater::fault::is_thread_prepared();
        let arena = highwater::Arena::new();
        let sum =
            arena.alloc_slice_fill_copy(8 << 20, 1u8).iter().map(|&byte| usize::from(byte)).sum::<usize>();
        assert_prepared();
        // SAFETY: the timer's creator leaked it.
        let sender = unsafe { &*value.cast::<Sender<(bool, usize)>>() };
        sender.send((was_prepared, sum)).unwrap();
    }

    #[test]
    fn a_timer_of_glibc_blocks_the_signal_and_an_arena_built_there_grows() {
        if !support::has_faults() {
            return;
        }
        let (sender, receiver) = channel::<(bool, usize)>();
        // For good: the message arrives before the call that sends it has ended.
        let sender: *mut Sender<(bool, usize)> = Box::leak(Box::new(sender));
        let mut event = Event {
            value: sender.cast(),
            signal: 0,
            notify: SIGEV_THREAD,
            function: fires,
            attributes: std::ptr::null_mut(),
            rest: [0; 4],
        };
        const { assert!(size_of::<Event>() == size_of::<libc::sigevent>()) }
        let soon = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        let once = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: soon };
        let mut timer = std::mem::MaybeUninit::uninit();
        // SAFETY: the event is laid out as the C library's, and the sender is never freed.
        let sent = unsafe {
            let event = (&raw mut event).cast();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, event, timer.as_mut_ptr()), 0);
            let timer = timer.assume_init();
            assert_eq!(libc::timer_settime(timer, 0, &once, std::ptr::null_mut()), 0);
            let sent = receiver.recv_timeout(Duration::from_secs(60));
            libc::timer_delete(timer);
            sent
        };
        assert_eq!(sent, Ok((false, 8 << 20)), "blocked before, and grown");
    }
}
