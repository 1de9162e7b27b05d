//! Vectors that are appended to while they are read: by more threads than there are processors, through growth in small
//! steps, up to the end and beyond.

use highwater::{AppendVec, Builder, GrowVec, Growth, Region, SharedVec};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Barrier;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;

assert_impl_all!(GrowVec<Cell<u8>>: Send);
assert_impl_all!(GrowVec<u8>: Send, Sync, Unpin);
assert_impl_all!(AppendVec<Cell<u8>>: Send);
assert_impl_all!(SharedVec<u8>: Send, Sync, Unpin);
assert_impl_all!(SharedVec<Cell<u8>>: Send);
assert_impl_all!(highwater::Drain<'static, u8>: Send, Sync);
assert_impl_all!(highwater::IntoIter<u8>: Send, Sync);
assert_not_impl_any!(GrowVec<Cell<u8>>: Sync);
assert_not_impl_any!(GrowVec<Rc<u8>>: Send, Sync);
assert_not_impl_any!(AppendVec<u8>: Sync);
assert_not_impl_any!(AppendVec<Rc<u8>>: Send);
assert_not_impl_any!(SharedVec<Cell<u8>>: Sync);
assert_not_impl_any!(SharedVec<Rc<u8>>: Send, Sync);
// (Shared and not to be sent: what one thread pushes another would drop.)
assert_not_impl_any!(SharedVec<std::sync::MutexGuard<'static, u8>>: Send, Sync);
assert_not_impl_any!(highwater::Drain<'static, Rc<u8>>: Send);
assert_not_impl_any!(highwater::IntoIter<Rc<u8>>: Send);
assert_not_impl_any!(highwater::IntoIter<Cell<u8>>: Sync);

const THREADS: usize = 8;

/// A value that knows whether it is whole, of whom it is, and whether it was dropped once.
struct Event {
    thread: usize,
    n: usize,
    check: usize,
    dropped: AtomicUsize,
    drops: &'static AtomicUsize,
}

impl Event {
    fn new(thread: usize, n: usize, drops: &'static AtomicUsize) -> Self {
        Event { thread, n, check: !(thread * 1_000_003 + n), dropped: AtomicUsize::new(0), drops }
    }

    #[track_caller]
    fn assert_whole(&self) {
        assert_eq!(self.check, !(self.thread * 1_000_003 + self.n), "a value that is not written");
        assert_eq!(self.dropped.load(Relaxed), 0);
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        self.assert_whole();
        self.dropped.store(1, Relaxed);
        self.drops.fetch_add(1, Relaxed);
    }
}

fn counter() -> &'static AtomicUsize {
    Box::leak(Box::new(AtomicUsize::new(0)))
}

type Policy = fn(Builder<SharedVec<Event>>) -> Builder<SharedVec<Event>>;

fn policies() -> [(&'static str, Policy); 4] {
    [
        ("default", |builder| builder),
        ("small steps", |builder| builder.reserve(1 << 30).head(0).growth(Growth::Fixed(4096))),
        ("stress", |builder| builder.reserve(1 << 30).growth(Growth::Stress { seed: 11 })),
        ("upfront", |builder| builder.reserve(256 << 20).growth(Growth::Upfront)),
    ]
}

/// What is published: each value whole, each thread's in the order that it pushed them. Returns how many there are.
#[track_caller]
fn assert_prefix(events: &[Event], seen: usize) -> usize {
    assert!(events.len() >= seen, "it has shrunk from {seen} to {}", events.len());
    let mut next = [0; THREADS];
    for event in events {
        event.assert_whole();
        assert_eq!(event.n, next[event.thread], "of thread {}", event.thread);
        next[event.thread] += 1;
    }
    events.len()
}

/// Every thread pushes so many, by all calls; readers look meanwhile.
fn fill(vec: &SharedVec<Event>, each: usize, drops: &'static AtomicUsize) {
    let (done, start) = (AtomicBool::new(false), &Barrier::new(THREADS));
    thread::scope(|scope| {
        let readers = [(); 2].map(|()| {
            scope.spawn(|| {
                let (mut seen, mut rounds) = (0, 0);
                while !done.load(SeqCst) {
                    seen = assert_prefix(vec, seen);
                    assert!(vec.get(seen.wrapping_sub(1)).is_none_or(|last| vec[seen - 1].n == last.n));
                    rounds += 1;
                }
                rounds
            })
        });
        let pushers: Vec<_> = (0..THREADS)
            .map(|me| {
                scope.spawn(move || {
                    let mut last = None;
                    start.wait();
                    for n in 0..each {
                        let event = Event::new(me, n, drops);
                        let place = match (me + n) % 4 {
                            0 => Some(vec.push(event)),
                            1 => Some(vec.try_push(event).unwrap()),
                            2 => {
                                let event = vec.push_pinned(event);
                                assert_eq!((event.thread, event.n), (me, n));
                                None
                            }
                            _ => {
                                vec.try_push_pinned(event).unwrap().assert_whole();
                                None
                            }
                        };
                        assert!(place.is_none_or(|place| place < THREADS * each && Some(place) > last));
                        last = place.or(last);
                    }
                })
            })
            .collect();
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        done.store(true, SeqCst);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() < usize::MAX));
    });
    assert_eq!(vec.len(), THREADS * each, "everything that was pushed is published");
    assert_prefix(vec, THREADS * each);
}

#[test]
fn more_threads_than_processors_push_while_others_read() {
    for (name, policy) in policies() {
        let drops = counter();
        let mut vec = policy(SharedVec::builder()).build();
        let each = if name == "stress" { 1000 } else { 10_000 };
        fill(&vec, each, drops);
        let first = vec.as_ptr();
        // Again in the same memory: marks of before would publish what is not written.
        for round in 1..3 {
            vec.clear();
            assert_eq!((drops.load(SeqCst), vec.len()), (round * THREADS * each, 0), "{name}");
            fill(&vec, each, drops);
            assert_eq!(vec.as_ptr(), first);
        }
        let mut owned = vec.into_vec();
        assert_eq!((owned.as_ptr(), owned.len()), (first, THREADS * each), "{name}");
        assert_prefix(&owned, 0);
        drop(owned.drain(..THREADS * each / 2));
        owned.push(Event::new(0, 0, drops));
        drop(owned);
        assert_eq!(drops.load(SeqCst), 3 * THREADS * each + 1, "{name}");
    }
}

#[test]
fn dropped_as_it_is_every_value_is_dropped_once() {
    let drops = counter();
    let vec = SharedVec::builder().reserve(64 << 20).growth(Growth::Fixed(4096)).build();
    fill(&vec, 300, drops);
    drop(vec);
    assert_eq!(drops.load(SeqCst), THREADS * 300);
}

/// All threads run against the end at once, again and again.
#[test]
fn at_the_limit_every_place_is_taken_once_and_published() {
    for most in [1, 7, 100, 1000] {
        for round in 0..10 {
            let drops = counter();
            let vec = SharedVec::with_max(most);
            assert_eq!(vec.max_len(), most);
            let start = &Barrier::new(THREADS);
            let pushed: usize = thread::scope(|scope| {
                let pusher = |me: usize| {
                    let vec = &vec;
                    move || {
                        start.wait();
                        let (mut pushed, mut failed) = (0, 0);
                        while failed < 3 {
                            let event = Event::new(me, pushed, drops);
                            // A plain call fails by a panic, whose message is of no interest here.
                            let ok = match (me + round) % 2 {
                                0 => vec.try_push(event).is_ok(),
                                _ => catch_unwind(AssertUnwindSafe(|| vec.push(event))).is_ok(),
                            };
                            *(if ok { &mut pushed } else { &mut failed }) += 1;
                        }
                        pushed
                    }
                };
                let threads: Vec<_> = (0..THREADS).map(|me| scope.spawn(pusher(me))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!((pushed, vec.len()), (most, most));
            assert_prefix(&vec, most);
            drop(vec);
            assert_eq!(drops.load(SeqCst), most + 3 * THREADS);
        }
    }
}

#[test]
fn values_without_a_size_are_counted_by_all_threads() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Token;
    impl Drop for Token {
        fn drop(&mut self) {
            DROPS.fetch_add(1, SeqCst);
        }
    }
    let mut vec = SharedVec::<Token>::new();
    for round in 1..3 {
        thread::scope(|scope| {
            for me in 0..THREADS {
                let vec = &vec;
                scope.spawn(move || {
                    for n in 0..1000 {
                        let before = vec.len();
                        match (me + n) % 2 {
                            0 => _ = vec.push(Token),
                            _ => _ = vec.try_push_pinned(Token).unwrap(),
                        }
                        assert!(vec.as_slice().len() > before);
                    }
                });
            }
        });
        assert_eq!((vec.len(), DROPS.load(SeqCst)), (THREADS * 1000, (round - 1) * THREADS * 1000));
        vec.clear();
        assert_eq!((vec.len(), DROPS.load(SeqCst)), (0, round * THREADS * 1000));
    }
    vec.extend((0..5).map(|_| Token));
    assert_eq!((vec.into_vec().into_iter().count(), DROPS.load(SeqCst)), (5, 2 * THREADS * 1000 + 5));
}

/// A prefix that was borrowed stays as it is, and so does a reference, for as long as the vector lives.
#[test]
fn more_values_without_a_size_than_can_be_counted_are_refused() {
    let mut units = GrowVec::<()>::new();
    // SAFETY: a value without a size has nothing to initialise, and there is room for any number of them.
    unsafe { units.set_len(isize::MAX as usize + 1) };
    assert!(SharedVec::try_from(units).is_err());
    let mut units = GrowVec::<()>::new();
    // SAFETY: the same.
    unsafe { units.set_len(isize::MAX as usize) };
    let units = SharedVec::try_from(units).unwrap();
    assert!(units.try_push(()).is_err());
    assert_eq!(units.len(), isize::MAX as usize);
}

#[test]
fn slices_and_references_outlive_growth_on_other_threads() {
    let vec = SharedVec::<[u64; 8]>::builder().reserve(256 << 20).growth(Growth::Fixed(4096)).build();
    let first = vec.push_pinned([1; 8]);
    let prefix = vec.as_slice();
    thread::scope(|scope| {
        for me in 0..THREADS as u64 {
            let vec = &vec;
            scope.spawn(move || (0..5000).for_each(|n| assert_eq!(vec.push_pinned([me + n; 8])[7], me + n)));
        }
    });
    assert_eq!((first, prefix.len(), prefix[0]), (&[1; 8], 1, [1; 8]));
    assert_eq!((vec.len(), &raw const vec[0]), (THREADS * 5000 + 1, &raw const *first));
}

#[test]
fn what_std_traits_make_of_a_shared_vector() {
    let mut vec: SharedVec<u32> = (0..5).collect();
    vec.extend([5, 6]);
    vec.as_mut_slice().reverse();
    assert_eq!(
        (format!("{vec:?}"), vec.first(), vec.iter().sum()),
        ("[6, 5, 4, 3, 2, 1, 0]".into(), Some(&6), 21)
    );
    assert!((&vec).into_iter().eq(&[6, 5, 4, 3, 2, 1, 0]));
    assert!(vec.into_iter().rev().eq(0..7));
    let vec =
        SharedVec::<u32>::try_from(Region::builder().name("own").reserve(1 << 20).limit(10).build()).unwrap();
    assert_eq!((vec.max_len(), vec.push(3), vec.push(4), vec.try_push(5).is_err()), (2, 0, 1, true));
    assert_eq!(SharedVec::<u8>::default().len(), 0);
    assert!(vec.region().is_some_and(|region| format!("{region:?}").contains("own")));
}

#[test]
fn references_into_an_append_vector_stay_through_a_million_pushes() {
    let vec = AppendVec::new();
    let mut kept: Vec<(usize, &u64, &[u64])> = Vec::new();
    for n in 0..1_000_000usize {
        let value = vec.push_pinned(n as u64);
        if n.is_power_of_two() || n % 99_991 == 0 {
            kept.push((n, value, vec.as_slice()));
        }
    }
    for &(n, value, slice) in &kept {
        assert_eq!((*value, slice.len(), slice[n]), (n as u64, n + 1, n as u64));
        assert!(std::ptr::eq(value, &vec[n]) && std::ptr::eq(slice.as_ptr(), vec.as_ptr()));
    }
    assert!(kept.last().unwrap().2.iter().zip(0..).all(|(&value, n)| value == n));
    let owned = GrowVec::from(vec);
    assert!(owned.iter().zip(0..).all(|(&value, n)| value == n));
    assert_eq!(owned.len(), 1_000_000);
}

#[test]
fn an_append_vector_is_read_and_written_in_between() {
    let drops = counter();
    let mut vec = AppendVec::builder().reserve(64 << 20).head(0).growth(Growth::Fixed(4096)).build();
    for n in 0..1000 {
        vec.push_pinned(Event::new(0, n, drops));
        // Pushing while iterating: the iterator ends where the vector did.
        assert_eq!(vec.iter().inspect(|event| event.assert_whole()).count(), n + 1);
    }
    vec.as_mut_slice().swap(0, 999);
    assert_eq!(vec.as_mut_vec().pop().map(|event| event.n), Some(0));
    vec.extend((0..3).map(|n| Event::new(1, n, drops)));
    let vec = AppendVec::from(vec.into_vec());
    let pushed: Vec<&Event> =
        vec.iter().take(5).map(|event| vec.push_pinned(Event::new(2, event.n, drops))).collect();
    assert_eq!(pushed.iter().map(|event| event.n).collect::<Vec<_>>(), [999, 1, 2, 3, 4]);
    assert_eq!((vec.len(), (&vec).into_iter().count(), drops.load(SeqCst)), (1007, 1007, 1));
    drop(vec.into_iter().skip(2).step_by(100).collect::<AppendVec<_>>());
    assert_eq!(drops.load(SeqCst), 1008);
}

#[test]
fn a_vector_moves_to_another_thread_with_its_values() {
    let mut vec: GrowVec<String> = (0..1000).map(|n| n.to_string()).collect();
    let append = AppendVec::from(vec.split_off(500));
    let (first, second) = (vec.as_ptr().addr(), append.as_ptr().addr());
    let threads = [
        thread::spawn(move || {
            vec.push("one".into());
            (vec.as_ptr().addr(), vec.len())
        }),
        thread::spawn(move || {
            append.push_pinned("one".into());
            (append.as_ptr().addr(), append.len())
        }),
    ];
    assert_eq!(threads.map(|thread| thread.join().unwrap()), [(first, 501), (second, 501)]);
}
