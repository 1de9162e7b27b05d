//! Under valgrind nothing grows by a fault: a string instruction that is resumed after one has lost an element.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::heap::Heap;
use highwater::{
    AppendVec, Arena, Engine, GrowVec, Growth, Region, RegionEngine, SharedArena, SharedVec, engine,
};
use std::process::Command;

const BYTES: usize = 30_000_000;
/// What is written one by one where nothing is optimised.
const FEW: usize = 3_000_000;

/// What runs in child processes.
pub const CASES: &[support::Case] =
    &[("all", everything), ("copies", copies), ("handler", asked_for), ("guard", guard)];

/// A case of this binary under one of valgrind's tools; skips where there is none.
fn under(tool: &str, case: &str) -> Option<support::Ended> {
    // Nothing there asks whether valgrind runs the program: nothing faults either.
    if cfg!(highwater_portable) {
        support::skip("the portable calls do not look for valgrind");
        return None;
    }
    let has = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        support::skip("no valgrind here");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("valgrind");
    // Errors of the program are an exit code; what the runtime keeps is no error.
    command.args([&format!("--tool={tool}"), "-q", "--child-silent-after-fork=yes"]);
    if tool == "memcheck" {
        command.args(["--error-exitcode=9", "--leak-check=no"]);
    }
    command.arg(std::env::current_exe().unwrap());
    command.args(support::CHILD_ARGS);
    command.env(support::CASE, case).current_dir(&directory);
    Some(support::run(command))
}

/// Bytes whose copies differ where one is lost, in a few instructions: valgrind is slow.
fn pattern() -> Vec<u8> {
    let mut data: Vec<u8> = (0..4099u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    while data.len() < BYTES {
        data.extend_from_within(..data.len().min(BYTES - data.len()));
    }
    data
}

/// The least of it: an arena, a vector, threads and a heap.
fn copies() {
    let data = pattern();
    let arena = Arena::new();
    assert!(arena.alloc_slice_copy(&data) == &data[..]);
    assert_eq!(arena.stats().faults, 0);
    let mut vec = GrowVec::new();
    vec.extend_from_slice(&data[..100_000]);
    assert!(vec[..] == data[..100_000]);
    let shared = SharedArena::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(shared.alloc_slice_copy(&data) == &data[..]));
        }
    });
    fill_a_heap(&data);
}

/// A heap commits by request, under valgrind as elsewhere.
fn fill_a_heap(data: &[u8]) {
    let heap = Heap::new();
    let block = heap.allocate(BYTES, 16).unwrap();
    // SAFETY: the block has so many bytes.
    unsafe {
        block.as_ptr().copy_from_nonoverlapping(data.as_ptr(), BYTES);
        assert!(std::slice::from_raw_parts(block.as_ptr(), BYTES) == data);
    }
}

fn everything() {
    let data = pattern();
    let expected = if engine() == Engine::Fault { RegionEngine::Paged } else { RegionEngine::Explicit };
    assert_eq!(highwater::default_engine(), expected);

    // Of a size that was not said, of one that was, and of the default's many times over.
    let mut arena = Arena::new();
    assert!(arena.alloc_slice_copy(&data) == &data[..]);
    assert!(arena.alloc_slice_fill_copy(FEW, 7u8).iter().step_by(997).all(|&byte| byte == 7));
    assert_eq!((arena.stats().engine, arena.stats().faults), (expected, 0));
    arena.reset();
    arena.trim(0);
    assert!(arena.alloc_slice_copy(&data) == &data[..]);
    let many: Vec<Arena> = (0..50).map(|_| Arena::new()).collect();
    assert!(many.iter().all(|arena| arena.alloc_slice_copy(&data[..100_000]) == &data[..100_000]));
    for growth in [Growth::Upfront, Growth::Fixed(1 << 20)] {
        let arena = Arena::builder().reserve(1 << 30).growth(growth).build();
        assert!(arena.scope_copy(&data));
    }
    for region in [arena.region(), &Region::builder().reserve(1 << 26).build()] {
        assert_eq!(region.stats().engine, expected);
    }

    let mut vec = GrowVec::new();
    vec.extend_from_slice(&data[..FEW]);
    vec.extend_from_slice(&data[..FEW]);
    assert!(vec[..FEW] == data[..FEW] && vec[FEW..] == data[..FEW]);
    let appended: AppendVec<u64> = (0..100_000).collect();
    assert!(appended.iter().copied().eq(0..100_000));

    let shared = SharedArena::new();
    let both = SharedVec::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                assert!(shared.alloc_slice_copy(&data) == &data[..]);
                assert!(shared.local().alloc_slice_copy(&data) == &data[..]);
                (0..10_000u32).for_each(|i| _ = both.push(i));
            });
        }
    });
    assert_eq!(both.len(), 20_000);

    fill_a_heap(&data);

    let checked = Arena::builder().checked().build();
    assert!(checked.alloc_slice_copy(&data[..5 << 20]) == &data[..5 << 20]);

    // It is said in reports.
    let report = arena.try_alloc_uninit_slice::<u8>(1 << 45).unwrap_err().report().to_json();
    assert!(report.contains("valgrind"), "{report}");
}

trait ScopeCopy {
    fn scope_copy(self, data: &[u8]) -> bool;
}

impl ScopeCopy for Arena {
    fn scope_copy(mut self, data: &[u8]) -> bool {
        self.scope().alloc_slice_copy(data) == data
    }
}

/// Who asks for the fault engine has it.
fn asked_for() {
    let arena = Arena::builder().reserve(1 << 30).engine(Engine::Fault).build();
    for i in 0..(1 << 20) / 8 {
        arena.alloc(i as u64);
    }
    assert!(arena.stats().faults > 0 && arena.stats().engine == RegionEngine::Fault);
}

/// A guard is a guard, and reported.
fn guard() {
    let arena = Arena::builder().reserve(1 << 20).name("watched").build();
    support::guards::touch(arena.region().as_ptr().addr() + (1 << 20), true);
}

fn passes(tool: &str, case: &str) {
    if let Some(ended) = under(tool, case) {
        assert!(ended.status.success(), "{tool}: {ended:#?}");
    }
}

#[test]
fn what_is_copied_arrives_under_none() {
    passes("none", "all");
}

#[test]
fn what_is_copied_arrives_under_massif() {
    passes("massif", "all");
}

#[test]
fn what_is_copied_arrives_under_callgrind() {
    passes("callgrind", "all");
}

/// And no error is reported.
#[test]
fn what_is_copied_arrives_under_memcheck() {
    passes("memcheck", "all");
}

/// (Which takes ten times as long as massif.)
#[test]
fn what_is_copied_arrives_under_helgrind() {
    passes("helgrind", "copies");
}

#[test]
fn the_fault_engine_can_be_asked_for() {
    if !support::has_faults() {
        return;
    }
    // (Whose stores are one instruction each, so that none is lost.)
    let Some(ended) = under("none", "handler") else { return };
    ended.assert_success();
}

#[test]
fn guards_are_reported_as_ever() {
    if !support::has_faults() {
        return;
    }
    for tool in ["none", "callgrind"] {
        let Some(ended) = under(tool, "guard") else { return };
        assert!(!ended.status.success());
        assert!(
            ended.stderr.contains("arena \"watched\": end of reservation: 1 byte past"),
            "{tool}: {ended:#?}"
        );
    }
}
