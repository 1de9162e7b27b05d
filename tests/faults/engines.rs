//! Engines that are chosen at run time: a region without a handler, and who may ask for what.

use crate::support;
use highwater::heap::Heap;
use highwater::{
    Arena, ArenaPool, BuildError, Cause, DebugArena, Engine, GrowVec, Growth, Headroom, Region, RegionEngine,
    SharedArena, SharedVec, engine, oom,
};

const BYTES: usize = 30_000_000;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    #[cfg(target_os = "linux")]
    ("no handler", without_a_handler::everything),
    #[cfg(target_os = "linux")]
    ("commits by request", without_a_handler::what_commits_by_request),
    ("process limit", process_limit),
    #[cfg(target_os = "linux")]
    ("cgroup", || within(1 << 20..64 << 20)),
    ("machine", || within(1 << 20..1 << 46)),
];

fn pattern() -> Vec<u32> {
    (0..BYTES as u32 / 4).map(|i| i.wrapping_mul(0x9e37_79b9)).collect()
}

#[test]
fn an_engine_has_a_name() {
    for kind in [RegionEngine::Fault, RegionEngine::Explicit, RegionEngine::Paged] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!(RegionEngine::from(Engine::Fault).to_string(), Engine::Fault.to_string());
    assert!("Fault".parse::<RegionEngine>().unwrap_err().to_string().contains("`paged`"));
    assert_eq!(RegionEngine::default(), engine().into());
}

#[test]
fn an_arena_that_is_paged_does_not_grow() {
    let data = pattern();
    let mut arena = Arena::builder().reserve(256 << 20).engine(RegionEngine::Paged).name("paged").build();
    for _ in 0..2 {
        assert!(arena.alloc_slice_copy(&data) == &data[..]);
        assert!(arena.try_alloc_slice_copy(&data).unwrap() == &data[..]);
        arena.reset();
    }
    let stats = arena.stats();
    assert_eq!((stats.engine, stats.faults, stats.commits), (RegionEngine::Paged, 0, 0));
    assert_eq!((arena.committed_bytes(), arena.region().growth()), (arena.reserved_bytes(), Growth::Upfront));
    // Memory that was given back is zero, and accessible.
    assert_eq!(arena.trim(0), arena.reserved_bytes());
    let zeroes = arena.alloc_uninit_slice::<u32>(data.len());
    // SAFETY: memory of the kernel's, which is zero.
    assert!(zeroes.iter().all(|value| unsafe { value.assume_init() } == 0));
    assert!(arena.region().monitor().stats().unwrap().engine == RegionEngine::Paged);
    let error = arena.try_alloc_uninit_slice::<u8>(1 << 40).unwrap_err();
    let report = error.report();
    assert!(report.to_string().contains("paged"), "{report}");
    assert!(report.to_json().contains("\"engine\":\"paged\""), "{}", report.to_json());
}

#[test]
fn limits_of_a_paged_region_are_exact() {
    let arena = Arena::builder().reserve(1 << 30).limit(1000).engine(RegionEngine::Paged).build();
    assert_eq!(arena.try_alloc_slice_fill_copy(1001, 1u8).unwrap_err().cause(), Cause::RegionLimit);
    assert_eq!(arena.try_alloc_slice_fill_copy(1000, 1u8).unwrap().len(), 1000);
    assert_eq!(arena.try_alloc(1u8).unwrap_err().cause(), Cause::RegionLimit);

    let vec = GrowVec::<u64>::builder().reserve(1 << 20).engine(RegionEngine::Paged).build();
    assert_eq!((vec.max_len(), vec.capacity()), (1 << 17, 1 << 17));
}

#[test]
fn figures_say_which_engine_a_region_has() {
    let built = highwater::default_engine();
    assert_eq!(Arena::new().stats().engine, built);
    assert_eq!(Region::builder().reserve(1 << 20).build().stats().engine, built);
    assert_eq!(
        Arena::builder().reserve(1 << 20).growth(Growth::Upfront).build().stats().engine,
        RegionEngine::Paged
    );
    assert_eq!(Heap::new().stats().region.engine, RegionEngine::Explicit);
    assert_eq!(Arena::builder().checked().build().stats().engine, RegionEngine::Explicit);
}

