//! Children that share their parent's memory, as `vfork` and `clone` with `CLONE_VM` make them, and children that have
//! a copy but were made around the C library.
#![cfg(target_os = "linux")]

use crate::support;
use core::ffi::{c_int, c_void};
use highwater::heap::Heap;
use highwater::{Arena, Backing, Growth, Region};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use support::raw::{get, page, put};

const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] =
    &[("growth", growth), ("file", file), ("heap", heap), ("bare", bare), ("refused", refused)];

/// Runs a function in a child that shares this memory while this thread waits, and returns how the child ended.
fn vforked<F: Fn()>(child: F) -> c_int {
    extern "C" fn run<F: Fn()>(child: *mut c_void) -> c_int {
        // SAFETY: `vforked` waits, and has it.
        unsafe { (*child.cast::<F>())() };
        0
    }
    let mut stack = vec![0u128; 64 << 10];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let mut status = 0;
    // SAFETY: the child runs on the stack given, which outlives it, and calls the function that it is given.
    unsafe {
        let top = stack.as_mut_ptr().add(stack.len()).cast();
        let pid = libc::clone(run::<F>, top, flags, (&raw const child).cast_mut().cast());
        assert!(pid > 0, "clone: {}", std::io::Error::last_os_error());
        assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
    }
    status
}

/// Touches pages past the frontier, or asks for them where there are no faults.
fn grow(region: &Region, pages: std::ops::Range<usize>, byte: u8) {
    for place in pages {
        if highwater::engine() == highwater::Engine::Explicit {
            region.ensure((place + 1) * page()).unwrap();
        }
        put(region, place * page(), byte);
    }
}

fn by_pages() -> highwater::Builder<Region> {
    Region::builder().reserve(1 << 30).head(0).growth(Growth::Fixed(page()))
}

#[test]
fn a_child_that_shares_the_memory_grows_beside_the_parents_threads() {
    if support::reserves() {
        support::child("growth").assert_success();
    }
}

fn growth() {
    const CHILDREN: usize = 150;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 1..4u8 {
            let done = &done;
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    let region = by_pages().build();
                    grow(&region, 0..300, thread);
                    assert!((0..300).all(|i| get(&region, i * page()) == thread));
                }
            });
        }
        let region = by_pages().build();
        for child in 0..CHILDREN {
            let status = vforked(|| grow(&region, child * 20..child * 20 + 20, 7));
            assert_eq!(status, 0, "{status:x}");
        }
        assert!((0..CHILDREN * 20).all(|i| get(&region, i * page()) == 7));
        assert_eq!(region.committed_bytes(), CHILDREN * 20 * page());
        done.store(true, SeqCst);
    });
}

#[test]
fn a_child_that_shares_the_memory_has_its_files_too() {
    if support::reserves() {
        support::child("file").assert_success();
    }
}

fn file() {
    let dir = tempfile::tempdir().unwrap();
    let region = by_pages().backing(Backing::Temp(dir.path().to_owned())).build();
    grow(&region, 0..2, 1);
    let status = vforked(|| grow(&region, 1..100, 7));
    assert_eq!(status, 0, "{status:x}");
    assert_eq!(get(&region, 0), 1);
    assert!((1..100).all(|i| get(&region, i * page()) == 7));
}

#[test]
fn a_child_that_shares_the_memory_takes_nothing_from_a_heap_that_a_thread_is_using() {
    if support::reserves() {
        support::child("heap").assert_success();
    }
}

fn heap() {
    let heap = Heap::new();
    let done = AtomicBool::new(false);
    let use_it = |tag: u8| {
        let blocks: Vec<_> = (0..100).map(|i| heap.allocate(16 + i * 8, 16).unwrap()).collect();
        // SAFETY: the blocks are live, ours, and as long as was asked for.
        unsafe {
            blocks.iter().enumerate().for_each(|(i, block)| block.write_bytes(tag, 16 + i * 8));
            assert!(blocks.iter().enumerate().all(|(i, block)| block.add(8 + i * 8).read() == tag));
            blocks.iter().for_each(|&block| heap.deallocate(block).unwrap());
        }
    };
    std::thread::scope(|scope| {
        for tag in 1..4 {
            let (done, use_it) = (&done, &use_it);
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    use_it(tag);
                }
            });
        }
        for _ in 0..150 {
            let status = vforked(|| use_it(9));
            assert_eq!(status, 0, "{status:x}");
        }
        done.store(true, SeqCst);
    });
    heap.check().unwrap();
}

#[test]
fn a_copy_made_around_the_c_library_leaves_the_parents_file_alone() {
    if support::reserves() {
        support::child("bare").assert_success();
    }
}

fn bare() {
    let dir = tempfile::tempdir().unwrap();
    let mut region = by_pages().backing(Backing::Temp(dir.path().to_owned())).build();
    let plain = by_pages().build();
    grow(&region, 0..20, 7);
    grow(&plain, 0..20, 7);
    let mut status = 0;
    // SAFETY: the child uses what it has a copy of, and leaves.
    unsafe {
        let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) as libc::pid_t;
        if child == 0 {
            let given_back = region.trim(0);
            let refused = region.ensure(64 * MIB).is_err();
            grow(&plain, 10..200, 8);
            libc::_exit(if given_back == 0 && refused { 7 } else { 1 });
        }
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
    }
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status:x}");
    assert!((0..20).all(|i| get(&region, i * page()) == 7), "the child made no hole");
    assert_eq!((plain.committed_bytes(), get(&plain, 19 * page())), (20 * page(), 7));
}

/// A look at what memory there is takes what only one thread may have: a child that shares the memory waits for it, and
/// the parent's threads wait for the child.
#[test]
fn a_child_that_shares_the_memory_looks_at_what_there_is_beside_the_parents_threads() {
    if support::reserves() {
        support::child("refused").assert_success();
    }
}

fn refused() {
    let done = AtomicBool::new(false);
    let greedy = || {
        let arena = Arena::builder().reserve(64 * MIB).head(0).growth(Growth::Fixed(MIB));
        let arena = arena.headroom(highwater::Headroom::AtLeast(usize::MAX / 2)).build();
        assert!(arena.try_alloc_uninit_slice::<u8>(MIB).is_err());
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    greedy();
                }
            });
        }
        for _ in 0..50 {
            let status = vforked(greedy);
            assert_eq!(status, 0, "{status:x}");
        }
        done.store(true, SeqCst);
    });
}
