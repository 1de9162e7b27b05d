//! Every cause that can be provoked: what is refused, what is said of it, and what still works afterwards.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::oom::Injection;
use highwater::{Arena, Cause, Engine, Growth, Headroom, OutOfMemory, engine, oom};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::limits::{limit_data_softly, mapping_limit, use_up_mappings};
use support::oom::{assert_aborted, cannot, child, first_line, json, text_of, trace_abort};

pub const MIB: usize = 1 << 20;

/// An arena with something in it, and what stands between it and more.
struct Scene {
    arena: Arena,
    too_much: usize,
    fits: usize,
    cause: &'static str,
    limit: Option<usize>,
    usage: RangeInclusive<usize>,
}

impl Scene {
    /// That an error tells of this scene, with the figures of it.
    fn check(&self, error: &OutOfMemory) {
        assert_eq!((error.cause().name(), error.requested()), (self.cause, self.too_much), "{error}");
        assert_eq!(error.limit(), self.limit.map(|limit| limit as u64), "{error}");
        assert_eq!(error.used(), self.arena.allocated_bytes());
        let json = json(error);
        assert_eq!((json["cause"].as_str(), json["highwater"].as_str()), (Some(self.cause), Some("oom")));
        assert_eq!(json["limit"].as_u64(), Some(self.limit.unwrap_or(0) as u64));
        assert_eq!(json["committed"].as_u64(), Some(self.arena.committed_bytes() as u64));
        let usage = json["usage"].as_u64().unwrap() as usize;
        assert!(self.usage.contains(&usage), "{usage} is not in {:?}: {error}", self.usage);
    }
}

/// Contents that later refusals must not touch.
pub fn with_contents(arena: Arena) -> Arena {
    arena.alloc_slice_fill_with(32 << 10, |i| i as u8);
    arena
}

pub fn contents_verify(arena: &Arena) {
    // SAFETY: the first allocation of `with_contents`, never given back.
    let kept = unsafe { std::slice::from_raw_parts(arena.region().as_ptr(), 32 << 10) };
    assert!(kept.iter().enumerate().all(|(i, &byte)| byte == i as u8));
}

/// Fallible calls return the cause, nothing is lost, and less is served.
fn fallibly(scene: Scene) {
    let arena = &scene.arena;
    for round in 0..3u8 {
        let figures = || (arena.allocated_bytes(), arena.committed_bytes(), arena.stats().commits);
        let before = figures();
        let (bytes, layout) = (scene.too_much, std::alloc::Layout::array::<u8>(scene.too_much).unwrap());
        scene.check(&arena.try_alloc_uninit_slice::<u8>(bytes).unwrap_err());
        scene.check(&arena.try_alloc_slice_fill_copy(bytes, 1u8).unwrap_err());
        scene.check(&arena.try_alloc_layout(layout).unwrap_err());
        scene.check(&arena.commit_ahead(bytes).unwrap_err());
        let panic = catch_unwind(AssertUnwindSafe(|| arena.alloc_layout(layout))).unwrap_err();
        let text = text_of(&*panic);
        assert!(text.starts_with("highwater: arena \"scene\" out of memory: requested "), "{text}");
        assert_eq!(figures(), before);
        if scene.fits > 0 {
            let smaller = arena.try_alloc_slice_fill_copy(scene.fits, round).expect("less is served");
            assert!(smaller.iter().all(|&byte| byte == round));
        }
    }
    contents_verify(arena);
}

/// The first write of a plain call that does not fit, on the thread that runs.
fn plainly(scene: Scene) {
    trace_abort();
    let arena = &scene.arena;
    let refused = catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_fill_copy(scene.too_much, 1u8).len()));
    let text = text_of(&*refused.expect_err("more than there is"));
    assert!(text.contains("\"scene\" out of memory: requested "), "{text}");
    if scene.fits > 0 {
        assert_eq!(arena.alloc_slice_fill_copy(scene.fits, 1u8).len(), scene.fits);
    }
    contents_verify(arena);
    println!("refused before it was written: {text}");
}

