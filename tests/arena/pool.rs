//! Arenas kept warm: the pool and a thread's scratch arenas.

use highwater::{Arena, ArenaPool, Conflict, Monitor, Scope, scratch};
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

#[test]
fn an_arena_comes_back_reset_and_without_its_limit() {
    let pool = ArenaPool::new();
    assert_eq!(pool.idle(), 0);
    let (id, first) = {
        let arena = pool.get();
        let first = std::ptr::from_mut(arena.alloc(1u64)).addr();
        arena.set_allocation_limit(Some(8));
        arena.set_allocation_limit(Some(100));
        (arena.id(), first)
    };
    assert_eq!(pool.idle(), 1);
    let arena = pool.get();
    assert_eq!((arena.id(), arena.allocated_bytes(), arena.allocation_limit()), (id, 0, None));
    assert_eq!((std::ptr::from_mut(arena.alloc(2u64)).addr(), pool.idle()), (first, 0));
}

#[test]
fn arenas_that_are_out_at_the_same_time_are_different() {
    let pool = ArenaPool::default();
    let arenas: Vec<_> = (0..20).map(|_| pool.get()).collect();
    let ids: HashSet<_> = arenas.iter().map(|arena| arena.id()).collect();
    assert_eq!(ids.len(), 20);
    let monitors: Vec<Monitor> = arenas.iter().map(|arena| arena.monitor()).collect();
    drop(arenas);
    assert_eq!(pool.idle(), 16, "no more than that wait");
    assert_eq!(monitors.iter().filter(|monitor| monitor.is_live()).count(), 16);
    drop(pool);
    assert_eq!(monitors.iter().filter(|monitor| monitor.is_live()).count(), 0);
}

#[test]
fn a_waiting_arena_keeps_little_memory() {
    let pool = ArenaPool::new();
    let monitor = {
        let arena = pool.get();
        arena.commit_ahead(64 << 20).unwrap();
        arena.monitor()
    };
    let stats = monitor.stats().expect("it waits");
    assert!(stats.committed <= 16 << 20 && stats.peak_committed >= 64 << 20, "{stats:?}");
}

#[test]
fn threads_share_a_pool() {
    static POOL: ArenaPool = ArenaPool::new();
    let out = Mutex::new(HashSet::new());
    std::thread::scope(|threads| {
        for thread in 0..4u64 {
            let out = &out;
            threads.spawn(move || {
                for round in 0..200u64 {
                    let arena = POOL.try_get().unwrap();
                    assert!(out.lock().unwrap().insert(arena.id()), "handed out twice");
                    let values = arena.alloc_slice_fill_copy(100, thread << 32 | round);
                    let other = POOL.scratch(&[&arena]);
                    assert_ne!(other.id(), arena.id());
                    other.alloc([u64::MAX; 100]);
                    assert!(values.iter().all(|&n| n == thread << 32 | round));
                    assert!(out.lock().unwrap().remove(&arena.id()));
                }
            });
        }
    });
    assert!((1..=8).contains(&POOL.idle()));
}

#[test]
fn a_guard_moves_to_another_thread() {
    let pool = ArenaPool::new();
    let arena = pool.get();
    let text = arena.alloc_str("from here");
    assert_eq!(text, "from here");
    std::thread::scope(|threads| {
        threads.spawn(move || assert_eq!(arena.alloc_str("and there"), "and there"));
    });
    assert_eq!(pool.idle(), 1);
    let scratch = scratch(&[]);
    std::thread::spawn(move || drop(scratch)).join().unwrap();
}

#[test]
fn a_panic_gives_the_arena_back() {
    let pool = ArenaPool::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let arena = pool.get();
        arena.set_allocation_limit(Some(8));
        arena.alloc([0u64; 2]);
    }));
    assert!(panicked.is_err());
    assert_eq!((pool.idle(), pool.get().alloc([1u64; 2])), (1, &mut [1; 2]));
}

