//! The resource limits of the process: what is refused, what is said about it, and what still works.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Builder, Cause, Engine, Growth, OutOfMemory, engine};
use libc::SIGABRT;
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::limits::{limit_address_space, limit_data};

const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("a smaller reserve", a_smaller_reserve),
    ("no reserve", || no_reserve(32 * MIB)),
    ("almost a reserve", || no_reserve(64 * MIB + MIB / 2)),
    ("data, try", || data_try(greedy().build())),
    ("data, try, checked", || data_try(greedy().checked().build())),
    ("data, plain", data_plain),
    ("data, plain, thread", || std::thread::spawn(data_plain).join().unwrap()),
    ("data, committed ahead", data_ahead),
];

/// Without backtraces, which need more memory than a child has left.
fn child(case: &str) -> support::Ended {
    support::child_with(case, |command| {
        command.env("RUST_BACKTRACE", "0");
    })
}

#[test]
fn rlimit_as_makes_the_default_reserve_smaller() {
    if support::reserves() {
        child("a smaller reserve").assert_success();
    }
}

fn a_smaller_reserve() {
    limit_address_space(3 << 30);
    let arena = Arena::new();
    let got = arena.reserved_bytes();
    // A share that leaves room for other arenas and for everything else.
    assert!((64 * MIB..3 << 28).contains(&got), "{got}");
    let others: Vec<Arena> = (0..8).map(|_| Arena::new()).collect();
    assert!(others.iter().map(Arena::reserved_bytes).sum::<usize>() + got < 2 << 30);
    assert_eq!(arena.stats().reserved, got);
    assert_eq!(arena.monitor().stats().unwrap().reserved, got);
    let filled = arena.alloc_slice_fill_copy(100 * MIB, 7u8);
    assert!(filled.iter().all(|&byte| byte == 7));
    let error = arena.try_alloc_uninit_slice::<u8>(got).unwrap_err();
    assert_eq!((error.cause(), error.limit()), (Cause::ReservationExhausted, Some(got as u64)));
}

#[test]
fn rlimit_as_below_the_floor_is_named() {
    if support::reserves() {
        child("no reserve").assert_success();
        child("almost a reserve").assert_success();
    }
}

/// With less address space than the floor of the reserve and its guards take.
fn no_reserve(more: usize) {
    let bytes = limit_address_space(more);
    let error = Arena::builder().name("tight").try_build().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("RLIMIT_AS") && text.contains(&bytes.to_string()), "{text}");
    assert_eq!(text.lines().count(), 1);
    let error = Arena::try_new().unwrap_err();
    assert_eq!((error.cause(), error.limit()), (Cause::RlimitAs, Some(bytes as u64)));
    // An explicit wish that fits is served.
    let arena = Arena::builder().reserve(4 * MIB).build();
    assert_eq!(arena.alloc_slice_fill_copy(3 * MIB, 1u8).len(), 3 * MIB);
}

#[test]
fn rlimit_data_in_a_fallible_call_is_an_error_and_nothing_is_lost() {
    if support::reserves() {
        child("data, try").assert_success();
        child("data, try, checked").assert_success();
        child("data, committed ahead").assert_success();
    }
}

fn is_refused_by_data<T>(result: Result<T, OutOfMemory>, requested: usize, limit: usize) {
    let error = result.err().expect("more than the limit");
    assert_eq!(error.cause(), Cause::RlimitData);
    assert_eq!((error.requested(), error.limit()), (requested, Some(limit as u64)));
    let text = error.to_string();
    assert!(text.contains("\"greedy\"") && text.contains("RLIMIT_DATA"), "{text}");
}

fn greedy() -> Builder<Arena> {
    Arena::builder().name("greedy").reserve(1 << 30)
}

fn data_try<const CHECKED: bool>(arena: Arena<8, CHECKED>) {
    let before = arena.alloc_slice_fill_with(MIB, |i| i as u8);
    let limit = limit_data(32 * MIB);
    for round in 0..3 {
        let (used, committed) = (arena.allocated_bytes(), arena.committed_bytes());
        is_refused_by_data(arena.try_alloc_uninit_slice::<u8>(64 * MIB), 64 * MIB, limit);
        is_refused_by_data(arena.try_alloc_slice_fill_copy(64 * MIB, 1u8), 64 * MIB, limit);
        let layout = std::alloc::Layout::new::<[u8; 64 * MIB]>();
        is_refused_by_data(arena.try_alloc_layout(layout), 64 * MIB, limit);
        assert_eq!((arena.allocated_bytes(), arena.committed_bytes()), (used, committed));
        let smaller = arena.try_alloc_slice_fill_copy(2 * MIB, round).unwrap();
        assert!(smaller.iter().all(|&byte| byte == round));
        arena.alloc_str("and a plain call");
    }
    assert!(before.iter().enumerate().all(|(i, &byte)| byte == i as u8));
}

fn data_ahead() {
    let arena = greedy().build();
    let limit = limit_data(32 * MIB);
    is_refused_by_data(arena.commit_ahead(64 * MIB), 64 * MIB, limit);
    arena.commit_ahead(8 * MIB).unwrap();
    assert_eq!(arena.alloc_slice_fill_copy(8 * MIB, 1u8).len(), 8 * MIB);
    let error = Arena::builder().name("greedy").head(64 * MIB).try_build().unwrap_err();
    assert!(error.to_string().contains("RLIMIT_DATA"), "{error}");
}

#[test]
fn rlimit_data_in_a_plain_call_is_one_line_that_says_it_all() {
    if !support::reserves() {
        return;
    }
    for case in ["data, plain", "data, plain, thread"] {
        let ended = child(case);
        if engine() == Engine::Explicit {
            ended.assert_success();
            continue;
        }
        ended.assert_signal(SIGABRT);
        // The first line says it all; the rest is details.
        let line = ended.stderr.lines().next().unwrap_or_default();
        for part in
            ["arena \"greedy\" out of memory: growing by 4 KiB", "used ≥ ", "reserved 1 GiB", "RLIMIT_DATA"]
        {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}

fn data_plain() {
    let arena = greedy().growth(Growth::Fixed(MIB)).build();
    limit_data(32 * MIB);
    // By fault there is nobody to return to; the explicit engine refuses before it writes.
    let panic = catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_fill_copy(64 * MIB, 1u8))).unwrap_err();
    assert_eq!(engine(), Engine::Explicit);
    let text = panic.downcast_ref::<String>().expect("a panic with a text");
    assert!(text.contains("out of memory") && text.contains("RLIMIT_DATA"), "{text}");
    assert_eq!(arena.allocated_bytes(), 0);
    assert_eq!(arena.alloc_slice_fill_copy(4 * MIB, 1u8).len(), 4 * MIB);
}
