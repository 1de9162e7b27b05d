//! Programs that try to get round a checked arena's guards, or to make them get in its own way.

use crate::support;
use highwater::guard::EventKind;
use highwater::{
    Arena, ArenaPool, Backing, DebugArena, Growth, GuardError, GuardMechanism, GuardPolicy, Region,
};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use support::raw::{page, put};
use support::{child, has_faults, reserves};

const MECHANISMS: [GuardMechanism; 2] = [GuardMechanism::Auto, GuardMechanism::Protect];

fn policy(mechanism: GuardMechanism) -> GuardPolicy {
    GuardPolicy::default().mechanism(mechanism)
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("an Upfront region", || upfront()),
    ("a forked child", shrink_in_a_forked_child),
    ("locked memory", locked),
];

/// A sink that comes back into the arena would be given the very block that is being placed.
#[test]
fn a_sink_cannot_use_the_arena_that_it_is_told_of() {
    if !reserves() {
        return;
    }
    thread_local!(static ARENA: RefCell<Option<&'static DebugArena>> = const { RefCell::new(None) });
    static TRIED: AtomicUsize = AtomicUsize::new(0);
    static GOT: AtomicUsize = AtomicUsize::new(0);
    let arena = Arena::builder().checked().log_to(|_| {
        let arena = ARENA.with_borrow(|arena| *arena);
        if let Some(arena) = arena {
            TRIED.fetch_add(1, Relaxed);
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| arena.alloc([1u8; 24]))).is_ok() {
                GOT.fetch_add(1, Relaxed);
            }
        }
    });
    let arena: &'static DebugArena = Box::leak(Box::new(arena.build()));
    ARENA.set(Some(arena));
    let blocks: Vec<_> = (0..10u8).map(|i| arena.alloc([i; 24])).collect();
    ARENA.set(None);
    assert!(TRIED.load(Relaxed) >= 10 && GOT.load(Relaxed) == 0);
    assert!(blocks.iter().zip(0..10).all(|(block, i)| block.iter().all(|&byte| byte == i)));
    assert_eq!(arena.allocated_bytes(), 240);
}

#[test]
fn a_sink_that_panics_breaks_nothing() {
    static PANICS: AtomicBool = AtomicBool::new(true);
    let builder = Arena::builder().checked().log_to(|event| {
        if PANICS.load(Relaxed) {
            panic!("{:?}", event.what);
        }
    });
    let mut arena = builder.build();
    let kept: Vec<_> = (0..20).map(|i| arena.alloc_iter(i..i + 100)).collect();
    assert!(kept.iter().enumerate().all(|(i, values)| values.iter().copied().eq(i..i + 100)));
    arena.reset();
    arena.alloc_str("goes on");
    PANICS.store(false, Relaxed);
    assert_eq!(arena.allocated_bytes(), 8);
}

#[test]
fn a_range_that_is_refused_leaves_no_trace() {
    for mechanism in MECHANISMS {
        let mut arena = Arena::builder().reserve(1 << 20).guard(policy(mechanism)).checked().build();
        assert!(matches!(arena.guard_at(1..5), Err(GuardError::NotPages { .. })));
        assert!(matches!(arena.guard_at(0..1 << 60), Err(GuardError::Outside { .. })));
        assert!(arena.try_alloc([1u8; 100]).is_ok());
        assert_eq!(arena.remaining(), (1 << 20) - 104);
    }
}

#[test]
fn guards_that_overlap_are_guarded_where_either_is() {
    if !reserves() {
        return;
    }
    let page = page();
    for mechanism in MECHANISMS {
        let guard = policy(mechanism).at(page..4 * page).at(3 * page..8 * page).at(2 * page..3 * page);
        let arena = Arena::builder().reserve(1 << 20).guard(guard).checked().build();
        let base = arena.region().as_ptr().addr();
        for _ in 0..20 {
            let at = (arena.alloc(7u64) as *const u64).addr() - base;
            assert!(!(page..8 * page).contains(&at), "{at:#x} is in a guard");
        }
    }
}

#[test]
fn a_guard_does_not_reach_the_next_borrower() {
    let pool = ArenaPool::new();
    let first = {
        let mut arena = pool.get();
        arena.guard_at(0..page()).unwrap();
        assert!(arena.try_alloc(1u8).is_err());
        arena.id()
    };
    assert_eq!(pool.idle(), 0);
    let second = pool.get();
    assert_ne!(second.id(), first);
    assert_eq!(*second.alloc(5), 5);
}

/// A region that is accessible from the start would be so again after trim.
#[test]
fn a_checked_arena_over_an_upfront_region_stays_closed_when_trimmed() {
    if has_faults() {
        child("an Upfront region").assert_signal(libc::SIGSEGV);
    }
}

