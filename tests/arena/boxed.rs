//! `ArenaBox`: a value in an arena that is dropped, once.

use highwater::{Arena, ArenaBox, SharedArena, arena_box};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Counts its drops, and panics in them when it is told to.
struct Counted<'c> {
    drops: &'c Cell<u32>,
    panics: bool,
    number: u32,
}

impl<'c> Counted<'c> {
    fn new(drops: &'c Cell<u32>, number: u32) -> Self {
        Counted { drops, panics: false, number }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
        if self.panics {
            panic!("in drop");
        }
    }
}

impl Debug for Counted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.number)
    }
}

#[test]
fn a_value_is_dropped_with_its_box_and_not_with_the_arena() {
    let drops = Cell::new(0);
    {
        let arena = Arena::new();
        drop(arena.alloc_box(Counted::new(&drops, 1)));
        assert_eq!(drops.get(), 1);
        arena.alloc(Counted::new(&drops, 2));
        assert_eq!(drops.get(), 1);
        let held = arena.alloc_box(Counted::new(&drops, 3));
        assert_eq!((held.number, drops.get()), (3, 1));
        std::mem::forget(arena.alloc_box(Counted::new(&drops, 4)));
    }
    assert_eq!(drops.get(), 2);
}

#[test]
fn whoever_takes_the_value_drops_it() {
    let drops = Cell::new(0);
    let arena = Arena::new();
    let leaked = arena.alloc_box(Counted::new(&drops, 1)).leak();
    leaked.number += 1;
    let referred = arena.alloc_box(Counted::new(&drops, 3)).into_ref();
    assert_eq!((leaked.number, referred.number, drops.get()), (2, 3, 0));
    let inner = arena.alloc_box(Counted::new(&drops, 4)).into_inner();
    assert_eq!(drops.get(), 0);
    drop(inner);
    assert_eq!(drops.get(), 1);
    let raw = arena.alloc_box(Counted::new(&drops, 5)).into_raw();
    assert_eq!(drops.get(), 1);
    // SAFETY: the pointer is that box's, and this is the only box of it again.
    let again = unsafe { ArenaBox::from_raw(raw) };
    assert_eq!(again.number, 5);
    drop(again);
    assert_eq!(drops.get(), 2);
    // SAFETY: what was leaked is used through its box only from here on.
    drop(unsafe { ArenaBox::from_raw(leaked) });
    assert_eq!(drops.get(), 3);
}

#[test]
fn a_panic_in_drop_drops_the_rest_of_a_slice_and_nothing_twice() {
    let drops = Cell::new(0);
    let arena = Arena::new();
    let counted = |number| Counted { drops: &drops, panics: number == 3, number };
    let slice = arena.alloc_box_iter((0..10).map(counted));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(slice))).is_err());
    assert_eq!(drops.get(), 10);
    let one = arena.alloc_box(counted(3));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(one))).is_err());
    assert_eq!(drops.get(), 11);
    // While a panic unwinds, boxes are dropped like everything else.
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _held = arena.alloc_box(counted(1));
        panic!("elsewhere");
    }));
    assert!(unwound.is_err());
    assert_eq!((drops.get(), *arena.alloc(7)), (12, 7));
}

