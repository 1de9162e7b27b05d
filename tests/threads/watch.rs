//! Watching regions: monitors on other threads, the ring of growths, and the dump on a signal.

use crate::support;
use highwater::{Arena, Growth, Monitor, stats};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use support::raw::page;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("dump", dump), ("the ring", the_ring)];

#[test]
fn a_monitor_follows_an_arena_from_another_thread() {
    let arena = Arena::builder().name("watched").reserve(1 << 30).build();
    let (monitor, done) = (arena.monitor(), AtomicBool::new(false));
    assert_eq!((monitor.name().as_deref(), monitor.id()), (Some("watched"), Some(arena.id())));
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(SeqCst) {
                seen.push(monitor.stats().expect("the arena lives"));
            }
            seen.push(monitor.stats().expect("the arena lives"));
            seen
        });
        for _ in 0..200 {
            arena.alloc_slice_fill_copy(400_000, 1u8);
        }
        done.store(true, SeqCst);
        let seen = watcher.join().unwrap();
        let pairs = || seen.windows(2).map(|pair| (pair[0], pair[1]));
        assert!(
            pairs().all(|(a, b)| a.committed <= b.committed && a.commits <= b.commits && a.used <= b.used)
        );
        assert!(seen.iter().all(|s| s.reserved == 1 << 30 && s.peak_committed >= s.committed));
        let (last, exact) = (seen[seen.len() - 1], arena.stats());
        assert_eq!(
            (last.committed, last.commits, last.faults),
            (exact.committed, exact.commits, exact.faults)
        );
        assert!(last.used <= exact.used && exact.used == 200 * 400_000);
    });
    let id = arena.id();
    drop(arena);
    assert!(!monitor.is_live());
    assert_eq!((monitor.stats(), monitor.id(), monitor.name()), (None, None, None));
    // The block is used again; an old monitor sees nothing of that.
    let others: Vec<Arena> = (0..100).map(|_| Arena::builder().reserve(1 << 20).build()).collect();
    assert!(others.iter().all(|other| other.id() != id));
    assert_eq!(monitor.stats(), None);
}

#[test]
fn a_monitor_is_found_by_address() {
    let arena = Arena::builder().reserve(64 << 20).build();
    let start = arena.region().as_ptr().cast_const();
    for offset in [0, 1, 64 << 10, (64 << 20) - 1] {
        let found = Monitor::of(start.wrapping_add(offset)).expect("an address of the region");
        assert_eq!(found.id(), Some(arena.id()));
    }
    let elsewhere = 1u8;
    assert!(Monitor::of(&elsewhere).is_none() && Monitor::of(std::ptr::null()).is_none());
    assert!(Monitor::all().iter().any(|monitor| monitor.id() == Some(arena.id())));
    let id = arena.id();
    drop(arena);
    assert!(Monitor::all().iter().all(|monitor| monitor.id() != Some(id)));
    assert!(Monitor::of(start).is_none_or(|monitor| monitor.id() != Some(id)));
}

#[test]
fn the_ring_tells_each_growth_of_a_region_in_order() {
    support::child("the ring").assert_success();
}

/// The ring of the process holds thousands of growths: alone in a child, since other tests would push these out.
fn the_ring() {
    let before = stats::now_ns();
    let arena = Arena::builder().reserve(64 << 20).growth(Growth::Fixed(8 * page())).build();
    let head = arena.committed_bytes();
    for _ in 0..300 {
        arena.alloc_slice_fill_copy(page(), 1u8);
    }
    arena.commit_ahead(100 * page()).unwrap();
    let after = stats::now_ns();
    let events: Vec<_> =
        stats::recent_growth().into_iter().filter(|event| event.region == arena.id()).collect();
    let figures = arena.stats();
    assert_eq!(events.len() as u64, figures.commits);
    assert!(events.len() > 30);
    let mut frontier = head;
    for event in &events {
        assert_eq!(event.offset, frontier, "each begins where the one before ended");
        frontier += event.bytes;
        assert!(event.at_ns >= before && event.at_ns + event.duration_ns <= after);
        assert!(event.bytes > 0 && event.thread == events[0].thread);
    }
    assert_eq!(frontier, arena.committed_bytes());
    let (steps, ahead) = events.split_at(events.len() - 1);
    assert!(steps.iter().all(|event| event.bytes == 8 * page()));
    assert!(ahead[0].bytes <= 100 * page());
    assert_eq!(events.iter().map(|event| event.duration_ns).sum::<u64>(), figures.growth_ns);
}

#[test]
fn stats_tell_what_happened() {
    let mut arena = Arena::builder().reserve(64 << 20).growth(Growth::Fixed(1 << 20)).build();
    arena.alloc_slice_fill_copy(10 << 20, 1u8);
    let full = arena.stats();
    assert_eq!((full.used, full.reserved), (10 << 20, 64 << 20));
    assert_eq!(full.peak_committed, full.committed);
    assert!(full.commits >= 1 && full.growth_ns > 0);
    arena.reset();
    arena.trim(0);
    let trimmed = arena.stats();
    assert_eq!((trimmed.used, trimmed.committed, trimmed.peak_committed), (0, 0, full.committed));
    assert_eq!(trimmed.commits, full.commits);
}

#[cfg(unix)]
#[test]
fn a_signal_prints_a_line_for_each_region() {
    let ended = support::child("dump");
    ended.assert_success();
    let lines: Vec<&str> =
        ended.stderr.lines().filter(|line| line.starts_with("highwater: arena ")).collect();
    assert_eq!(lines.len(), 5, "three regions, then two: {ended:#?}");
    for section in ["regions ", "last growth", "process "] {
        let told = ended.stderr.lines().filter(|line| line.trim_start().starts_with(section)).count();
        assert_eq!(told, 2, "{section} in {ended:#?}");
    }
    for part in ["\"big\"", "reserved 1 GiB", "committed "] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part} in {ended:#?}");
    }
    assert_eq!(lines.iter().filter(|line| line.contains("\"big\"")).count(), 2);
    assert_eq!(lines.iter().filter(|line| line.contains("\"brief\"")).count(), 1);
}

fn dump() {
    let named = |name: &str, reserve| Arena::builder().name(name).reserve(reserve).build();
    let (big, small, brief) = (named("big", 1 << 30), named("small", 1 << 20), named("brief", 1 << 20));
    big.alloc_slice_fill_copy(20 << 20, 1u8);
    small.alloc(1);
    highwater::oom::dump_on_signal(libc::SIGUSR1).unwrap();
    // SAFETY: raise takes any number.
    unsafe { libc::raise(libc::SIGUSR1) };
    drop(brief);
    // SAFETY: as above.
    unsafe { libc::raise(libc::SIGUSR1) };
}