/// Runs a scene both ways; `said` is in the first line, and `by_commit` says that a fault would be refused.
fn scene(name: &str, cause: &str, said: &str, by_commit: bool) {
    let Some(ended) = child(&format!("{name}, try")) else { return };
    ended.assert_success();
    let ended = child(&format!("{name}, plain")).expect("as above");
    if by_commit && engine() == Engine::Fault {
        assert_aborted(&ended, cause);
        assert!(first_line(&ended).contains(said), "{ended:#?}");
        assert!(first_line(&ended).contains("arena \"scene\""), "{ended:#?}");
    } else {
        ended.assert_success();
        assert!(ended.stdout.contains(said), "{ended:#?}");
    }
}

macro_rules! cases {
    ($($name:literal: $make:expr,)+ ; $($case:literal: $run:expr,)+) => {
        /// What runs in child processes.
        pub const CASES: &[support::Case] = &[
            $((concat!($name, ", try"), || fallibly($make)), (concat!($name, ", plain"), || plainly($make)),)+
            $(($case, $run),)+
        ];
    };
}

cases! {
    "reservation": reservation(),
    "region limit": region_limit(),
    "allocation limit": allocation_limit(),
    "process limit": process_limit(),
    "data": data(),
    "system": system(),
    "overcommit": overcommit(),
    "mappings": mappings(),
    "kernel": kernel(),
    ;
    "every cause": every_cause,
}

pub fn builder() -> highwater::Builder<Arena> {
    Arena::builder().name("scene").reserve(1 << 30).growth(Growth::Fixed(MIB))
}

#[test]
fn the_end_of_the_reservation() {
    scene("reservation", "reservation-exhausted", "reservation of 4 MiB exhausted", false);
}

fn reservation() -> Scene {
    let (arena, reserve) = (with_contents(builder().reserve(4 * MIB).build()), 4 * MIB);
    let usage = reserve + 1..=2 * reserve + (1 << 20);
    Scene { arena, too_much: reserve, fits: MIB, cause: "reservation-exhausted", limit: Some(reserve), usage }
}

#[test]
fn the_limit_of_a_region() {
    scene("region limit", "region-limit", "region limit 3 MiB reached", false);
    scene("allocation limit", "region-limit", "region limit 3 MiB reached", false);
}

fn region_limit() -> Scene {
    let limit = 3 * MIB + 3001 * 16 + 1;
    let arena = with_contents(builder().limit(limit).build());
    let usage = limit + 1..=2 * limit + MIB;
    Scene { arena, too_much: limit, fits: 900_000, cause: "region-limit", limit: Some(limit), usage }
}

fn allocation_limit() -> Scene {
    let (arena, limit) = (with_contents(builder().build()), 3 * MIB);
    arena.set_allocation_limit(Some(limit));
    let usage = limit + 1..=2 * limit;
    Scene { arena, too_much: limit, fits: 900_000, cause: "region-limit", limit: Some(limit), usage }
}

#[test]
fn the_limit_of_the_process() {
    scene("process limit", "process-limit", "process limit ", true);
}

fn process_limit() -> Scene {
    let arena = with_contents(builder().build());
    let limit = oom::committed_bytes() + 16 * MIB;
    oom::set_process_limit(Some(limit));
    assert_eq!(oom::process_limit(), Some(limit));
    let usage = limit + 1..=limit + 33 * MIB;
    Scene { arena, too_much: 32 * MIB, fits: 2 * MIB, cause: "process-limit", limit: Some(limit), usage }
}

#[test]
fn the_limit_on_data() {
    if support::reserves() {
        scene("data", "rlimit-data", "RLIMIT_DATA ", true);
    }
}

fn data() -> Scene {
    let arena = with_contents(builder().build());
    let limit = limit_data_softly(32 * MIB);
    let usage = limit - 33 * MIB..=limit;
    Scene { arena, too_much: 64 * MIB, fits: 2 * MIB, cause: "rlimit-data", limit: Some(limit), usage }
}

#[test]
fn the_machine_has_no_memory_left() {
    if support::reserves() {
        // The nearest limit is told: that may be a cgroup that this test runs in.
        scene("system", "system-memory", "system memory ", true);
    }
}

fn system() -> Scene {
    let arena = with_contents(builder().headroom(Headroom::AtLeast(usize::MAX / 2)).build());
    let error = arena.try_alloc_uninit_slice::<u8>(2 * MIB).unwrap_err();
    if matches!(error.cause(), Cause::CgroupLimit { .. }) {
        cannot("a memory cgroup is nearer than the machine's own limit");
    }
    let total = json(&error)["machine"]["of"].as_u64().unwrap() as usize;
    let limit = error.limit().map(|limit| limit as usize);
    assert!(limit >= Some(total), "{limit:?} of {total}");
    let usage = MIB..=limit.unwrap() + 2 * MIB;
    Scene { arena, too_much: 2 * MIB, fits: 0, cause: "system-memory", limit, usage }
}