#[test]
fn trait_objects_slices_and_closures() {
    let drops = Cell::new(0);
    let arena = Arena::new();
    let shown: ArenaBox<'_, dyn Display> = arena_box!(arena.alloc_box(String::from("shown")) => dyn Display);
    assert_eq!(format!("{shown:>6}"), " shown");
    let numbers = arena_box!(arena.alloc_box([1u8, 2, 3]) => [u8]);
    assert_eq!(numbers[1..], [2, 3]);
    assert_eq!(*arena.alloc_box([4, 5]).into_slice(), [4, 5]);
    let call = arena_box!(arena.alloc_box(|n: u32| n + numbers.len() as u32) => dyn Fn(u32) -> u32 + '_);
    assert_eq!(call(1), 4);
    let mut text = String::new();
    let mut call_mut = arena_box!(arena.alloc_box(|c: char| text.push(c)) => dyn FnMut(char) + '_);
    call_mut('x');
    call_mut('y');
    drop(call_mut);
    assert_eq!(text, "xy");
    // An object is dropped as what it is, and moves on to other types.
    trait Numbered: Debug {
        fn number(&self) -> u32;
    }
    impl Numbered for Counted<'_> {
        fn number(&self) -> u32 {
            self.number
        }
    }
    let object = arena_box!(arena.alloc_box(Counted::new(&drops, 8)) => dyn Numbered + '_);
    assert_eq!((object.number(), drops.get()), (8, 0));
    let above = arena_box!(object => dyn Debug + '_);
    assert_eq!((format!("{above:?}"), drops.get()), ("#8".to_owned(), 0));
    drop(above);
    assert_eq!(drops.get(), 1);
    // A box within a box is one value of the outer.
    let nested = arena_box!(arena.alloc_box(arena.alloc_box(Counted::new(&drops, 9))) => dyn Debug + '_);
    assert_eq!(format!("{nested:?}"), "#9");
    drop(nested);
    assert_eq!(drops.get(), 2);
    let same = arena_box!(arena.alloc_box(1u8) => _);
    assert_eq!(*same, 1u8);
}

#[test]
fn objects_of_any_type_go_back_to_what_they_were() {
    let arena = Arena::new();
    let mut objects: Vec<ArenaBox<'_, dyn Any>> = Vec::new();
    objects.push(arena_box!(arena.alloc_box(1u32) => dyn Any));
    objects.push(arena_box!(arena.alloc_box(String::from("two")) => dyn Any));
    assert_eq!(objects[0].downcast_ref::<u32>(), Some(&1));
    objects[1].downcast_mut::<String>().unwrap().push('!');
    assert_eq!(objects[1].downcast_ref::<String>().unwrap(), "two!");
    assert!(objects[1].downcast_ref::<u32>().is_none());
}

/// As the value compares, hashes, formats, iterates, waits and fails, so does its box.
#[test]
fn it_stands_for_its_value() {
    let arena = Arena::new();
    let (one, two) = (arena.alloc_box(1), arena.alloc_box(2));
    assert!(one < two && one == arena.alloc_box(1) && one.max(two) == arena.alloc_box(2));
    let hash = |value: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        value(&mut hasher);
        hasher.finish()
    };
    assert_eq!(hash(&|h| arena.alloc_box("k").hash(h)), hash(&|h| "k".hash(h)));
    assert_eq!(format!("{:?} {}", arena.alloc_box("d"), arena.alloc_box("d")), "\"d\" d");
    let value = arena.alloc_box(5u64);
    assert_eq!(format!("{value:p}"), format!("{:p}", &*value));
    let mut range = arena_box!(arena.alloc_box(0..5) => dyn DoubleEndedIterator<Item = i32>);
    assert_eq!(
        (range.next(), range.next_back(), range.nth(1), range.size_hint()),
        (Some(0), Some(4), Some(2), (1, Some(1)))
    );
    assert_eq!((range.by_ref().collect::<Vec<_>>(), arena.alloc_box(0..3).len()), (vec![3], 3));
    #[derive(Debug)]
    struct Outer(std::fmt::Error);
    impl Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = arena_box!(arena.alloc_box(Outer(std::fmt::Error)) => dyn Error);
    assert!(error.to_string() == "outer" && error.source().is_some());
    let future = arena_box!(arena.alloc_box(std::future::ready(6)) => dyn Future<Output = i32> + Unpin);
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(6));
    // A value that may move can be pinned, as a reference to it can.
    let mut unpin = arena.alloc_box(std::future::ready(7));
    let pinned: Pin<&mut std::future::Ready<i32>> = Pin::new(&mut *unpin);
    assert_eq!(pinned.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(7));
}

#[test]
fn iterators_that_panic_or_allocate() {
    let drops = Cell::new(0);
    let arena = Arena::new();
    let kept = arena.alloc_box(String::from("kept"));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        arena
            .alloc_box_iter(
                (0..100).map(|n| if n < 60 { Counted::new(&drops, n) } else { panic!("no more") }),
            )
            .len()
    }));
    assert!(panicked.is_err());
    assert_eq!(drops.get(), 0, "leaked, as the documentation says");
    // Each value allocates where the slice grows, so that it moves again and again.
    let slice = arena.alloc_box_iter((0..3000u32).map(|n| {
        arena.alloc([n; 3]);
        (Counted::new(&drops, n), arena.alloc_box(n))
    }));
    assert!(
        slice
            .iter()
            .enumerate()
            .all(|(i, (counted, boxed))| counted.number == i as u32 && **boxed == i as u32)
    );
    drop(slice);
    assert_eq!((drops.get(), kept.as_str()), (3000, "kept"));
    let error = arena.alloc_box_iter(std::iter::empty::<Counted<'_>>());
    assert!(error.is_empty());
}

