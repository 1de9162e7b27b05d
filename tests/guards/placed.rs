//! Placing guards: what is refused and in which words, and what arenas make of those that are there.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{
    Arena, BuildError, Cause, Engine, Growth, GuardError, GuardMechanism, GuardPolicy, Region, engine,
};
use std::ops::Range;
use support::guards::{Probe, has_advice, reports, touch};
use support::raw::page;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("without_marks", without_marks),
    ("locked", locked),
    ("locked_late", locked_late),
    ("hits_placed", hits_placed),
    ("reach_zero", reach_zero),
];

fn region() -> Region {
    Region::builder().reserve(1 << 20).build()
}

#[test]
fn what_is_not_whole_pages_of_the_region_is_refused_by_name() {
    let page = page();
    let mut region = region();
    for guard in [1..page, 0..page + 1, page..page, 7..7, Range { start: 2 * page, end: page }] {
        // SAFETY: nobody uses the region.
        let error = unsafe { region.guard_at(guard.clone()) }.unwrap_err();
        let (start, end) = (guard.start, guard.end);
        assert!(matches!(&error, GuardError::NotPages { guard: named, .. } if *named == guard), "{error:?}");
        let text = format!("a guard at {start}..{end} is not made of whole pages of {page} bytes");
        assert_eq!(error.to_string(), text);
    }
    for guard in
        [(1 << 20)..(1 << 20) + page, (1 << 20) - page..(1 << 20) + page, 0..usize::MAX & !(page - 1)]
    {
        // SAFETY: as above.
        let error = unsafe { region.guard_at(guard.clone()) }.unwrap_err();
        assert!(matches!(&error, GuardError::Outside { reserved: 1048576, .. }), "{error:?}");
        let text = format!(
            "a guard at {}..{} is not inside the 1048576 bytes of the region",
            guard.start, guard.end
        );
        assert_eq!(error.to_string(), text);
    }
    region.ensure(1 << 20).unwrap();
    // SAFETY: the whole region is committed, and nobody else has it.
    unsafe { region.as_ptr().write_bytes(1, 1 << 20) };
}

#[test]
fn the_builder_refuses_the_same() {
    let page = page();
    let built = |guard: Range<usize>| {
        let guard = GuardPolicy::default().at(0x10000..0x20000).at(guard);
        let error = Region::builder().reserve(1 << 20).guard(guard.clone()).try_build().unwrap_err();
        let same = Arena::builder().reserve(1 << 20).guard(guard).try_build().unwrap_err();
        assert_eq!(error.to_string(), same.to_string());
        error
    };
    let error = built(1 << 20..(1 << 20) + page);
    assert!(matches!(error, BuildError::Guard(GuardError::Outside { .. })), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("a guard at 1048576..{} is not inside the 1048576 bytes of the region", (1 << 20) + page)
    );
    let error = built(3..page);
    assert!(matches!(error, BuildError::Guard(GuardError::NotPages { .. })), "{error:?}");
}

#[test]
fn there_is_a_most() {
    let page = page();
    let mut region = Region::builder().reserve(64 << 20).build();
    let mut place = |i: usize| {
        let start = (1 << 20) + 2 * i * page;
        // SAFETY: nobody uses the region.
        unsafe { region.guard_at(start..start + page) }
    };
    let placed = (0..).map(&mut place).take_while(Result::is_ok).count();
    assert!(placed >= 1000, "{placed}");
    let error = place(placed).unwrap_err();
    assert!(matches!(error, GuardError::TooMany { most } if most == placed), "{error:?}");
    assert!(error.to_string().contains(&placed.to_string()), "{error}");
    region.ensure(64 << 20).unwrap();
    if !cfg!(highwater_portable) {
        let start = region.as_ptr().expose_provenance();
        let mut probe = Probe::new();
        assert!((0..placed).all(|i| {
            let guard = start + (1 << 20) + 2 * i * page;
            probe.is_closed(guard..guard + page) && probe.is_open(guard - 1) && probe.is_open(guard + page)
        }));
    }
}

