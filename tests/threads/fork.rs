//! Forks: a child has its own copy, and whatever other threads were doing it can go on.

use crate::support;
use highwater::{Arena, ArenaPool, Growth, Region};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use support::raw::{forked, get, page, put};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("one child", one_child), ("storm", storm), ("pool", pool)];

#[test]
fn a_forked_child_has_its_own_copy_and_grows_it() {
    support::child("one child").assert_success();
}

fn one_child() {
    let arena = Arena::builder().reserve(1 << 30).growth(Growth::Fixed(page())).build();
    let numbers = arena.alloc_slice_fill_with(1_000_000, |i| i as u64);
    let committed = arena.committed_bytes();
    let status = forked(|| {
        assert!(numbers.iter().enumerate().all(|(i, &number)| number == i as u64), "the contents are there");
        numbers.fill(7);
        let more = arena.alloc_slice_fill_copy(1_000_000, 8u64);
        assert!(more.iter().all(|&number| number == 8));
        assert!(arena.committed_bytes() > committed);
    });
    assert_eq!(status, 0, "{status:x}");
    assert_eq!(arena.committed_bytes(), committed, "the parent did not grow");
    assert!(numbers.iter().enumerate().all(|(i, &number)| number == i as u64));
    assert!(arena.alloc_slice_fill_copy(1_000_000, 9u64).iter().all(|&number| number == 9));
    // A child's child, and arenas made before and after.
    let status = forked(|| {
        let mut mine = Arena::builder().reserve(64 << 20).build();
        mine.alloc_slice_fill_copy(1 << 20, 1u8);
        let status = forked(|| {
            mine.alloc_slice_fill_copy(20 << 20, 2u8);
            arena.alloc_slice_fill_copy(1 << 20, 3u8);
        });
        assert_eq!(status, 0);
        mine.reset();
        assert!(mine.alloc_slice_fill_copy(30 << 20, 4u8).iter().all(|&byte| byte == 4));
    });
    assert_eq!(status, 0, "{status:x}");
}

const FORKS: usize = 300;

#[test]
fn children_forked_in_the_middle_of_growth_and_registration_go_on() {
    let ended = support::child("storm");
    ended.assert_success();
    assert!(ended.stdout.contains("the threads were busy"), "{ended:#?}");
}

/// Touches a page past the frontier, or asks for it where there are no faults.
fn grow_by_a_page(region: &Region, byte: u8) {
    let at = region.committed_bytes();
    if at + page() > region.reserved_bytes() {
        return;
    }
    if highwater::engine() == highwater::Engine::Explicit {
        region.ensure(at + 1).unwrap();
    }
    put(region, at, byte);
    assert_eq!(get(region, at), byte);
}

fn storm() {
    let make = || Region::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(page())).build();
    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let shared = make();
    std::thread::scope(|scope| {
        // One grows a region that everybody sees, one makes and drops its own.
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                grow_by_a_page(&shared, 1);
            }
        });
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                let region = make();
                grow_by_a_page(&region, 2);
                grow_by_a_page(&region, 3);
                made.fetch_add(1, SeqCst);
            }
        });
        let mut old = make();
        for i in 0..FORKS {
            grow_by_a_page(&old, i as u8);
            let pages = old.committed_bytes() / page();
            let status = forked(|| {
                assert!((0..pages).all(|n| get(&old, n * page()) == (i + 1 - pages + n) as u8));
                for _ in 0..10 {
                    grow_by_a_page(&old, 5);
                    grow_by_a_page(&shared, 6);
                }
                let regions = [make(), make(), make()];
                for region in &regions {
                    grow_by_a_page(region, 7);
                    grow_by_a_page(region, 8);
                    assert_eq!(region.committed_bytes(), 2 * page());
                }
            });
            assert_eq!(status, 0, "child {i}: {status:x}");
            assert_eq!(old.committed_bytes(), pages * page(), "children grow their own copy");
            if pages == 20 {
                old = make();
            }
        }
        stop.store(true, SeqCst);
    });
    if made.load(SeqCst) > 10 && shared.stats().commits > 10 {
        println!("the threads were busy");
    }
}

static POOL: ArenaPool = ArenaPool::new();

#[test]
fn a_pool_does_not_hold_a_child_up() {
    support::child("pool").assert_success();
}

/// Children are forked while another thread has the pool's lock most of the time.
fn pool() {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                POOL.get().alloc(1u64);
            }
        });
        for _ in 0..400 {
            let status = forked(|| {
                let arena = POOL.get();
                assert_eq!(*arena.alloc(2u64), 2);
                drop(arena);
                let _ = POOL.idle();
            });
            assert_eq!(status, 0, "{status:x}");
        }
        done.store(true, SeqCst);
    });
}