#[test]
fn values_of_no_size_and_of_large_alignment() {
    struct Nothing<'c>(&'c Cell<u32>);
    #[repr(align(4096))]
    struct Page<'c>(Counted<'c>);
    thread_local!(static UNITS: Cell<u32> = const { Cell::new(0) });
    struct Unit;
    impl Drop for Unit {
        fn drop(&mut self) {
            UNITS.set(UNITS.get() + 1);
        }
    }
    impl Drop for Nothing<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 100);
        }
    }
    let drops = Cell::new(0);
    let arena = Arena::new();
    let used = arena.allocated_bytes();
    drop(arena.alloc_box(Unit));
    drop(arena.alloc_box_iter((0..1000).map(|_| Unit)));
    drop(arena_box!(arena.alloc_box([Unit, Unit]) => [Unit]));
    arena.alloc_box(Unit).into_inner();
    assert_eq!((UNITS.get(), arena.allocated_bytes()), (1004, used));
    let page = arena.alloc_box(Page(Counted::new(&drops, 1)));
    assert!(std::ptr::from_ref(&*page).addr().is_multiple_of(4096) && page.0.number == 1);
    drop(page);
    drop(arena.alloc_box(Nothing(&drops)));
    assert_eq!(drops.get(), 101);
}

#[test]
fn no_memory_drops_the_value() {
    let drops = Cell::new(0);
    let arena = Arena::builder().reserve(1 << 20).limit(8).build();
    assert!(arena.try_alloc_box(Counted::new(&drops, 1)).is_err());
    assert_eq!(drops.get(), 1);
    assert!(catch_unwind(AssertUnwindSafe(|| arena.alloc_box(Counted::new(&drops, 2)).number)).is_err());
    assert_eq!((drops.get(), arena.allocated_bytes()), (2, 0));
    assert!(arena.try_alloc_box_iter((0..3).map(|n| Counted::new(&drops, n))).is_err());
    assert_eq!(*arena.try_alloc_box(5u64).unwrap(), 5);
}

#[test]
fn boxes_of_scopes_and_of_shared_arenas() {
    let drops = Cell::new(0);
    let mut arena = Arena::new();
    let mut root = arena.scope();
    let outer = root.alloc_box(Counted::new(&drops, 1));
    {
        let inner = root.scope();
        let boxed = inner.alloc_box(Counted::new(&drops, 2));
        assert_eq!((outer.number, boxed.number), (1, 2));
    }
    assert_eq!(drops.get(), 1);
    drop(outer);
    assert_eq!(drops.get(), 2);
    let shared = SharedArena::new();
    let count = Arc::new(());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|thread| {
                let (shared, count) = (&shared, &count);
                scope.spawn(move || {
                    let local = shared.local();
                    let list = local.alloc_box_iter((0..1000).map(|i| (i * thread, Arc::clone(count))));
                    (shared.alloc_box((thread, Arc::clone(count))), list)
                })
            })
            .collect();
        for (thread, worker) in workers.into_iter().enumerate() {
            let (one, list) = worker.join().unwrap(); // a box goes where its value may go
            assert!(one.0 == thread && list.iter().enumerate().all(|(i, (n, _))| *n == i * thread));
        }
    });
    assert_eq!(Arc::strong_count(&count), 1);
}

/// Boxes own each other in a graph, and a list of a hundred thousand is taken apart without recursion.
#[test]
fn boxes_in_boxes() {
    struct Node<'a> {
        next: RefCell<Option<ArenaBox<'a, Node<'a>>>>,
        count: Rc<()>,
    }
    let count = Rc::new(());
    let arena = Arena::new();
    let mut head = arena.alloc_box(Node { next: RefCell::new(None), count: Rc::clone(&count) });
    for _ in 0..100_000 {
        head = arena.alloc_box(Node { next: RefCell::new(Some(head)), count: Rc::clone(&count) });
    }
    assert_eq!(Rc::strong_count(&head.count), 100_002);
    while let Some(next) = head.next.take() {
        head = next;
    }
    drop(head);
    assert_eq!(Rc::strong_count(&count), 1);
}
