//! Faults that are not growth end the process as they would without us, and at once.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{GuardPolicy, Region};
use libc::{SIGABRT, SIGSEGV};
use std::hint::black_box;
use support::raw::{self, page, put, write_to};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("a protected page", protected_page),
    ("a jump into committed memory", jump_into_committed),
    ("a jump into the tail", jump_into_tail),
    ("the guard before", || at_the_guard(-1)),
    ("far into the guard before", || at_the_guard(-4 * 4096 + 1)),
    ("the guard after", || at_the_guard(RESERVE as isize)),
    ("far into the guard after", || at_the_guard(RESERVE as isize + 4 * 4096 - 1)),
    ("a read of the guard", read_the_guard),
    ("a null write", null_write),
    ("a wild write", wild_write),
    ("a stack overflow", stack_overflow),
    ("a stack overflow of a thread", stack_overflow_of_a_thread),
];

/// Says that everything before the fault went well.
fn ready() {
    println!("ready");
}

#[track_caller]
fn dies(case: &str) {
    let ended = support::child(case);
    assert!(ended.stdout.contains("ready"), "{ended:#?}");
    ended.assert_signal(SIGSEGV);
}

#[test]
fn a_committed_page_that_somebody_protected_is_no_endless_loop() {
    if support::has_faults() {
        dies("a protected page");
    }
}

fn protected_page() {
    let region = raw::grown(100);
    // SAFETY: the page lies in the committed part, and no reference points there.
    let result = unsafe { libc::mprotect(region.as_ptr().add(50 * page()).cast(), page(), libc::PROT_NONE) };
    assert_eq!(result, 0);
    put(&region, 40 * page(), 1);
    ready();
    put(&region, 50 * page(), 1);
}

#[test]
fn a_jump_into_a_region_is_not_growth() {
    if support::has_faults() {
        dies("a jump into committed memory");
        dies("a jump into the tail");
    }
}

fn jump_into_committed() {
    jump(50);
}

fn jump_into_tail() {
    jump(500);
}

fn jump(pages: usize) {
    let region = raw::grown(100);
    ready();
    // SAFETY: not sound at all: the processor refuses to execute the page, which is what is tested.
    let function: extern "C" fn() =
        unsafe { std::mem::transmute::<*mut u8, extern "C" fn()>(region.as_ptr().add(pages * page())) };
    black_box(function)();
}

const RESERVE: usize = 64 << 20;

#[test]
fn guards_are_never_served() {
    if !support::reserves() {
        return;
    }
    for case in
        ["the guard before", "far into the guard before", "the guard after", "far into the guard after"]
    {
        dies(case);
    }
    dies("a read of the guard");
}

fn guarded() -> Region {
    let guard = GuardPolicy::default().before(4 * page()).after(4 * page());
    let region = Region::builder().reserve(RESERVE).guard(guard).build();
    region.ensure(RESERVE).unwrap();
    put(&region, 0, 1);
    put(&region, RESERVE - 1, 1);
    region
}

fn at_the_guard(offset: isize) {
    let region = guarded();
    ready();
    write_to(region.as_ptr().expose_provenance().wrapping_add_signed(offset));
}

fn read_the_guard() {
    let region = guarded();
    let address = region.as_ptr().expose_provenance() - 1;
    ready();
    // SAFETY: the address is the region's guard; the read faults.
    black_box(unsafe { std::ptr::with_exposed_provenance::<u8>(address).read_volatile() });
}

#[test]
fn wild_writes_die_as_ever() {
    dies("a null write");
    dies("a wild write");
}

/// Whatever the engine does to grow, a good deal of it.
fn grow() -> highwater::Arena {
    let arena = highwater::Arena::builder().reserve(64 << 20).build();
    arena.alloc_slice_fill_copy(8 << 20, 1u8);
    arena
}

fn null_write() {
    let _arena = grow();
    ready();
    write_to(black_box(0));
}

fn wild_write() {
    let _arena = grow();
    let wild = raw::wild();
    ready();
    write_to(wild);
}

#[track_caller]
fn overflows(ended: &support::Ended) {
    assert!(ended.stdout.contains("ready"), "{ended:#?}");
    assert!(ended.stderr.contains("has overflowed its stack"), "{ended:#?}");
    ended.assert_signal(SIGABRT);
}

#[test]
fn a_stack_overflow_still_prints_the_message_of_std() {
    overflows(&support::child("a stack overflow"));
    overflows(&support::child("a stack overflow of a thread"));
}

#[test]
fn so_does_one_of_the_main_thread() {
    // The harness runs tests on threads of their own, so this needs a program.
    let programs = support::build_once(&["--manifest-path", "tests/second-copy/Cargo.toml"]);
    let ended = support::run(std::process::Command::new(programs.join("overflow")));
    overflows(&ended);
    assert!(ended.stderr.contains("'main'"), "{ended:#?}");
}

#[expect(unconditional_recursion, reason = "it is to overflow the stack")]
fn recurse(depth: usize) -> usize {
    black_box([depth; 64]);
    recurse(depth + 1) + black_box(1)
}

fn stack_overflow() {
    let _arena = grow();
    ready();
    recurse(0);
}

fn stack_overflow_of_a_thread() {
    let _arena = grow();
    let thread = std::thread::spawn(|| {
        let _arena = grow();
        ready();
        recurse(0)
    });
    let _ = thread.join();
}