#[test]
fn what_cannot_be_had_at_run_time_is_refused_by_name() {
    let other = if engine() == Engine::Fault { Engine::Explicit } else { Engine::Fault };
    let error = Arena::builder().engine(other).try_build().unwrap_err();
    assert!(matches!(error, BuildError::Engine { .. }), "{error}");
    assert!(
        error.to_string().contains(&format!("the {other} engine is chosen when the library is built")),
        "{error}"
    );
    assert!(matches!(highwater::set_engine(Some(other.into())).unwrap_err(), BuildError::Engine { .. }));
    assert!(SharedVec::<u8>::builder().engine(other).try_build().is_err());
    // The one that there is may be asked for, and so may the explicit one of what has no such check.
    assert_eq!(Arena::builder().engine(engine()).build().stats().engine, engine().into());
    let explicit = Region::builder().reserve(1 << 20).engine(Engine::Explicit).build();
    assert_eq!(explicit.stats().engine, RegionEngine::Explicit);
    explicit.ensure(1 << 19).unwrap();
    let _: DebugArena = Arena::builder().engine(Engine::Explicit).checked().build();
    let _ = Heap::builder().engine(Engine::Explicit).build();
}

/// The bound is asked for once, when the region is made.
fn process_limit() {
    let room = 8 << 20;
    oom::set_process_limit(Some(oom::committed_bytes() + room));
    let arena = Arena::builder().reserve(1 << 30).engine(RegionEngine::Paged).build();
    assert!(
        arena.reserved_bytes() <= room && arena.reserved_bytes() > room / 2,
        "{}",
        arena.reserved_bytes()
    );
    let error = arena.try_alloc_uninit_slice::<u8>(room + 1).unwrap_err();
    assert_eq!(error.cause(), Cause::ReservationExhausted);
    // Headroom has no say in the process limit.
    let arena = Arena::builder().reserve(1 << 30).headroom(Headroom::Off).engine(RegionEngine::Paged).build();
    assert!(arena.reserved_bytes() <= room, "{}", arena.reserved_bytes());
    // A head is not asked about.
    oom::set_process_limit(Some(0));
    let arena = Arena::builder().reserve(1 << 30).head(1 << 20).engine(RegionEngine::Paged).build();
    assert_eq!(arena.reserved_bytes(), 1 << 20);
}

#[test]
fn a_paged_region_keeps_to_the_process_limit() {
    support::child("process limit").assert_success();
}

