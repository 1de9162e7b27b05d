//! Refusals on demand: which admission is refused, of which region, with what cause, and the same every time.

use crate::support;
use highwater::oom::{self, Injection};
use highwater::{Arena, Cause, Growth, OutOfMemory, Region};
use std::panic::{AssertUnwindSafe, catch_unwind};

const KIB: usize = 1 << 10;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("process-wide", process_wide),
    ("process-wide and own", process_wide_and_own),
    ("an injected fault", a_fault),
];

/// A region that is asked to grow by one page at a time, so often; true where it was refused.
fn refusals(region: &Region, times: usize) -> Vec<bool> {
    let page = page();
    let mut end = region.committed_bytes();
    let mut refused = Vec::new();
    for _ in 0..times {
        let before = region.committed_bytes();
        match region.ensure(end + page) {
            Ok(()) => end += page,
            Err(error) => {
                assert_eq!(error.limit(), None, "{error}");
                assert_eq!(region.committed_bytes(), before);
            }
        }
        refused.push(region.committed_bytes() == before);
    }
    refused
}

fn page() -> usize {
    #[cfg(unix)]
    return support::raw::page();
    #[cfg(not(unix))]
    return 4096;
}

fn region(injection: Injection) -> Region {
    Region::builder().reserve(256 << 20).head(0).inject(injection).build()
}

fn places(refused: &[bool]) -> Vec<usize> {
    refused.iter().enumerate().filter(|(_, refused)| **refused).map(|(place, _)| place).collect()
}

#[test]
fn the_nth_admission_and_no_other() {
    for n in [1, 2, 3, 17] {
        assert_eq!(places(&refusals(&region(Injection::nth(n)), 40)), [n as usize - 1]);
    }
    assert!(places(&refusals(&region(Injection::nth(0)), 40)).is_empty());
    assert!(places(&refusals(&region(Injection::nth(41)), 40)).is_empty());
}

#[test]
fn every_admission_after_the_nth() {
    for n in [0, 1, 17] {
        let expected: Vec<usize> = (n..40).collect();
        assert_eq!(places(&refusals(&region(Injection::after(n as u64)), 40)), expected);
    }
}

#[test]
fn every_admission_above_a_size() {
    let region = region(Injection::above(64 * KIB));
    region.ensure(64 * KIB).unwrap();
    assert!(region.ensure(128 * KIB + 1).is_err());
    region.ensure(128 * KIB).unwrap();
    // Exactly what is asked for counts, not the step that would have been taken otherwise.
    assert!(region.ensure(300 * KIB).is_err());
    assert_eq!(region.committed_bytes(), 128 * KIB);
    assert!(places(&refusals(&region, 40)).is_empty());
}

#[test]
fn a_rate_is_drawn_from_its_seed() {
    let drawn = |rate, seed| refusals(&region(Injection::rate(rate, seed)), 2000);
    let some = drawn(250_000, 7);
    assert_eq!(some, drawn(250_000, 7), "the same seed, the same places");
    assert_ne!(some, drawn(250_000, 8));
    let count = places(&some).len();
    assert!((400..600).contains(&count), "{count} of 2000");
    assert!(places(&drawn(0, 7)).is_empty());
    assert_eq!(places(&drawn(1_000_000, 7)).len(), 2000);
}

/// What an arena does with an injection: the calls that were refused, and what is in it afterwards.
fn program(injection: Injection) -> (Vec<usize>, usize, usize, u64) {
    let arena = Arena::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(16 * KIB));
    let arena = arena.inject(injection).build();
    let mut refused = Vec::new();
    for i in 0..300 {
        let made = match i % 4 {
            0 => arena.try_alloc_slice_fill_copy(i * 31, i as u8).is_ok(),
            1 => arena.try_alloc_uninit_slice::<u64>(i).is_ok(),
            2 => arena.commit_ahead(i * 100).is_ok(),
            _ => arena.try_alloc_fmt(format_args!("{i:i$}")).is_ok(),
        };
        if !made {
            refused.push(i);
        }
    }
    (refused, arena.allocated_bytes(), arena.committed_bytes(), arena.stats().commits)
}

#[test]
fn the_same_program_is_refused_at_the_same_places() {
    for injection in [
        Injection::nth(5),
        Injection::after(20),
        Injection::above(15 * KIB),
        Injection::rate(100_000, 1),
        Injection::rate(500_000, 2),
    ] {
        let first = program(injection);
        assert!(!first.0.is_empty(), "{injection:?}");
        assert_eq!(first, program(injection), "{injection:?}");
    }
    assert!(program(Injection::rate(0, 1)).0.is_empty());
}

