//! Pools, vectors and heaps.

use super::{LEFT, Outcome, Says, exhaust, exhaust_built, outcome, warm_up};
use highwater::{AppendVec, ArenaPool, GrowVec, Region, SharedVec, heap};
use std::io::Write;

#[test]
fn pools() {
    warm_up();
    let pool = ArenaPool::new();
    exhaust_built("a pool's first", || || outcome(pool.try_get()));
    drop(pool);
    let pool = ArenaPool::new();
    let held: Vec<_> = (0..10).map(|_| pool.get()).collect();
    LEFT.set(0);
    drop(held); // what the list has no memory for goes
    LEFT.set(usize::MAX);
    assert!(pool.idle() <= 10);
    exhaust_built("a pool", || || outcome(pool.try_get()));
    // The same of a thread's own.
    let scratch = highwater::scratch(&[]);
    LEFT.set(0);
    drop(scratch);
    LEFT.set(usize::MAX);
    assert_eq!(*highwater::scratch(&[]).alloc(1), 1);
}

#[test]
fn vectors() {
    warm_up();
    exhaust("capacity", || outcome(GrowVec::<u64>::try_with_capacity(100)));
    exhaust("max", || outcome(GrowVec::<u64>::try_with_max(100)));
    exhaust("reserve", || outcome(GrowVec::<u64>::new().try_reserve(100)));
    exhaust("reserve exact", || outcome(GrowVec::<u64>::new().try_reserve_exact(100)));
    exhaust("push", || outcome(GrowVec::<u64>::new().try_push(1)));
    exhaust("insert", || outcome(GrowVec::<u64>::new().try_insert(0, 1)));
    exhaust("extend", || outcome(GrowVec::<u64>::new().try_extend(0..1000)));
    exhaust("slice", || outcome(GrowVec::<u64>::new().try_extend_from_slice(&[1; 100])));
    exhaust("no size", || outcome(GrowVec::<()>::new().try_push(())));
    exhaust("builder", || outcome(GrowVec::<u64>::builder().name("vec").limit(800).try_build()));
    exhaust("append", || outcome(AppendVec::<u64>::new().try_push_pinned(1)));
    exhaust("append builder", || outcome(AppendVec::<u64>::builder().try_build()));
    exhaust("shared max", || outcome(SharedVec::<u64>::try_with_max(100)));
    exhaust("shared builder", || outcome(SharedVec::<u64>::builder().try_build()));
    exhaust("shared from a region", || {
        let region = Region::builder().reserve(1 << 20).try_build().map_err(Says::why)?;
        outcome(SharedVec::<u64>::try_from(region))
    });
    exhaust("shared from a vector", || outcome(SharedVec::<u64>::try_from(GrowVec::new())));
    let shared = SharedVec::<u64>::new();
    let mut vec = GrowVec::<u8>::new();
    vec.push(1);
    exhaust("more", || {
        outcome(shared.try_push(1))?;
        outcome(shared.try_push_pinned(1))?;
        outcome(vec.try_extend(std::iter::repeat_n(1, 100_000)))?;
        outcome(vec.ensure_committed())
    });
    // (std's errors of io have a text only where there is memory for it.)
    let mut full = GrowVec::<u8>::with_max(3);
    LEFT.set(0);
    let error = full.write(b"more").unwrap_err();
    LEFT.set(usize::MAX);
    assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
}

#[test]
fn heaps() {
    warm_up();
    let kinds: &[(&str, &dyn Fn() -> Outcome)] = &[
        ("general", &|| outcome(heap::Heap::builder().reserve(64 << 20).try_build())),
        ("blocks", &|| {
            outcome(heap::Heap::builder().reserve(64 << 20).policy(heap::Blocks::new()).try_build())
        }),
        ("stack", &|| {
            outcome(heap::Heap::builder().reserve(64 << 20).policy(heap::Stack::new()).try_build())
        }),
        ("bump", &|| outcome(heap::Heap::builder().reserve(64 << 20).policy(heap::Bump::new()).try_build())),
    ];
    kinds.iter().for_each(|(name, call)| exhaust(name, call));
    let heap = heap::Heap::builder().reserve(64 << 20).build();
    exhaust("blocks of a heap", || {
        let small = heap.allocate(100, 16).map_err(Says::why)?;
        let large = heap.allocate(10 << 20, 16).map_err(Says::why)?;
        // SAFETY: both are the heap's, and not used any more.
        unsafe { heap.deallocate(small).unwrap() };
        // SAFETY: as above.
        unsafe { heap.deallocate(large).unwrap() };
        Ok(())
    });
}