#[test]
fn an_arena_put_in_a_guards_place_is_not_kept_for_strangers() {
    let pool = ArenaPool::new();
    let mut mine = Arena::builder().name("mine").limit(4096).build();
    let (id, monitor) = (mine.id(), mine.monitor());
    {
        let mut pooled = pool.get();
        std::mem::swap(&mut *pooled, &mut mine);
        pooled.alloc(1u64);
        assert_eq!(pooled.id(), id);
    }
    assert!(!monitor.is_live());
    assert_eq!((pool.idle(), *mine.alloc(2u64)), (0, 2));
    let mut own = Arena::builder().limit(8).build();
    let monitor = own.monitor();
    std::mem::swap(&mut *scratch(&[]), &mut own);
    assert!(!monitor.is_live());
    assert_eq!(scratch(&[]).alloc([3u64; 2]), &[3; 2]);
}

fn nested<'a>(out: &Scope<'a>, depth: u32, seen: &mut Vec<u64>) -> &'a [u32] {
    let mut mine = scratch(&[out]);
    seen.push(mine.id());
    let scope = mine.scope();
    let own = scope.alloc_slice_fill_copy(100, depth);
    let below: &[u32] = if depth == 0 { &[] } else { nested(&scope, depth - 1, seen) };
    assert!(own.iter().all(|&n| n == depth));
    out.alloc_iter(below.iter().copied().chain([depth]))
}

#[test]
fn scratch_arenas_nest() {
    let mut arena = Arena::new();
    let root = arena.scope();
    let mut seen = Vec::new();
    assert_eq!(nested(&root, 5, &mut seen), [0, 1, 2, 3, 4, 5]);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 6, "each call has its own");
    let mut again = Vec::new();
    nested(&root, 5, &mut again);
    let old: HashSet<_> = seen.into_iter().collect();
    assert!(again.iter().all(|id| old.contains(id)), "and they are used again");
}

#[test]
fn conflicts_of_every_kind_are_named() {
    let pool = ArenaPool::new();
    let (pooled, other) = (pool.get(), scratch(&[]));
    let mut arena = Arena::<64>::with_min_align();
    let scope = arena.scope();
    let mine = scratch(&[&pooled, &other, &scope, &*pooled]);
    for conflict in [pooled.region_id(), other.region_id(), scope.region_id()] {
        assert_ne!(conflict, mine.region_id());
    }
}

#[test]
fn a_conflict_that_lies_is_caught() {
    struct Waiting(u64);
    impl Conflict for Waiting {
        fn region_id(&self) -> u64 {
            self.0
        }
    }
    std::thread::spawn(|| {
        let id = scratch(&[]).id();
        // The arena with that number waits, so it is the next one: the list is checked all the same.
        assert!(catch_unwind(|| scratch(&[&Waiting(id)]).id()).is_err());
        assert_eq!(*scratch(&[]).alloc(1), 1);
    })
    .join()
    .unwrap();
}

/// Uses a scratch arena while its thread is torn down.
struct Late;

static LATE: AtomicU32 = AtomicU32::new(0);

impl Drop for Late {
    fn drop(&mut self) {
        let (first, second) = (scratch(&[]), scratch(&[]));
        assert_ne!(first.id(), second.id());
        assert_eq!(first.alloc_str("late").len() + second.alloc_slice_fill_copy(9, 1u8).len(), 13);
        LATE.fetch_add(1, SeqCst);
    }
}

#[test]
fn scratch_works_in_a_threads_last_moments() {
    thread_local!(static BEFORE: RefCell<Option<Late>> = const { RefCell::new(None) });
    thread_local!(static AFTER: RefCell<Option<Late>> = const { RefCell::new(None) });
    std::thread::spawn(|| {
        // One is destroyed before the thread's list of arenas is, the other after it.
        BEFORE.with(|late| late.replace(Some(Late)));
        drop(scratch(&[]));
        AFTER.with(|late| late.replace(Some(Late)));
    })
    .join()
    .unwrap();
    assert_eq!(LATE.load(SeqCst), 2);
}

#[test]
fn an_arena_that_was_swapped_into_a_guard_is_not_handed_to_strangers() {
    let pool = ArenaPool::new();
    let mut tiny = Arena::builder().reserve(1 << 20).build();
    {
        let mut pooled = pool.get();
        std::mem::swap(&mut *pooled, &mut tiny);
    }
    assert_eq!(pool.idle(), 0);
    assert!(pool.get().reserved_bytes() > 1 << 20);
    assert_eq!(pool.idle(), 1);
}