fn upfront() {
    let region = Region::builder().reserve(1 << 20).growth(Growth::Upfront).build();
    let mut arena = DebugArena::from(region);
    arena.trim(0);
    let block = arena.alloc(7u64) as *mut u64;
    assert_eq!(arena.allocated_bytes(), 8);
    // SAFETY: deliberately not: this is what the guard is there for.
    unsafe { block.add(1).write_volatile(1) };
}

#[test]
fn blocks_that_are_freed_do_not_fill_the_region() {
    if !reserves() {
        return;
    }
    for (mechanism, generations) in MECHANISMS.into_iter().zip([1, 0]) {
        let guard = policy(mechanism).generations(generations);
        let arena = Arena::builder().guard(guard).checked().build();
        let kept = arena.alloc(1u64);
        for i in 0..20_000u64 {
            // An initialiser that fails gives its block back.
            let failed = arena.alloc_try_with(|| Err::<[u64; 8], u64>(i));
            assert_eq!(failed.unwrap_err(), i);
            #[cfg(feature = "allocator-api2")]
            drop(allocator_api2::boxed::Box::new_in([i; 8], &arena));
        }
        assert_eq!((*kept, arena.allocated_bytes()), (1, 8));
        assert!(arena.committed_bytes() < 64 << 20, "{} bytes", arena.committed_bytes());
    }
}

/// A refused allocation must not cost more and more, nor take the quarantine with it.
#[test]
fn what_cannot_fit_is_refused_at_once() {
    if !reserves() {
        return;
    }
    let mut arena = Arena::builder().reserve(16 << 20).checked().build();
    for i in 0..2_000u32 {
        arena.alloc(i);
    }
    arena.reset();
    for _ in 0..200 {
        assert!(arena.try_alloc_uninit_slice::<u8>(1 << 40).is_err());
    }
    assert!(arena.try_alloc(1u64).is_ok());
}

#[test]
fn a_forked_child_of_a_file_backed_arena_comes_to_no_harm() {
    if has_faults() && support::files::directory().is_some() {
        child("a forked child").assert_success();
    }
}

fn shrink_in_a_forked_child() {
    let dir = support::files::directory().unwrap();
    for mechanism in MECHANISMS {
        let builder = Arena::builder().backing(Backing::Temp(dir.path().into())).guard(policy(mechanism));
        let mut arena = builder.checked().build();
        arena.alloc_str("the parent's");
        let status = support::raw::forked(|| {
            assert!(arena.try_alloc(1u64).is_err());
            arena.reset();
            assert!(arena.try_alloc(1u64).is_err());
        });
        assert_eq!(status, 0);
        assert_eq!(arena.alloc_str("still here"), "still here");
    }
}

/// Locked memory cannot be marked; what `Auto` does then is to protect.
#[test]
fn memory_that_is_locked_later_is_guarded_all_the_same() {
    if !has_faults() {
        return;
    }
    let ended = child("locked memory");
    if ended.stdout.contains("not allowed") {
        return support::skip("mlockall is not allowed here (not root)");
    }
    ended.assert_signal(libc::SIGSEGV);
    assert!(ended.stderr.contains("overflow by 1 byte"), "{}", ended.stderr);
}

fn locked() {
    let mut before = Arena::builder().reserve(1 << 20).checked().build();
    before.alloc([1u8; 100]);
    let mut plain = Region::builder().reserve(1 << 20).head(0).build();
    // SAFETY: mlockall has no preconditions.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
        println!("not allowed");
        return;
    }
    // SAFETY: nobody uses the region.
    unsafe { plain.guard_at(4 * page()..5 * page()).unwrap() };
    plain.ensure(16 * page()).unwrap();
    put(&plain, 5 * page(), 1);
    before.reset();
    let old = before.alloc([2u8; 100]);
    assert_eq!(old[99], 2);
    let arena = Arena::builder().reserve(1 << 20).head(0).checked().build();
    let block = arena.alloc(3u64) as *mut u64;
    // SAFETY: deliberately not.
    unsafe { block.add(1).write_volatile(1) };
}

#[test]
fn degraded_guards_leave_mappings_to_the_rest() {
    if !has_faults() {
        return;
    }
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    if most.trim().parse::<usize>().unwrap() > 200_000 {
        return support::skip("this system allows more mappings than the test would use");
    }
    static DEGRADED: AtomicUsize = AtomicUsize::new(0);
    let builder = Arena::builder().guard(policy(GuardMechanism::Protect)).checked().log_to(|event| {
        if let EventKind::Degraded { .. } = event.what {
            DEGRADED.fetch_add(1, Relaxed);
        }
    });
    let mut arena = builder.build();
    for round in 0..3 {
        for i in 0..40_000u32 {
            arena.alloc(i);
        }
        let told = DEGRADED.load(Relaxed);
        assert!(told > 0, "guards are scarce by now");
        arena.reset();
        assert!(round == 0 || told == DEGRADED.load(Relaxed), "told once, not after every reset");
    }
    // The rest of the program has mappings left.
    std::thread::spawn(|| {}).join().unwrap();
}
