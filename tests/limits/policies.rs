//! What builders take: growth policies, exact limits, and values that cannot be honoured.

use crate::support;
use highwater::{Arena, Cause, Engine, Growth, Region, engine};
use support::raw::{get, page, put};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("past the limit", touch_past_the_limit)];

#[test]
fn upfront_has_everything_and_never_grows() {
    let region = Region::builder().reserve(1 << 30).growth(Growth::Upfront).build();
    assert_eq!((region.committed_bytes(), region.reserved_bytes()), (1 << 30, 1 << 30));
    for offset in [0, 64 * KIB, 500 * MIB, (1 << 30) - 1] {
        put(&region, offset, 7);
        assert_eq!(get(&region, offset), 7);
    }
    let mut arena: Arena = Arena::builder().reserve(256 * MIB).growth(Growth::Upfront).build();
    arena.alloc_slice_fill_copy(100 * MIB, 1u8);
    arena.reset();
    arena.trim(MIB);
    assert_eq!(arena.committed_bytes(), arena.reserved_bytes(), "it stays accessible");
    let bytes = arena.alloc_uninit_slice::<u8>(100 * MIB);
    // SAFETY: committed memory is initialised.
    assert!(bytes[MIB..].iter().all(|byte| unsafe { byte.assume_init() } == 0));
    for stats in [region.stats(), arena.stats()] {
        assert_eq!((stats.faults, stats.commits, stats.populated), (0, 0, 0));
    }
}

#[test]
fn geometric_growth_commits_little_ahead_of_the_need() {
    let mut arena = Arena::builder().reserve(1 << 30).build();
    let mut size = 1;
    let mut scope = arena.scope();
    let root = &mut scope;
    while root.allocated_bytes() < 256 * MIB {
        size = (size * 7 + 13) % (40 * KIB);
        root.alloc_slice_fill_copy(size, 1u8);
        let (used, committed) = (root.allocated_bytes(), root.committed_bytes());
        assert!(committed >= used && committed - used <= used / 4 + 4 * MIB, "{committed} for {used}");
    }
    assert!(root.stats().commits < 100, "steps grow with the arena");
}

#[test]
fn stress_grows_by_a_page_and_gives_back_at_reset() {
    let mut arena: Arena = Arena::builder().reserve(64 * MIB).growth(Growth::Stress { seed: 7 }).build();
    assert_eq!(arena.committed_bytes(), page());
    for round in 1..=5 {
        let pages = 40;
        for i in 0..pages {
            let bytes = arena.alloc_slice_fill_with(page(), |at| (at + i) as u8);
            assert!(bytes.iter().enumerate().all(|(at, &byte)| byte == (at + i) as u8));
            assert_eq!(arena.committed_bytes(), (i + 1) * page(), "a page at a time");
        }
        let stats = arena.stats();
        assert_eq!(stats.commits, round * (pages as u64 - 1), "the head is committed already");
        assert_eq!(
            (stats.faults, stats.populated),
            (if engine() == Engine::Fault { stats.commits } else { 0 }, 0)
        );
        arena.reset();
        assert_eq!(arena.committed_bytes(), page());
    }
}

#[test]
fn a_limit_is_exact_to_the_byte() {
    let limit = 1_000_003;
    let arena = Arena::builder().min_align::<1>().reserve(64 * MIB).limit(limit).build();
    assert_eq!(arena.region().limit(), limit);
    for _ in 0..limit {
        arena.alloc(1u8);
    }
    assert!(arena.try_alloc(1u8).is_err());
    assert!(arena.committed_bytes() <= limit.next_multiple_of(page()), "nothing is committed past it");
}

#[test]
fn a_touch_past_the_limit_is_refused_by_name() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("past the limit");
    ended.assert_signal(libc::SIGABRT);
    assert!(ended.stdout.contains("ready"), "{ended:#?}");
    for part in ["region \"limited\" out of memory: growing by", "region limit 1 MiB reached"] {
        assert!(ended.stderr.contains(part), "{ended:#?}");
    }
    let said = ended.stderr.lines().filter(|line| line.starts_with("highwater: ")).count();
    assert_eq!(said, 1, "{ended:#?}");
}

fn touch_past_the_limit() {
    let region = Region::builder().name("limited").reserve(64 * MIB).limit(MIB).build();
    (0..MIB).step_by(page()).for_each(|offset| put(&region, offset, 1));
    assert_eq!(region.committed_bytes(), MIB);
    println!("ready");
    put(&region, MIB, 1);
}

#[track_caller]
fn is_refused(builder: highwater::Builder<Region>, parts: &[&str]) {
    let error = builder.try_build().expect_err("it cannot be honoured");
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn what_cannot_be_honoured_is_named() {
    let build = Region::builder;
    is_refused(build().reserve(0), &["reserve", "0 bytes"]);
    is_refused(build().reserve(65536).head(65537), &["head", "65537", "65536"]);
    is_refused(build().reserve(MIB).limit(8192).head(8193), &["head", "8193", "8192"]);
    is_refused(build().growth(Growth::Fixed(0)), &["step", "0 bytes"]);
    is_refused(build().growth(Growth::Geometric { first: 0, max: 1 }), &["step", "0 bytes"]);
    is_refused(build().growth(Growth::Geometric { first: 12345, max: 12344 }), &["step", "12345", "12344"]);
    for absurd in [1 << 46, 1 << 62, usize::MAX] {
        let named = (absurd & !(page() - 1)).to_string();
        is_refused(build().reserve(absurd), &["reserve", &named, "quarter of the address space"]);
        is_refused(build().reserve(absurd).head(absurd), &[&named]);
    }
    let panic = std::panic::catch_unwind(|| drop(build().reserve(0).build())).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("0 bytes"));
}

#[test]
fn sizes_are_rounded_to_pages_and_the_head_is_committed() {
    let region = Region::builder().reserve(100_001).head(5000).growth(Growth::Fixed(1)).build();
    assert_eq!(region.reserved_bytes(), 100_001usize.next_multiple_of(page()));
    assert_eq!(region.committed_bytes(), 5000usize.next_multiple_of(page()));
    region.ensure(region.reserved_bytes()).unwrap();
    let error = region.ensure(region.reserved_bytes() + 1).unwrap_err();
    assert_eq!(error.cause(), Cause::ReservationExhausted);
    put(&region, region.reserved_bytes() - 1, 1);
}
