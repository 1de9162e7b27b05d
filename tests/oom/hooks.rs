//! A program's own answer to a commit that is refused inside a fault.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::oom::{Answer, Injection, Response};
use highwater::{Arena, Builder, Cause, Growth, OutOfMemory, oom};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::limits::{lift_limits, limit_data_softly};
use support::oom::{assert_aborted, child, first_line};

const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("raise", || served(raise)),
    ("give back", give_back),
    ("other arena", other_arena),
    ("for ever", || refused(for_ever)),
    ("die", || refused(die)),
    ("a hook that faults", || refused(fault)),
    ("tells", tells),
    ("not asked", not_asked),
    ("transient", transient),
];

fn hooked(hook: fn(&OutOfMemory) -> Answer) -> Builder<Arena> {
    // SAFETY: the hooks of this file make system calls and use atomics, but for the one that is meant to fault.
    let response = unsafe { Response::hook(hook) };
    Arena::builder().name("hooked").reserve(1 << 30).growth(Growth::Fixed(MIB)).on_refusal(response)
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Says in one system call that a hook was called.
fn called() {
    CALLS.fetch_add(1, SeqCst);
    // SAFETY: the text is readable memory.
    unsafe { libc::write(1, c"called\n".as_ptr().cast(), 7) };
}

/// Fills an arena of which not all may be had at first.
fn served(hook: fn(&OutOfMemory) -> Answer) {
    let arena = hooked(hook).build();
    arena.alloc_slice_fill_copy(1000, 7u8);
    limit_data_softly(8 * MIB);
    fill(&arena);
    assert_eq!(CALLS.load(SeqCst), 1);
}

/// 32 MiB, read again afterwards.
fn fill(arena: &Arena) {
    let words = arena.alloc_slice_fill_with(32 * MIB / 4096, |i| [i as u64; 512]);
    assert!(words.iter().enumerate().all(|(i, page)| page[511] == i as u64));
}

fn refused(hook: fn(&OutOfMemory) -> Answer) {
    let arena = hooked(hook).build();
    limit_data_softly(8 * MIB);
    fill(&arena);
}

fn raise(_: &OutOfMemory) -> Answer {
    called();
    lift_limits();
    Answer::Retry
}

fn for_ever(_: &OutOfMemory) -> Answer {
    called();
    Answer::Retry
}

fn die(_: &OutOfMemory) -> Answer {
    called();
    Answer::Die
}

fn fault(_: &OutOfMemory) -> Answer {
    called();
    support::raw::write_to(8);
    Answer::Die
}

static BALLAST: AtomicUsize = AtomicUsize::new(0);

fn drop_ballast(_: &OutOfMemory) -> Answer {
    called();
    let start = BALLAST.swap(0, SeqCst);
    if start == 0 {
        return Answer::Die;
    }
    // SAFETY: the mapping is ours, and nobody uses it.
    unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(start), 64 * MIB) };
    Answer::Retry
}

/// Memory that was put aside for this moment.
fn give_back() {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a fresh mapping overlaps nothing.
    let ballast = unsafe { libc::mmap(std::ptr::null_mut(), 64 * MIB, access, flags, -1, 0) };
    assert_ne!(ballast, libc::MAP_FAILED);
    BALLAST.store(ballast.expose_provenance(), SeqCst);
    let arena = hooked(drop_ballast).build();
    limit_data_softly(8 * MIB);
    fill(&arena);
    assert_eq!((CALLS.load(SeqCst), BALLAST.load(SeqCst)), (1, 0));
}

/// A hook that lifts the process's limit serves that cause too, and one arena's hook is not another's.
fn other_arena() {
    fn lift(error: &OutOfMemory) -> Answer {
        called();
        if error.cause() == Cause::ProcessLimit {
            oom::set_process_limit(None);
        }
        Answer::Retry
    }
    let (arena, other) = (hooked(lift).build(), Arena::builder().name("other").build());
    oom::set_process_limit(Some(oom::committed_bytes() + MIB));
    fill(&arena);
    assert_eq!(CALLS.load(SeqCst), 1);
    oom::set_process_limit(Some(oom::committed_bytes()));
    other.alloc_slice_fill_copy(1000, [1u8; 4096]);
}

fn tells() {
    fn hook(error: &OutOfMemory) -> Answer {
        let as_it_is = matches!(error.cause(), Cause::RlimitData)
            && error.limit().is_some()
            && error.requested() == support::raw::page()
            && error.used() >= MIB
            && error.used() < 40 * MIB;
        support::raw::exit_now(if as_it_is { 7 } else { 8 });
    }
    refused(hook);
}

/// Calls that can return the refusal ask nobody.
fn not_asked() {
    let arena = hooked(die).build();
    limit_data_softly(8 * MIB);
    for _ in 0..3 {
        assert!(arena.try_alloc_uninit_slice::<u8>(32 * MIB).is_err());
        assert!(arena.commit_ahead(32 * MIB).is_err());
    }
    let plain = std::panic::AssertUnwindSafe(|| arena.alloc_uninit_slice::<u8>(32 * MIB).len());
    assert!(std::panic::catch_unwind(plain).is_err());
    assert_eq!(CALLS.load(SeqCst), 0);
}

/// Refused twice by injection, then served.
fn transient() {
    let arena = hooked(for_ever).inject(Injection::nth(3)).build();
    fill(&arena);
    oom::inject(Some(Injection::nth(2)));
    fill(&arena);
    assert_eq!(CALLS.load(SeqCst), 2);
}

#[test]
fn a_hook_that_finds_memory_has_the_write_served() {
    if support::has_faults() {
        for case in ["raise", "give back", "transient"] {
            child(case).expect("it runs anywhere").assert_success();
        }
    }
}

#[test]
fn a_hook_is_asked_for_its_own_arena() {
    if support::has_faults() {
        let ended = child("other arena").expect("it runs anywhere");
        assert_aborted(&ended, "process-limit");
        assert!(first_line(&ended).contains("arena \"other\""), "{ended:#?}");
        assert_eq!(ended.stdout.matches("called").count(), 1, "{ended:#?}");
    }
}

#[test]
fn a_hook_is_believed_eight_times() {
    if support::has_faults() {
        for (case, calls) in [("for ever", 8), ("die", 1)] {
            let ended = child(case).expect("it runs anywhere");
            assert_aborted(&ended, "rlimit-data");
            assert_eq!(ended.stdout.matches("called").count(), calls, "{ended:#?}");
            assert!(ended.stderr.contains("\n  machine "), "{ended:#?}");
        }
    }
}

#[test]
fn a_hook_that_faults_ends_the_process() {
    if support::has_faults() {
        let ended = child("a hook that faults").expect("it runs anywhere");
        assert!(matches!(ended.signal(), Some(libc::SIGSEGV | libc::SIGABRT)), "{ended:#?}");
        assert_eq!(ended.stdout.matches("called").count(), 1, "{ended:#?}");
    }
}

#[test]
fn a_hook_knows_what_was_refused() {
    if support::has_faults() {
        assert_eq!(child("tells").expect("it runs anywhere").status.code(), Some(7));
    }
}

#[test]
fn what_can_be_returned_asks_no_hook() {
    if support::reserves() {
        child("not asked").expect("it runs anywhere").assert_success();
    }
}