#[test]
fn what_an_arena_has_in_use_is_not_covered() {
    let page = page();
    let mut arena = Arena::builder().reserve(1 << 20).build();
    arena.alloc_slice_fill_copy(3 * page + 1, 1u8);
    for guard in [0..page, 3 * page..4 * page, 0..8 * page] {
        let error = arena.guard_at(guard.clone()).unwrap_err();
        let used = arena.allocated_bytes();
        assert!(matches!(&error, GuardError::InUse { guard: named, .. } if *named == guard), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("a guard at {}..{} would lie over ", guard.start, guard.end)),
            "{text}"
        );
        assert!(text.contains(&used.to_string()), "{text}");
    }
    arena.guard_at(4 * page..5 * page).unwrap();
    assert_eq!(arena.remaining(), 4 * page - arena.allocated_bytes());
    arena.reset();
    // Given up, so it may be covered now, and then there is nothing before it.
    arena.guard_at(0..page).unwrap();
    assert_eq!(arena.remaining(), 0);
    assert!(arena.try_alloc(1u8).is_err());
}

#[test]
fn an_arena_allocates_up_to_its_first_guard_and_stays_usable() {
    const GUARD: usize = 0x40000;
    let policy = GuardPolicy::default().at(0x80000..0x90000).at(GUARD..GUARD + 0x10000);
    let mut arena = Arena::builder().reserve(1 << 20).guard(policy).build();
    for _ in 0..2 {
        assert_eq!(arena.remaining(), GUARD);
        assert!(arena.alloc_slice_fill_copy(GUARD - 16, 7u8).iter().all(|&byte| byte == 7));
        let error = arena.try_alloc([1u64; 3]).unwrap_err();
        assert_eq!(error.cause(), Cause::RegionLimit, "{error}");
        let plain = || _ = arena.alloc([1u64; 3]);
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(plain)).unwrap_err();
        let text = panic.downcast_ref::<String>().expect("a panic with a text");
        assert!(text.contains("out of memory"), "{text}");
        // To the last byte before it.
        assert_eq!(*arena.alloc([2u64; 2]), [2; 2]);
        assert_eq!(arena.remaining(), 0);
        arena.reset();
    }
    let scope = arena.scope();
    assert!(scope.try_alloc_slice_fill_copy(GUARD + 1, 1u8).is_err());
    assert!(scope.try_alloc_slice_fill_copy(GUARD, 1u8).is_ok());
}

#[test]
fn a_debug_arena_allocates_around_them() {
    if !support::reserves() {
        return;
    }
    let guards = [0..0x3000, 0x8000..0x9000, 0x20000..0x40000];
    let policy = guards.iter().cloned().fold(GuardPolicy::default(), GuardPolicy::at);
    let mut arena = Arena::builder().reserve(4 << 20).guard(policy).checked().build();
    let start = arena.region().as_ptr().addr();
    for round in 0..3 {
        let mut offsets = Vec::new();
        for size in (1..9000usize).step_by(97) {
            let block = arena.alloc_slice_fill_copy(size, 1u8);
            offsets.push((block.as_ptr().addr() - start, size));
        }
        let overlaps = |guard: &Range<usize>| {
            offsets.iter().any(|&(offset, size)| offset < guard.end && guard.start < offset + size)
        };
        assert!(!guards.iter().any(overlaps), "round {round}: {offsets:x?}");
        assert!(round > 0 || offsets.iter().any(|&(offset, _)| offset < 0x8000), "also between guards");
        let (in_use, _) = offsets[50];
        let page_in_use = in_use & !(page() - 1);
        let error = arena.guard_at(page_in_use..page_in_use + page()).unwrap_err();
        assert!(matches!(error, GuardError::InUse { .. }), "{error:?}");
        arena.reset();
    }
    let end = arena.reserved_bytes();
    arena.guard_at(end - page()..end).unwrap();
    assert!(!Probe::new().is_open(arena.region().as_ptr().expose_provenance() + end - 1));
    arena.alloc_slice_fill_copy(100_000, 1u8);
}