#[test]
fn the_cause_is_the_one_that_was_chosen() {
    for cause in [
        Cause::Injected,
        Cause::RlimitData,
        Cause::SystemMemory,
        Cause::DiskFull,
        Cause::Kernel(5),
        Cause::CgroupLimit { path: "/x", limit: 4096, usage: 4095 },
    ] {
        let arena = Arena::builder().name("told").head(0).inject(Injection::after(0).cause(cause)).build();
        let error = arena.try_alloc([0u8; 64]).unwrap_err();
        assert_eq!(error.cause().name(), cause.name());
        assert_eq!((error.requested(), error.limit(), error.used()), (64, None, 0));
        let text = error.to_string();
        assert!(text.starts_with("arena \"told\" out of memory: requested 64 B"), "{text}");
        assert_eq!(text.ends_with("(injected)"), cause != Cause::Injected, "{text}");
        assert!(!matches!(cause, Cause::Kernel(_)) || error.cause() == cause);
    }
}

#[test]
fn plain_calls_of_uninitialised_memory_panic_and_nothing_is_lost() {
    let arena = Arena::builder().head(0).inject(Injection::nth(2)).build();
    let kept = arena.alloc_uninit_slice::<u8>(100).write_copy_of_slice(&[7; 100]);
    let used = arena.allocated_bytes();
    let panic = catch_unwind(AssertUnwindSafe(|| arena.alloc_uninit_slice::<u8>(1 << 20).len())).unwrap_err();
    let text = support::oom::text_of(&*panic);
    assert!(text.contains("out of memory") && text.contains("refused by injection"), "{text}");
    assert_eq!(arena.allocated_bytes(), used);
    assert_eq!(arena.alloc_uninit_slice::<u8>(1 << 20).len(), 1 << 20);
    assert!(kept.iter().all(|&byte| byte == 7));
}

#[test]
fn a_plain_call_refused_in_a_fault_says_so() {
    let Some(ended) = support::oom::child("an injected fault") else { return };
    if highwater::engine() == highwater::Engine::Fault {
        support::oom::assert_aborted(&ended, "injected");
    } else {
        assert_eq!(ended.status.code(), Some(101), "{ended:#?}");
    }
    let told = ended.stderr.lines().find(|line| line.contains("out of memory"));
    assert!(told.is_some_and(|line| line.ends_with(": refused by injection")), "{ended:#?}");
    assert!(ended.stdout.contains("the third"), "{ended:#?}");
}

/// Three growths; the fourth is refused.
fn a_fault() {
    let growth = Growth::Fixed(16 * KIB);
    let arena = Arena::builder().head(0).growth(growth).inject(Injection::nth(4)).build();
    for word in ["first", "second", "third", "fourth"] {
        arena.alloc_slice_fill_copy(16 * KIB, 1u8);
        println!("the {word}");
    }
}

#[test]
fn a_region_that_is_not_meant_is_left_alone() {
    let (meant, other) = (region(Injection::after(0)), Region::builder().reserve(1 << 20).head(0).build());
    assert!(meant.ensure(1).is_err());
    other.ensure(1 << 20).unwrap();
    drop(meant);
    // Its control block serves the next one.
    let next: Vec<Region> = (0..10).map(|_| Region::builder().reserve(1 << 20).head(0).build()).collect();
    next.iter().for_each(|region| region.ensure(1 << 20).unwrap());
}

#[test]
fn the_process_has_an_injection_of_its_own() {
    support::child("process-wide").assert_success();
    support::child("process-wide and own").assert_success();
}

fn cause_of(result: Result<(), OutOfMemory>) -> Option<Cause> {
    result.err().map(|error| error.cause())
}

/// Counts the admissions of all regions from the call on.
fn process_wide() {
    let make = || Region::builder().reserve(64 << 20).head(0).build();
    let (first, second) = (make(), make());
    first.ensure(page()).unwrap();
    oom::inject(Some(Injection::nth(3).cause(Cause::HugePages)));
    let third = make();
    first.ensure(2 * page()).unwrap();
    second.ensure(page()).unwrap();
    // What is committed already is no admission.
    first.ensure(page()).unwrap();
    assert_eq!(cause_of(third.ensure(page())), Some(Cause::HugePages));
    third.ensure(page()).unwrap();
    oom::inject(Some(Injection::after(1)));
    first.ensure(3 * page()).unwrap();
    for region in [&first, &second, &third] {
        assert_eq!(cause_of(region.ensure(32 * page())), Some(Cause::Injected));
    }
    oom::inject(None);
    for region in [first, second, third] {
        region.ensure(32 * page()).unwrap();
    }
}

/// A region's own one comes first, and both count.
fn process_wide_and_own() {
    let region = region(Injection::nth(2).cause(Cause::DiskFull));
    oom::inject(Some(Injection::nth(3).cause(Cause::MapCount)));
    region.ensure(page()).unwrap();
    assert_eq!(cause_of(region.ensure(2 * page())), Some(Cause::DiskFull));
    assert_eq!(cause_of(region.ensure(2 * page())), Some(Cause::MapCount));
    region.ensure(2 * page()).unwrap();
    oom::inject(Some(Injection::rate(1_000_000, 0)));
    assert_eq!(cause_of(region.ensure(3 * page())), Some(Cause::Injected));
}
