//! A memory cgroup's limit is foreseen: a report, never SIGKILL.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Cause, Engine, Growth, Headroom, engine, oom};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use support::cgroup::Cgroup;
use support::oom::first_line;

const MIB: usize = 1 << 20;
const LIMIT: usize = 256 * MIB;
/// What `Auto` leaves of such a limit.
const MARGIN: usize = LIMIT / 64;
const THREADS: &str = "HIGHWATER_TEST_THREADS";
const CACHED: &str = "HIGHWATER_TEST_CACHED";

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("plain", || on_threads(plain)),
    ("slices", || on_threads(slices)),
    ("jumps", || on_threads(jumps)),
    ("mixed", || on_threads(mixed)),
    ("cache", || drop(cached())),
    ("200 MiB", two_hundred),
    ("200 MiB ahead", two_hundred_ahead),
    ("off", off),
    ("at least", at_least),
    ("sums", sums),
    ("crowd", crowd),
];

fn named(name: &str) -> highwater::Builder<Arena> {
    Arena::builder().name(name).reserve(2 << 30)
}

/// How often each kind is run.
fn runs() -> usize {
    if std::env::var_os("HIGHWATER_TEST_MANY").is_some() { 100 } else { 10 }
}

/// Runs one kind many times in one cgroup, where a file of 150 MiB is in the page cache before every second run.
fn never_killed(kind: &str, threads: &str) {
    let Some(cgroup) = Cgroup::with_limit(LIMIT) else { return };
    let dir = support::files::disk_dir();
    for run in 0..runs() {
        let ended = cgroup.run(kind, |command| {
            command.env(THREADS, threads);
            if let Some(dir) = dir.as_ref().filter(|_| run % 2 == 0) {
                command.env(CACHED, dir.path());
            }
        });
        let Some(ended) = ended else { return };
        // By fault there is nobody to return to; a check that is refused panics.
        match (kind, engine()) {
            ("plain" | "jumps", Engine::Fault) => ended.assert_signal(libc::SIGABRT),
            _ => assert_eq!(ended.status.code(), Some(101), "run {run}: {ended:#?}"),
        }
        let named = format!("cgroup limit 256 MiB reached ({}, usage ", cgroup.path());
        let line = ended.stderr.lines().find(|line| line.contains(" out of memory: "));
        assert!(line.is_some_and(|line| line.contains(&named)), "run {run}: {named} in {ended:#?}");
    }
}

#[test]
fn plain_allocations_end_with_a_report() {
    never_killed("plain", "1");
}

#[test]
fn plain_allocations_on_four_threads_end_with_a_report() {
    never_killed("plain", "4");
}

#[test]
fn plain_allocations_on_many_threads_end_with_a_report() {
    never_killed("plain", "16");
}

#[test]
fn slices_touched_later_end_with_a_report() {
    never_killed("slices", "1");
}

#[test]
fn slices_touched_later_on_four_threads_end_with_a_report() {
    never_killed("slices", "4");
}

#[test]
fn jumps_end_with_a_report() {
    never_killed("jumps", "1");
}

#[test]
fn jumps_on_four_threads_end_with_a_report() {
    never_killed("jumps", "4");
}

#[test]
fn large_fallible_calls_end_with_a_report() {
    never_killed("mixed", "1");
}

#[test]
fn large_fallible_calls_on_four_threads_end_with_a_report() {
    never_killed("mixed", "4");
}

/// Asks for 1 GiB on all threads together, which are all to be refused at the end of it.
fn on_threads(kind: fn(&Arena, usize, &Barrier)) {
    let kept = cached();
    let threads: usize = std::env::var(THREADS).unwrap().parse().unwrap();
    let barrier = &Barrier::new(threads);
    let run = |thread: usize| {
        let arena = named(&format!("t{thread}")).build();
        kind(&arena, (1 << 30) / threads, barrier);
        arena
    };
    // Nobody gives anything back before all are done.
    let arenas: Vec<Arena> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    drop((kept, arenas));
    unreachable!("1 GiB was had in 256 MiB");
}

fn plain(arena: &Arena, bytes: usize, _: &Barrier) {
    while arena.allocated_bytes() < bytes {
        arena.alloc_slice_fill_copy(16, [1u8; 4096]);
    }
}

/// Takes memory without touching it until there is none, touches all of it, and asks once more.
fn slices(arena: &Arena, bytes: usize, barrier: &Barrier) {
    let mut taken = Vec::new();
    while arena.allocated_bytes() < bytes
        && let Ok(slice) = arena.try_alloc_uninit_slice::<u8>(MIB)
    {
        taken.push(slice);
    }
    barrier.wait();
    taken.iter_mut().for_each(|slice| _ = slice.fill_up(7));
    barrier.wait();
    arena.alloc_uninit_slice::<u8>(LIMIT);
}