#[test]
fn a_debug_arena_over_a_region_that_was_used_keeps_its_guards() {
    if !support::reserves() {
        return;
    }
    for growth in [Growth::default(), Growth::Upfront] {
        let policy = GuardPolicy::default().at(0x4000..0x8000);
        let region = Region::builder().reserve(1 << 20).growth(growth).guard(policy).build();
        region.ensure(0x80000).unwrap();
        let start = region.as_ptr().expose_provenance();
        touch(start, true);
        touch(start + 0x7ffff, true);
        let arena = highwater::DebugArena::from(region);
        let mut probe = Probe::new();
        assert!(probe.is_closed(start..start + 0x80000), "nothing is allocated yet");
        for i in 0..20u64 {
            let block = std::ptr::from_mut(arena.alloc(i)).expose_provenance();
            assert!(!(0x4000..0x8000).contains(&(block - start)));
            assert!(!probe.is_open(block + 8));
        }
        assert!(probe.is_closed(start + 0x4000..start + 0x8000));
    }
}

#[test]
fn a_debug_arena_allocates_around_guards_that_overlap() {
    if !support::reserves() {
        return;
    }
    let page = page();
    for guards in [[4 * page..8 * page, 2 * page..12 * page], [2 * page..6 * page, 4 * page..12 * page]] {
        let policy = guards.into_iter().fold(GuardPolicy::default(), GuardPolicy::at);
        let arena = Arena::builder().reserve(1 << 20).guard(policy).checked().build();
        let start = arena.region().as_ptr().expose_provenance();
        let mut probe = Probe::new();
        for _ in 0..100 {
            let offset = std::ptr::from_mut(arena.alloc(1u64)).addr() - start;
            assert!(!(2 * page..12 * page).contains(&offset), "{offset:#x}");
        }
        assert!(probe.is_closed(start + 2 * page..start + 12 * page));
    }
}

#[test]
fn a_guard_that_was_refused_changes_nothing_for_a_debug_arena() {
    if !support::reserves() {
        return;
    }
    let page = page();
    let mut arena = Arena::builder().reserve(1 << 20).checked().build();
    for guard in [1..5, 3..page, 0..page + 1, page..usize::MAX & !(page - 1)] {
        arena.guard_at(guard).unwrap_err();
    }
    for i in 0..50u64 {
        let block = std::ptr::from_mut(arena.alloc(i));
        assert!((block.addr() + 8).is_multiple_of(page), "it ends at a guard: {block:?}");
        assert_eq!(block.addr() - arena.region().as_ptr().addr(), (2 * i as usize + 1) * page - 8);
    }
}

#[test]
fn where_pages_cannot_be_marked_advice_is_refused_and_auto_protects() {
    if cfg!(target_endian = "big") || !support::reserves() {
        return;
    }
    let ended = support::child("without_marks");
    if ended.stdout.contains("no seccomp") {
        return support::skip("system calls cannot be filtered here");
    }
    let why = format!("{ended:#?}");
    assert!(ended.stdout.contains("as before 6.13"), "{why}");
    ended.assert_signal(libc::SIGSEGV);
    if engine() == Engine::Fault {
        let reports = reports(&ended.stderr);
        assert_eq!((reports.len(), &reports[0]["kind"]), (1, &"overflow".into()), "{why}");
    }
}

fn without_marks() {
    // As on a kernel before 6.13: `MADV_GUARD_INSTALL` is not known.
    if !support::limits::forbid_advice(102) {
        println!("no seccomp");
        return;
    }
    assert!(!has_advice());
    let advice = GuardPolicy::default().mechanism(GuardMechanism::Advice);
    let error = Region::builder().guard(advice.clone()).try_build().unwrap_err();
    assert!(matches!(error, BuildError::Guard(GuardError::NoMechanism(GuardMechanism::Advice))), "{error:?}");
    assert_eq!(error.to_string(), "guards by Advice do not exist on this system");
    assert!(Arena::builder().guard(advice).checked().try_build().is_err());
    let policy = GuardPolicy::default().at(0x40000..0x50000).report(highwater::ReportFormat::Json);
    let arena = Arena::builder().guard(policy).checked().build();
    let start = arena.region().as_ptr().expose_provenance();
    let blocks = (0..1000u64).map(|i| &*arena.alloc(i)).collect::<Vec<_>>();
    assert!(blocks.iter().enumerate().all(|(i, block)| **block == i as u64));
    assert!(Probe::new().is_closed(start + 0x40000..start + 0x50000));
    println!("as before 6.13");
    touch(std::ptr::from_ref(blocks[500]).expose_provenance() + 8, true);
}

