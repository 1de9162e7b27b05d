//! A program that allocates from [`Global`]. A binary of its own: a program has one global allocator.
#![cfg(feature = "global-alloc")]

mod support;

use highwater::heap::Global;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::collections::HashMap;
use std::thread;

#[global_allocator]
static GLOBAL: Global = Global::new().reserve(4 << 30);

#[test]
fn what_std_allocates_is_the_heaps() {
    let heap = Global::heap().expect("the harness has allocated");
    let (boxed, vec, text) = (Box::new(7u64), vec![1u8; 100_000], String::from("here"));
    for address in [std::ptr::from_ref(&*boxed).cast(), vec.as_ptr(), text.as_ptr()] {
        assert!(heap.contains(address));
    }
    assert_eq!(heap.stats().region.reserved, 4 << 30);
    heap.check().unwrap();
}

#[test]
fn threads_allocate_for_each_other() {
    let maps: Vec<HashMap<u64, String>> = thread::scope(|threads| {
        let workers: Vec<_> = (0..8u64)
            .map(|seed| threads.spawn(move || (0..5_000).map(|n| (n * 8 + seed, format!("{n}"))).collect()))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    for (seed, map) in (0..8u64).zip(&maps) {
        assert_eq!(map.len(), 5_000);
        assert_eq!(map[&(77 * 8 + seed)], "77");
    }
    drop(maps);
    Global::heap().unwrap().check().unwrap();
}

#[test]
fn layouts_are_honoured() {
    for size in [1, 3, 24, 1024, 5000, 70_000, 3 << 20] {
        for align in [1, 2, 8, 16, 64, 4096, 1 << 17] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: no layout is of no bytes; blocks are used within their sizes and freed once, by their layouts.
            unsafe {
                let block = alloc_zeroed(layout);
                assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
                assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == 0));
                block.write_bytes(9, size);
                let grown = realloc(block, layout, size * 3);
                assert!(grown.addr().is_multiple_of(align), "{layout:?}");
                assert!(std::slice::from_raw_parts(grown, size).iter().all(|byte| *byte == 9));
                dealloc(grown, Layout::from_size_align(size * 3, align).unwrap());
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut vec = Vec::<u8>::new();
    vec.try_reserve_exact(8 << 30).unwrap_err();
    vec.try_reserve_exact(1 << 20).unwrap();
    // SAFETY: the layout is one.
    let block = unsafe { alloc(Layout::from_size_align(1 << 40, 8).unwrap()) };
    assert!(block.is_null());
}

#[test]
#[cfg(target_os = "linux")]
fn a_forked_child_allocates_at_once() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    static STOP: AtomicBool = AtomicBool::new(false);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            thread::spawn(|| {
                while !STOP.load(Relaxed) {
                    drop((0..100).map(|n| vec![0u8; n * 300]).collect::<Vec<_>>());
                }
            })
        })
        .collect();
    for _ in 0..50 {
        // SAFETY: the child allocates, which is what is tried, and ends by itself.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let blocks: Vec<_> = (0..100).map(|n| vec![n as u8; n * 1000]).collect();
            let is_right = blocks.iter().zip(0u8..).all(|(block, n)| block.iter().all(|byte| *byte == n));
            // SAFETY: ends the child without the harness's destructors.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        let mut status = 0;
        // SAFETY: our own child. If it waited for ever, so would the test, whose time is limited.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
    }
    STOP.store(true, Relaxed);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}