/// Jumps over gaps, and fills some of them later.
fn jumps(arena: &Arena, bytes: usize, _: &Barrier) {
    let (region, page) = (arena.region(), support::raw::page());
    let gap = 5 * MIB;
    let mut filled = 0;
    for at in (gap..bytes).step_by(gap) {
        if engine() == Engine::Explicit {
            region.ensure(at + 1).unwrap_or_else(|error| panic!("highwater: {error}"));
        }
        support::raw::put(region, at, 1);
        if (at / gap).is_multiple_of(3) {
            (filled..at).step_by(page).for_each(|offset| support::raw::put(region, offset, 2));
            filled = at;
        }
    }
}

/// Fallible calls of all sizes, halved when they are refused, with plain ones of what is committed between.
fn mixed(arena: &Arena, bytes: usize, barrier: &Barrier) {
    let mut taken = Vec::new();
    let mut size = 48 * MIB;
    for round in 0.. {
        if size < 64 << 10 || arena.allocated_bytes() > bytes {
            break;
        }
        match arena.try_alloc_uninit_slice::<u8>(size) {
            Ok(slice) if round % 2 == 0 => taken.push(slice),
            Ok(slice) => _ = slice.fill_up(7),
            Err(error) => {
                assert!(matches!(error.cause(), Cause::CgroupLimit { .. }), "{error}");
                size /= 2;
            }
        }
        if arena.committed_bytes() > arena.allocated_bytes() + 8 {
            arena.alloc(round);
        }
    }
    barrier.wait();
    taken.iter_mut().for_each(|slice| _ = slice.fill_up(7));
    barrier.wait();
    arena.alloc_uninit_slice::<u8>(LIMIT);
}

trait Filled {
    fn fill_up(&mut self, byte: u8) -> &mut Self;
}

impl Filled for [std::mem::MaybeUninit<u8>] {
    /// In one piece: an unoptimised loop over bytes takes seconds.
    fn fill_up(&mut self, byte: u8) -> &mut Self {
        // SAFETY: as many bytes as the slice has.
        unsafe { self.as_mut_ptr().write_bytes(byte, self.len()) };
        self
    }
}

/// Fills the page cache of this process's cgroup with a file, if the parent said so: it is written by the first
/// child, so that it is charged here, and read by the others.
fn cached() -> Option<PathBuf> {
    let path = Path::new(&std::env::var_os(CACHED)?).join("cached");
    let piece = vec![1u8; MIB];
    if !path.exists() {
        let mut file = std::fs::File::create(&path).unwrap();
        (0..150).for_each(|_| file.write_all(&piece).unwrap());
        file.sync_all().unwrap();
    }
    let (mut file, mut piece) = (std::fs::File::open(&path).unwrap(), piece);
    while file.read(&mut piece).unwrap() > 0 {}
    Some(path)
}

/// Runs a case in a cgroup of 256 MiB with 150 MiB of page cache in it.
fn beside_cache(case: &str) {
    let Some(cgroup) = Cgroup::with_limit(LIMIT) else { return };
    let Some(dir) = support::files::disk_dir() else {
        return support::skip("the target directory is in memory");
    };
    let Some(filled) = cgroup.run("cache", |command| _ = command.env(CACHED, dir.path())) else { return };
    filled.assert_success();
    let usage = cgroup.usage();
    assert!(usage > 140 * MIB, "{usage} bytes are in use");
    for _ in 0..3 {
        let Some(ended) = cgroup.run(case, |command| _ = command.env(CACHED, dir.path())) else { return };
        ended.assert_success();
    }
}

#[test]
fn page_cache_is_no_reason_to_refuse() {
    beside_cache("200 MiB");
    beside_cache("200 MiB ahead");
}

fn two_hundred() {
    cached();
    let arena = named("two hundred").build();
    let pages: Vec<&mut [[u8; 4096]]> =
        (0..200).map(|i| arena.alloc_slice_fill_copy(256, [i as u8; 4096])).collect();
    assert!(pages.iter().zip(0..).all(|(pages, i)| pages.iter().all(|page| page[7] == i as u8)));
}

fn two_hundred_ahead() {
    cached();
    let arena = named("two hundred").build();
    arena.commit_ahead(200 * MIB).unwrap();
    let pages = arena.alloc_slice_fill_copy(200 * 256, [3u8; 4096]);
    assert!(pages.iter().all(|page| page[4095] == 3));
}

#[test]
fn without_headroom_the_kernel_kills() {
    let Some(cgroup) = Cgroup::with_limit(LIMIT) else { return };
    if cgroup.may_swap() {
        return support::skip("the cgroup may swap");
    }
    if let Some(ended) = cgroup.run("off", |_| {}) {
        ended.assert_signal(libc::SIGKILL);
        assert!(!ended.stderr.contains("out of memory"), "{ended:#?}");
    }
}