/// A paged arena that is as large as may be: its reservation lies within these bounds, and can be filled if that is little.
fn within(bounds: std::ops::Range<usize>) {
    let arena = Arena::builder().reserve(1 << 44).engine(RegionEngine::Paged).build();
    let reserved = arena.reserved_bytes();
    assert!(bounds.contains(&reserved), "{reserved} of {bounds:?}");
    if reserved < 1 << 30 {
        let all = arena.remaining();
        assert_eq!(arena.alloc_slice_fill_copy(all, 7u8).len(), all);
    }
    // What is left free can be chosen, and nobody need be asked.
    let build = |headroom| {
        Arena::builder().reserve(1 << 40).engine(RegionEngine::Paged).headroom(headroom).try_build()
    };
    assert!(build(Headroom::AtLeast(1 << 50)).unwrap().reserved_bytes() <= 1 << 20);
    if !cfg!(highwater_portable)
        && let Ok(arena) = build(Headroom::Off)
    {
        assert!(arena.reserved_bytes() > bounds.end.min(1 << 36) / 2, "{}", arena.reserved_bytes());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_paged_region_fits_a_memory_cgroup() {
    let Some(cgroup) = support::cgroup::Cgroup::with_limit(64 << 20) else { return };
    if let Some(ended) = cgroup.run("cgroup", |_| {}) {
        ended.assert_success();
    }
}

#[test]
fn a_paged_region_fits_the_machine() {
    if support::reserves() {
        support::child("machine").assert_success();
    }
}

#[cfg(target_os = "linux")]
mod without_a_handler {
    use super::*;
    use std::io::Read;

    /// What SIGSEGV goes to.
    fn action() -> usize {
        // SAFETY: nothing is changed, and zeroes are an action.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            assert_eq!(libc::sigaction(libc::SIGSEGV, std::ptr::null(), &mut action), 0);
            action.sa_sigaction
        }
    }

    /// Nobody handles SIGSEGV, and it is blocked besides: every fault is the end.
    fn nobody_handles_faults() {
        // SAFETY: the default action, and a set of this function's own.
        unsafe {
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            let mut set = std::mem::zeroed();
            libc::sigfillset(&mut set);
            assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()), 0);
        }
    }

    /// All kinds of regions, by the process's choice.
    pub fn everything() {
        nobody_handles_faults();
        highwater::set_engine(Some(RegionEngine::Paged)).unwrap();
        assert_eq!(highwater::default_engine(), RegionEngine::Paged);
        let data = pattern();
        let mut arena = Arena::new();
        assert!(arena.scope().alloc_slice_copy(&data) == &data[..]);
        let mut vec = GrowVec::new();
        vec.extend_from_slice(&data);
        data.iter().for_each(|&value| vec.push(value));
        assert!(vec[data.len()..] == data[..]);
        let shared = SharedArena::new();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert!(shared.local().alloc_slice_copy(&data) == &data[..]));
            }
        });
        let shared = SharedVec::new();
        data.iter().take(1_000_000).for_each(|&value| _ = shared.push(value));
        assert_eq!(shared.len(), 1_000_000);
        let pool = ArenaPool::new();
        assert!(pool.get().alloc_slice_copy(&data) == &data[..]);
        assert!(highwater::scratch(&[]).alloc_slice_copy(&data) == &data[..]);

        // The kernel is given memory that nobody has touched: no short count, no EFAULT.
        let region = Region::builder().reserve(256 << 20).build();
        // SAFETY: the region is accessible as a whole and nobody else's.
        let untouched = unsafe { std::slice::from_raw_parts_mut(region.as_ptr().add(1000), BYTES) };
        std::fs::File::open("/dev/zero").unwrap().read_exact(untouched).unwrap();

        // A forked child has its own.
        // SAFETY: the child touches memory, and ends.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                arena.alloc_slice_copy(&data);
                libc::_exit(0);
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0);
        }
        assert_eq!(action(), libc::SIG_DFL, "nobody installed a handler");
    }

    pub fn what_commits_by_request() {
        nobody_handles_faults();
        let explicit = RegionEngine::Explicit;
        let debug = Arena::builder().checked().engine(explicit).build();
        assert_eq!(debug.alloc_slice_fill_copy(1 << 20, 1u8).len(), 1 << 20);
        let paged: DebugArena = Arena::builder().checked().engine(RegionEngine::Paged).build();
        assert_eq!(paged.alloc_slice_fill_copy(1 << 20, 1u8).len(), 1 << 20);
        let region = Region::builder().reserve(1 << 30).engine(explicit).build();
        region.ensure(1 << 20).unwrap();
        // SAFETY: so much is committed, and nobody else's.
        unsafe { region.as_ptr().write_bytes(1, 1 << 20) };
        let heap = Heap::new();
        let block = heap.allocate(BYTES, 16).unwrap();
        // SAFETY: the block has so many bytes.
        unsafe { block.as_ptr().write_bytes(1, BYTES) };
        assert_eq!(action(), libc::SIG_DFL, "nobody installed a handler");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_handler_is_installed_for_paged_regions() {
    if support::reserves() {
        support::child("no handler").assert_success();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_handler_is_installed_for_what_commits_by_request() {
    support::child("commits by request").assert_success();
}