/// Locked memory cannot be marked: what nobody insisted on is protected then.
#[test]
fn locked_memory_has_guards_too() {
    if !support::reserves() {
        return;
    }
    for case in ["locked", "locked_late"] {
        let ended = support::child(case);
        if ended.stdout.contains("no mlockall") {
            return support::skip("memory cannot be locked here");
        }
        ended.assert_success();
    }
}

/// When it is known already that pages can be marked, elsewhere.
fn locked_late() {
    drop(Arena::builder().reserve(1 << 20).checked().build());
    locked();
}

fn locked() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure is initialised; locking changes no contents.
    unsafe {
        libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit);
        if libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) != 0 {
            println!("no mlockall");
            return;
        }
    }
    let built = Arena::builder().reserve(16 << 20).checked().try_build();
    if let Err(BuildError::Refused { .. }) = built {
        println!("no mlockall"); // of so much
        return;
    }
    let (checked, mut probe) = (built.unwrap(), Probe::new());
    for i in 0..100u64 {
        let block = checked.alloc(i);
        assert!(!probe.is_open(std::ptr::from_mut(block).expose_provenance() + 8));
    }
    let guard = GuardPolicy::default().at(0x4000..0x8000).at(0x80000..0x90000);
    let region = Region::builder().reserve(16 << 20).guard(guard).build();
    region.ensure(1 << 20).unwrap();
    let start = region.as_ptr().expose_provenance();
    assert!(
        probe.is_closed(start + 0x4000..start + 0x8000) && probe.is_closed(start + 0x80000..start + 0x90000)
    );
    assert!(probe.is_open(start + 0x3fff) && probe.is_open(start + 0x90000));
}

/// A guard that was placed over memory in use is in force at once, and what was written there is gone.
#[test]
fn a_guard_over_committed_memory_is_in_force_at_once() {
    if support::has_faults() {
        let ended = support::child("hits_placed");
        ended.assert_signal(libc::SIGSEGV);
        let reports = reports(&ended.stderr);
        assert_eq!(reports.len(), 1, "{ended:#?}");
        assert_eq!((&reports[0]["kind"], &reports[0]["distance"]), (&"placed-guard".into(), &5.into()));
    }
}

fn hits_placed() {
    let guard = GuardPolicy::default().report(highwater::ReportFormat::Json);
    let mut region = Region::builder().reserve(1 << 20).guard(guard).build();
    let start = region.as_ptr().expose_provenance();
    (0..0x20000).for_each(|offset| touch(start + offset, true));
    // SAFETY: nothing refers to the contents.
    unsafe { region.guard_at(0x4000..0x8000) }.unwrap();
    touch(start + 0x3fff, true);
    touch(start + 0x8000, true);
    touch(start + 0x4004, true);
}

/// Without any reach the tail is closed to faults, and open to requests.
#[test]
fn a_reach_of_nothing_leaves_growth_by_request() {
    if support::has_faults() {
        let ended = support::child("reach_zero");
        ended.assert_signal(libc::SIGSEGV);
        let reports = reports(&ended.stderr);
        assert_eq!(reports.len(), 1, "{ended:#?}");
        let report = &reports[0];
        assert_eq!((&report["kind"], &report["distance"]), (&"beyond-reach".into(), &1.into()));
        assert_eq!((&report["offset"], &report["reach"]), (&0x50000.into(), &0.into()));
        assert_eq!(report["arena"]["name"], "quo\"te\\ü_", "{ended:#?}");
    }
}

fn reach_zero() {
    let guard = GuardPolicy::default().report(highwater::ReportFormat::Json).reach(0);
    let name = "quo\"te\\ü\n";
    let region = Region::builder().name(name).reserve(1 << 20).head(0).guard(guard).build();
    region.ensure(0x50000).unwrap();
    let start = region.as_ptr().expose_provenance();
    (0..0x50000).for_each(|offset| touch(start + offset, true));
    touch(start + 0x50000, true);
}