#[test]
fn what_the_kernel_does_not_promise() {
    if support::reserves() {
        scene("overcommit", "overcommit", "overcommit limit ", true);
    }
}

fn overcommit() -> Scene {
    let mode = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    if mode.trim() != "0" {
        cannot("vm.overcommit_memory is not 0");
    }
    let swap = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swap.lines().count() > 1 {
        cannot("how much swap there is may change");
    }
    // SAFETY: sysconf has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) } as usize;
    let (total, too_much) = (pages * support::raw::page(), 2 * pages * support::raw::page());
    // One step that is larger than the machine: what is needed of it is less, so a fault takes only that.
    let arena = builder().reserve(4 * too_much).headroom(Headroom::Off).build();
    let arena = with_contents(arena);
    if std::env::var(support::CASE).is_ok_and(|case| case.ends_with("plain")) {
        trace_abort();
        let region = arena.region();
        let refused = catch_unwind(AssertUnwindSafe(|| match engine() {
            Engine::Fault => support::raw::put(region, too_much, 1),
            Engine::Explicit => drop(arena.alloc_uninit_slice::<[u8; 4096]>(too_much / 4096)),
        }));
        println!("refused before it was written: {}", text_of(&*refused.unwrap_err()));
        std::process::exit(0);
    }
    let usage = too_much - MIB..=too_much + MIB;
    Scene { arena, too_much, fits: MIB, cause: "overcommit", limit: Some(total), usage }
}

#[test]
fn mappings_run_out() {
    if support::reserves() {
        scene("mappings", "map-count", "mappings used up (", true);
    }
}

fn mappings() -> Scene {
    let Some(most) = mapping_limit() else {
        cannot("the limit of mappings is unknown or too large to be used up")
    };
    // What is committed next is a mapping of its own, because the part before it was advised differently.
    let arena = with_contents(builder().build());
    let (start, len) = (arena.region().as_ptr(), arena.committed_bytes());
    // SAFETY: the advice changes no contents.
    assert_eq!(unsafe { libc::madvise(start.cast(), len, libc::MADV_SEQUENTIAL) }, 0);
    use_up_mappings(most);
    let usage = most - 4..=most + 1;
    Scene { arena, too_much: 4 * MIB, fits: 0, cause: "map-count", limit: Some(most), usage }
}

#[test]
fn an_error_that_nothing_explains_is_the_kernels() {
    if support::reserves() {
        scene("kernel", "kernel", "the kernel refused (errno 12)", true);
    }
}

fn kernel() -> Scene {
    let arena = with_contents(builder().build());
    let (start, hole) = (arena.region().as_ptr(), 16 * MIB);
    // SAFETY: somebody unmaps a part of the region that nothing refers to, which breaks it.
    assert_eq!(unsafe { libc::munmap(start.add(hole).cast(), MIB) }, 0);
    Scene { arena, too_much: 32 * MIB, fits: MIB, cause: "kernel", limit: None, usage: 0..=0 }
}

const CAUSES: [Cause; 17] = Cause::ALL;

#[test]
fn a_refused_fault_ends_in_a_function_named_after_its_cause() {
    if !support::has_faults() {
        return;
    }
    for (number, cause) in CAUSES.iter().enumerate() {
        let ended = support::child_with("every cause", |command| {
            command.env("RUST_BACKTRACE", "0").env("HIGHWATER_TEST_CAUSE", number.to_string());
        });
        assert_aborted(&ended, cause.name());
        let line = first_line(&ended);
        assert_eq!(line.ends_with(" (injected)"), *cause != Cause::Injected, "{line}");
    }
}

fn every_cause() {
    let number: usize = std::env::var("HIGHWATER_TEST_CAUSE").unwrap().parse().unwrap();
    let arena = with_contents(builder().inject(Injection::after(0).cause(CAUSES[number])).build());
    trace_abort();
    arena.alloc_slice_fill_copy(4 * MIB, 1u8);
}
