//! Sinks of events that panic.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::guard::Event;
use highwater::{Arena, GuardPolicy};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::guards::mechanisms;

#[test]
fn a_sink_that_panics_leaves_the_arena_as_it_should_be() {
    if !support::reserves() {
        return;
    }
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn sink(_: &Event<'_>) {
        CALLS.fetch_add(1, SeqCst);
        panic!("the sink's own");
    }
    let mut arena = Arena::builder().checked().log_to(sink).build();
    let kept = arena.alloc([7u64; 100]) as *mut [u64; 100];
    for _ in 0..3 {
        let calls = CALLS.load(SeqCst);
        assert_eq!(*arena.alloc(1u64), 1);
        assert!(arena.try_alloc([1u8; 100_000]).is_ok_and(|bytes| *bytes == [1; 100_000]));
        let evens = arena.alloc_iter((0..100).filter(|n| n % 2 == 0));
        assert!(evens.iter().copied().eq((0..100).step_by(2)));
        assert!(CALLS.load(SeqCst) >= calls + 3, "it is called again, whatever it did before");
    }
    // SAFETY: the block lives.
    assert!(unsafe { *kept }.iter().all(|&word| word == 7));
    let used = arena.allocated_bytes();
    {
        let scope = arena.scope();
        scope.alloc(2u64);
    }
    assert_eq!(arena.allocated_bytes(), used);
    arena.reset();
    assert_eq!(arena.allocated_bytes(), 0);
    assert_eq!(*arena.alloc(5u64), 5);
}

/// Throws itself when it is dropped, for ever.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
        std::panic::resume_unwind(Box::new(Bomb(self.0.clone())));
    }
}

#[test]
fn a_sink_may_throw_what_panics_when_it_is_dropped() {
    if !support::reserves() {
        return;
    }
    for mechanism in mechanisms() {
        let (calls, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (called, bombs) = (calls.clone(), dropped.clone());
        let sink = move |_: &Event<'_>| {
            called.fetch_add(1, SeqCst);
            std::panic::resume_unwind(Box::new(Bomb(bombs.clone())));
        };
        let guard = GuardPolicy::default().mechanism(mechanism);
        let mut arena = Arena::builder().guard(guard).checked().log_to(sink).build();
        let first = arena.alloc(1u64);
        let second = arena.alloc_slice_fill_with(3, |i| i);
        assert_eq!((*first, &*second), (1, &[0, 1, 2][..]));
        arena.scope().alloc_str("given up");
        arena.reset();
        assert_eq!(*arena.alloc(2u64), 2);
        let told = calls.load(SeqCst);
        assert!(told >= 5, "it was told {told} times");
        assert_eq!(dropped.load(SeqCst), told, "each was dropped, and what that threw was not");
        // The sink has not ended with the arena's end, but it goes.
        let alive = Arc::downgrade(&calls);
        drop((arena, calls));
        assert!(alive.upgrade().is_none(), "the arena's end drops the sink");
    }
}

/// The drop of what a sink captured may panic: the region is given back all the same.
#[test]
fn a_sink_may_panic_when_it_is_dropped() {
    if !support::reserves() {
        return;
    }
    struct Captured;
    impl Drop for Captured {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("made to"));
        }
    }
    let captured = Captured;
    let builder = Arena::builder().checked().log_to(move |_: &Event<'_>| {
        let _ = &captured;
    });
    let arena = builder.build();
    arena.alloc(1u64);
    let monitor = arena.monitor();
    assert!(monitor.is_live());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(arena))).is_err());
    assert!(!monitor.is_live(), "the region is gone");
}