fn off() {
    let arena = named("off").headroom(Headroom::Off).build();
    plain(&arena, 1 << 30, &Barrier::new(1));
}

#[test]
fn at_least_so_many_bytes_stay_free() {
    let Some(cgroup) = Cgroup::with_limit(LIMIT) else { return };
    if let Some(ended) = cgroup.run("at least", |_| {}) {
        ended.assert_success();
    }
}

fn at_least() {
    let arena = named("modest").headroom(Headroom::AtLeast(100 * MIB)).build();
    let error = loop {
        match arena.try_alloc_slice_fill_copy(16, [1u8; 4096]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let Cause::CgroupLimit { limit, usage, .. } = error.cause() else { panic!("{error}") };
    assert_eq!((limit, error.limit()), (LIMIT as u64, Some(LIMIT as u64)));
    assert!(usage > 150 * MIB as u64 && usage < 160 * MIB as u64, "{error}");
    let had = arena.allocated_bytes();
    assert!(had < 156 * MIB && had > 140 * MIB, "{had} bytes were had: {error}");
    // Who leaves less may take more, and the modest one is still refused.
    let greedy = named("greedy").build();
    greedy.try_alloc_slice_fill_copy(50 * 256, [1u8; 4096]).unwrap();
    assert!(arena.try_alloc_slice_fill_copy(MIB / 4096 * 17, [1u8; 4096]).is_err());
    let reserved = named("greedy").headroom(Headroom::AtLeast(0)).build();
    reserved.try_alloc_slice_fill_copy(30 * 256, [1u8; 4096]).unwrap();
}

#[test]
fn the_limit_of_an_ancestor_is_found_and_named() {
    let Some(parent) = Cgroup::with_limit(LIMIT) else { return };
    let Some(cgroup) = parent.child() else { return };
    let Some(ended) = cgroup.run("plain", |command| _ = command.env(THREADS, "1")) else { return };
    match engine() {
        Engine::Fault => {
            ended.assert_signal(libc::SIGABRT);
            let named = format!("cgroup limit 256 MiB reached ({}, usage ", parent.path());
            assert!(first_line(&ended).contains(&named), "{ended:#?}");
            for path in [parent.path(), cgroup.path()] {
                assert!(ended.stderr.contains(&format!("path {path}, usage ")), "{ended:#?}");
            }
        }
        Engine::Explicit => {
            assert_eq!(ended.status.code(), Some(101), "{ended:#?}");
            assert!(ended.stderr.contains(&format!("({}, usage ", parent.path())), "{ended:#?}");
        }
    }
}

#[test]
fn four_threads_together_stay_below_the_limit() {
    let Some(cgroup) = Cgroup::with_limit(LIMIT) else { return };
    if let Some(ended) = cgroup.run("sums", |_| {}) {
        ended.assert_success();
    }
}

fn sums() {
    const STEP: usize = MIB;
    for round in 0..200 {
        let barrier = Barrier::new(4);
        let fill = |thread: usize| {
            let arena = named(&format!("t{thread}")).growth(Growth::default()).build();
            barrier.wait();
            while arena.allocated_bytes() < LIMIT && arena.try_alloc_uninit_slice::<u8>(STEP).is_ok() {}
            barrier.wait();
            let committed = arena.committed_bytes();
            let all = oom::committed_bytes();
            barrier.wait();
            (committed, all)
        };
        let figures: Vec<(usize, usize)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || fill(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sum: usize = figures.iter().map(|&(committed, _)| committed).sum();
        assert!(figures.iter().all(|&(_, all)| all == sum), "round {round}: {figures:?}");
        assert!(sum <= LIMIT - MARGIN, "round {round}: {sum} bytes were promised: {figures:?}");
        assert!(sum > 200 * MIB, "round {round}: {sum} bytes were had: {figures:?}");
    }
}

#[test]
fn a_crowd_that_fits_is_not_refused() {
    let Some(cgroup) = Cgroup::with_limit(LIMIT) else { return };
    for _ in 0..runs() {
        let Some(ended) = cgroup.run("crowd", |_| {}) else { return };
        ended.assert_success();
    }
}

/// More threads than processors ask for the first time at the same moment: most of them find another one looking.
fn crowd() {
    const THREADS: usize = 32;
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let barrier = &barrier;
            scope.spawn(move || {
                let arena = named(&format!("t{thread}")).build();
                barrier.wait();
                for _ in 0..4 {
                    arena.try_alloc_uninit_slice::<u8>(MIB).unwrap();
                    arena.alloc_slice_fill_copy(16, [1u8; 4096]);
                }
            });
        }
    });
}
