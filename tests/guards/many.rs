//! A hundred thousand guards at once where the kernel can mark pages, and as many as it allows where it cannot.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::guard::EventKind;
use highwater::{Arena, DebugArena, GuardMechanism, GuardPolicy};
use std::sync::{Arc, Mutex};
use support::guards::{Probe, has_advice};
use support::{maps, raw};

const MANY: usize = 100_000;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("marked", marked), ("protected", protected), ("noted", noted)];

fn arena(mechanism: GuardMechanism, degraded: &Arc<Mutex<Vec<u64>>>) -> DebugArena {
    let degraded = degraded.clone();
    let builder = Arena::builder().name("many").guard(GuardPolicy::default().mechanism(mechanism)).checked();
    let builder = builder.log_to(move |event| {
        if let EventKind::Degraded { every } = event.what {
            degraded.lock().unwrap().push(every);
        }
    });
    builder.build()
}

/// How many mappings the system allows a process.
fn most_mappings() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    text.trim().parse().unwrap()
}

/// Whether there are more allocations than guards by protection; skips the running test otherwise.
fn degrades() -> bool {
    let degrades = most_mappings() / 4 < MANY;
    if !degrades {
        support::skip("so many mappings are allowed that all allocations get guards");
    }
    degrades
}

fn mappings(arena: &DebugArena) -> usize {
    maps::count(maps::reserved(arena.region()))
}

/// Allocates many of 8 bytes, each its own number.
fn fill(arena: &DebugArena) -> Vec<&mut u64> {
    (0..MANY as u64).map(|i| arena.alloc(i)).collect()
}

fn assert_intact(blocks: &[&mut u64]) {
    assert!(blocks.iter().enumerate().all(|(i, block)| **block == i as u64), "live data changed");
}

/// Where the guard behind a block is, if it has one.
fn behind(block: &u64) -> usize {
    std::ptr::from_ref(block).expose_provenance() + size_of::<u64>()
}

#[test]
fn marks_cost_no_mappings() {
    if !support::reserves() {
        return;
    }
    if !has_advice() {
        return support::skip("the kernel has no MADV_GUARD_INSTALL");
    }
    support::child("marked").assert_success();
}

fn marked() {
    let degraded = Arc::default();
    let mut arena = arena(GuardMechanism::Advice, &degraded);
    let mut probe = Probe::new();
    for _ in 0..2 {
        let blocks = fill(&arena);
        assert!(mappings(&arena) <= 64, "{} mappings", mappings(&arena));
        assert_intact(&blocks);
        for block in blocks.iter().step_by(MANY / 400) {
            assert!(probe.is_open(behind(block) - 1) && probe.is_closed(behind(block)..behind(block) + 1));
        }
        let given_up = blocks.iter().step_by(MANY / 400).map(|block| behind(block) - 8).collect::<Vec<_>>();
        arena.reset();
        arena.alloc(0u64);
        assert!(given_up.iter().all(|&block| !probe.is_open(block)), "what was given up is closed");
        assert!(mappings(&arena) <= 64, "{} mappings", mappings(&arena));
        arena.reset();
    }
    assert_eq!(*degraded.lock().unwrap(), [0u64; 0]);
}

#[test]
fn protection_degrades_before_the_system_runs_out_of_mappings() {
    if !support::reserves() {
        return;
    }
    if !degrades() {
        return;
    }
    support::child("protected").assert_success();
}

fn protected() {
    let most = most_mappings();
    let degraded = Arc::default();
    let mut arena = arena(GuardMechanism::Protect, &degraded);
    let mut probe = Probe::new();
    for round in 0..2 {
        let blocks = fill(&arena);
        assert!(mappings(&arena) <= most / 2 + 64, "{} mappings of {most}", mappings(&arena));
        assert_intact(&blocks);
        // The guards thin out: each note says that they do so further, and none comes twice.
        let notes = degraded.lock().unwrap().clone();
        assert!(notes.first().is_some_and(|&every| every > 1), "round {round}: {notes:?}");
        assert!(notes.is_sorted_by(|a, b| a < b), "round {round}: {notes:?}");
        let has_guard = |probe: &mut Probe, block: &u64| !probe.is_open(behind(block));
        let early = blocks[..1000].iter().all(|block| has_guard(&mut probe, block));
        assert!(early, "round {round}: without a note every allocation has its guard");
        let late = blocks[MANY - 1000..].iter().filter(|block| has_guard(&mut probe, block)).count();
        assert!(late < 500, "round {round}: {late} of the last 1000 have guards, notes {notes:?}");
        // What has no guard of its own has a neighbour behind it, nothing else.
        for pair in blocks[MANY - 1000..].windows(2) {
            let gap = behind(pair[1]) - behind(pair[0]);
            let page = raw::page();
            assert!(
                gap == page || (gap == 2 * page && has_guard(&mut probe, pair[0])),
                "a gap of {gap} bytes"
            );
        }
        let given_up = blocks.iter().step_by(MANY / 400).map(|block| behind(block) - 8).collect::<Vec<_>>();
        arena.reset();
        arena.alloc(0u64);
        assert!(mappings(&arena) < 64, "round {round}: {} mappings after a reset", mappings(&arena));
        assert!(given_up.iter().all(|&block| !probe.is_open(block)), "what was given up is closed");
        arena.reset();
    }
    // A new arena starts afresh, and the first one's guards do not count any more.
    let first = arena.alloc(1u64);
    assert!(!probe.is_open(behind(first)));
    drop(arena);
    degraded.lock().unwrap().clear();
    let next = self::arena(GuardMechanism::Protect, &degraded);
    let blocks = (0..1000u64).map(|i| next.alloc(i)).collect::<Vec<_>>();
    assert!(blocks.iter().all(|block| !probe.is_open(behind(block))));
    assert_eq!(*degraded.lock().unwrap(), [0u64; 0]);
}

#[test]
fn without_a_sink_the_note_goes_to_standard_error() {
    if !support::reserves() {
        return;
    }
    if !degrades() {
        return;
    }
    let ended = support::child("noted");
    ended.assert_success();
    let notes = ended.stderr.lines().filter(|line| line.starts_with("highwater: arena \"noted\": "));
    let notes = notes.collect::<Vec<_>>();
    assert!(!notes.is_empty() && notes.len() < 64, "{ended:#?}");
    assert!(notes.iter().all(|note| note.contains("mappings")), "{notes:?}");
}

fn noted() {
    let policy = GuardPolicy::default().mechanism(GuardMechanism::Protect);
    let arena = Arena::builder().name("noted").guard(policy).checked().build();
    assert_intact(&fill(&arena));
}
