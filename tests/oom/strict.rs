//! The kernel promises no more memory than there is (`vm.overcommit_memory=2`): what is refused is named with what the
//! kernel keeps back, and what is not needed is not asked for.
//!
//! The setting is the machine's, so these run where it is in force already, or where `HIGHWATER_TEST_OVERCOMMIT=1` says
//! that it may be changed for a moment (as root). Other processes keep 2 GiB all the while: that much is kept back from
//! processes with as many addresses as these have.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Cause, Engine, Growth, OutOfMemory, Region, engine};
use support::oom::{assert_aborted, child, first_line, json};
use support::raw::page;

const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// The machine's settings as they were, put back when this goes.
struct Strict(Vec<(&'static str, String)>);

impl Strict {
    fn set() -> Option<Strict> {
        let mode = "/proc/sys/vm/overcommit_memory";
        let read = |path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        if read(mode) == "2" {
            return Some(Strict(Vec::new()));
        }
        if std::env::var_os("HIGHWATER_TEST_OVERCOMMIT").is_none() {
            support::skip("vm.overcommit_memory is not 2");
            return None;
        }
        let mut before = Strict(Vec::new());
        for (path, value) in [("/proc/sys/vm/user_reserve_kbytes", "2097152"), (mode, "2")] {
            let was = read(path);
            if std::fs::write(path, value).is_err() {
                support::skip("vm.overcommit_memory is not 2, and changing it is not allowed");
                return None;
            }
            before.0.push((path, was));
        }
        Some(before)
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        for (path, was) in self.0.iter().rev() {
            std::fs::write(path, was).expect("what could be set can be put back");
        }
    }
}

/// A figure of `/proc/meminfo` in bytes.
fn machine(label: &str) -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").expect("/proc is mounted");
    let line = text.lines().find_map(|line| line.strip_prefix(label)).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

fn left() -> usize {
    machine("CommitLimit:").saturating_sub(machine("Committed_AS:"))
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("strict, by request", by_request),
    ("strict, by fault", by_fault),
    ("defaults", defaults),
    ("upfront", upfront),
    ("trim", trim),
];

/// One after the other: they share a limit.
#[test]
fn a_strict_limit_is_named_and_spared() {
    if !support::reserves() {
        return;
    }
    let Some(_strict) = Strict::set() else { return };
    for case in ["strict, by request", "defaults", "upfront", "trim"] {
        if let Some(ended) = child(case) {
            ended.assert_success();
        }
    }
    if engine() == Engine::Fault
        && let Some(ended) = child("strict, by fault")
    {
        assert_aborted(&ended, "overcommit");
        assert!(first_line(&ended).contains(", kept back from this process "), "{ended:#?}");
        assert!(ended.stderr.contains("user reserve "), "{ended:#?}");
    }
}

/// A region that has all that the kernel lets it have, in steps of 64 MiB.
fn full() -> (Region, OutOfMemory) {
    let region = Region::builder().name("strict").reserve(64 * GIB).growth(Growth::Fixed(page()));
    let region = region.headroom(highwater::Headroom::Off).build();
    loop {
        if let Err(error) = region.ensure(region.committed_bytes() + 64 * MIB) {
            return (region, error);
        }
    }
}

fn by_request() {
    let (region, error) = full();
    assert_eq!(error.cause(), Cause::Overcommit, "{error}");
    let limit = machine("CommitLimit:");
    assert_eq!(error.limit(), Some(limit as u64));
    assert!(error.to_string().contains(", kept back from this process "), "{error}");
    let told = json(&error);
    let usage = told["usage"].as_u64().unwrap() as usize;
    // The limit itself is not met: what is kept back is.
    assert!(usage + 2 * GIB + GIB > limit, "{usage} of {limit}");
    assert!(told["machine"]["user_reserve"].as_u64().unwrap() > 0);
    // A refusal while building has the same figures.
    let error = Region::builder().reserve(GIB).head(512 * MIB).try_build().unwrap_err();
    assert!(error.to_string().contains("refused by vm.overcommit_memory, which allows "), "{error}");
    assert!(error.to_string().contains(" are kept back"), "{error}");
    let error = OutOfMemory::from(error);
    assert_eq!((error.cause(), error.limit()), (Cause::Overcommit, Some(limit as u64)));
    drop(region);
}

fn by_fault() {
    // (No stack trace: nothing is left to read symbols with.)
    let (region, _) = full();
    loop {
        support::raw::put(&region, region.committed_bytes(), 1);
    }
}

fn defaults() {
    let available = left();
    let first = Arena::new();
    assert!(first.reserved_bytes() <= available, "{} of {available}", first.reserved_bytes());
    let others: Vec<Arena> = (0..20).map(|_| Arena::new()).collect();
    let sum = others.iter().map(Arena::reserved_bytes).sum::<usize>();
    assert!(sum <= 7 * available.max(64 * MIB), "{sum} of {available}");
    assert_eq!(first.alloc_slice_fill_copy(MIB, 1u8).len(), MIB);
}

fn upfront() {
    let available = left();
    let region = Region::builder().growth(Growth::Upfront).build();
    let most = (available / 4 + 16 * MIB).max(64 * MIB);
    assert!(region.reserved_bytes() <= most, "{} of {available}", region.reserved_bytes());
    support::raw::put(&region, region.reserved_bytes() - 1, 1);
    drop(region);
    // More than there is: not all of it either.
    let region = Region::builder().reserve(1 << 40).growth(Growth::Upfront).build();
    assert!(region.reserved_bytes() <= most, "{} of {available}", region.reserved_bytes());
}

/// What is given back is nobody's promise any more, but where that would cost a lock.
fn trim() {
    for is_locked in [false, true] {
        let mut region = Region::builder().reserve(4 * GIB).build();
        let before = machine("Committed_AS:");
        region.ensure(512 * MIB).unwrap();
        if is_locked {
            // SAFETY: locking changes no contents.
            let locked = unsafe { libc::mlock2(region.as_ptr().cast(), 64 * MIB, libc::MLOCK_ONFAULT as _) };
            if locked != 0 {
                return;
            }
        }
        // SAFETY: nothing refers to it.
        assert_eq!(unsafe { region.trim(MIB) }, 511 * MIB);
        let found = support::maps::mappings(support::maps::reserved(&region));
        assert_eq!(found.iter().any(|mapping| mapping.has("lo")), is_locked);
        // Others come and go meanwhile.
        let now = machine("Committed_AS:");
        if !is_locked {
            assert!(now < before + 384 * MIB, "{before}, {now}");
        }
    }
}
