//! A child that was forked while another thread looked at what memory there is.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Growth, Headroom};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("forked", forked), ("first region", first_region)];

#[test]
fn a_forked_child_is_served_whatever_other_threads_were_doing() {
    if support::reserves() {
        support::child("forked").assert_success();
    }
}

/// What the first region of a process sets up may be half done when another thread forks.
#[test]
fn a_child_forked_while_the_first_region_is_made_can_make_one() {
    if support::reserves() {
        (0..15).for_each(|_| support::child("first region").assert_success());
    }
}

fn first_region() {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| drop(Arena::new()));
        }
        for _ in 0..20 {
            // A child that waits for ever ends the test by its time limit.
            let ended = support::raw::forked(|| assert_eq!(*Arena::builder().build().alloc(5), 5));
            assert_eq!(ended, 0);
        }
    });
}

/// A thread asks for more than there is again and again, so that it is looking most of the time. The child commits,
/// and gives back, more than the last look had found, so that it has to look for itself.
fn forked() {
    let done = AtomicBool::new(false);
    // SAFETY: sysconf has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_AVPHYS_PAGES) } as usize;
    let part = pages * support::raw::page() / 4;
    let builder = || Arena::builder().reserve(4 * part).head(0).growth(Growth::Fixed(MIB));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let greedy = builder().headroom(Headroom::AtLeast(usize::MAX / 2)).build();
            while !done.load(SeqCst) {
                assert!(greedy.try_alloc_uninit_slice::<u8>(MIB).is_err());
            }
        });
        let ends = (0..50).map(|_| {
            support::raw::forked(|| {
                let mut arena = builder().build();
                for _ in 0..12 {
                    arena.commit_ahead(part).unwrap();
                    arena.trim(0);
                }
            })
        });
        let ends: Vec<i32> = ends.collect();
        done.store(true, SeqCst);
        assert_eq!(ends, [0; 50]);
    });
}
