//! Panics in every call that a vector makes to its user, at every place: each value is dropped once, and the vector is
//! usable afterwards.

use crate::body;
use body::{Counted, Hint, Lying, Unit, arm, begin, call, disarm, living};
use highwater::{AppendVec, GrowVec, SharedVec};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Vector = GrowVec<Counted>;

/// Numbers with some that follow each other and are equal.
fn numbers() -> impl Iterator<Item = u64> {
    [1, 1, 2, 3, 3, 3, 4, 5, 6, 6, 7, 8].into_iter()
}

fn made() -> Vector {
    numbers().map(Counted::new).collect()
}

/// The vector does what vectors do, and has values only.
#[track_caller]
fn assert_usable(vec: &mut Vector) {
    vec.iter().for_each(Counted::assert_lives);
    assert!(living() >= vec.len() as isize);
    let (len, first) = (vec.len(), vec.first().map(|first| first as *const Counted));
    vec.push(Counted::new(100));
    vec.insert(0, Counted::new(101));
    assert_eq!((vec.len(), vec[0].n, vec[len + 1].n), (len + 2, 101, 100));
    assert!(first.is_none_or(|first| first == vec.as_ptr()));
    assert_eq!(vec.remove(0).n, 101);
    assert_eq!(vec.pop().map(|value| value.n), Some(100));
    vec.iter().for_each(Counted::assert_lives);
}

/// Does something to a vector while the first, the second, ... of the user's calls panics, until none does; returns how
/// often one did.
#[track_caller]
fn every_panic(act: impl Fn(&mut Vector)) -> usize {
    for n in 0.. {
        begin();
        let mut vec = made();
        arm(n);
        let outcome = catch_unwind(AssertUnwindSafe(|| act(&mut vec)));
        let panicked = disarm();
        assert_eq!(outcome.is_err(), panicked, "call {n}");
        assert_usable(&mut vec);
        drop(vec);
        assert_eq!(living(), 0, "call {n}");
        if !panicked {
            return n;
        }
    }
    unreachable!("some number of calls is enough")
}

/// [`every_panic`], of at least so many places.
#[track_caller]
fn panics(at_least: usize, act: impl Fn(&mut Vector)) {
    let places = every_panic(act);
    assert!(places >= at_least, "only {places} calls of the user's");
}

#[test]
fn in_drop() {
    panics(12, Vector::clear);
    panics(7, |vec| vec.truncate(5));
    panics(7, |vec| vec.resize_with(5, || unreachable!()));
    panics(8, |vec| vec.resize(5, Counted::new(0)));
    panics(12, |vec| drop(std::mem::take(vec)));
    panics(12, |vec| drop(std::mem::take(vec).into_iter()));
    panics(12, |vec| {
        let mut values = std::mem::take(vec).into_iter();
        drop((values.next(), values.next_back()));
    });
    panics(12, |vec| drop(AppendVec::from(std::mem::take(vec))));
    panics(12, |vec| assert_eq!(vec.pop_if(|_| true).into_iter().chain(vec.drain(..)).count(), 12));
    panics(1, |vec| vec[3] = Counted::new(9));
}

#[test]
fn in_drop_of_what_is_drained() {
    for range in [0..12, 0..4, 3..7, 8..12, 5..5] {
        let len = range.len();
        panics(len, |vec| drop(vec.drain(range.clone())));
        panics(len, |vec| {
            let mut drain = vec.drain(range.clone());
            drop((drain.next(), drain.next_back()));
        });
    }
}

#[test]
fn in_the_predicates() {
    panics(12, |vec| {
        vec.retain(|value| {
            call();
            value.n % 2 == 0
        })
    });
    panics(12, |vec| {
        vec.retain_mut(|value| {
            call();
            value.set(value.n + 1);
            value.n % 3 != 0
        })
    });
    // Everything goes, nothing goes.
    panics(24, |vec| {
        vec.retain(|_| {
            call();
            false
        })
    });
    panics(12, |vec| {
        vec.retain(|_| {
            call();
            true
        })
    });
    panics(2, |vec| {
        vec.pop_if(|_| {
            call();
            true
        });
    });
}

#[test]
fn in_comparisons() {
    panics(11, GrowVec::dedup);
    panics(11, |vec| {
        vec.dedup_by(|later, earlier| {
            call();
            later.set(later.n);
            later.n == earlier.n
        })
    });
    panics(22, |vec| {
        vec.dedup_by_key(|value| {
            call();
            value.n / 2
        })
    });
    panics(12, |vec| assert_eq!(*vec, made()));
    panics(11, |vec| {
        vec.sort_by(|a, b| {
            call();
            b.n.cmp(&a.n)
        })
    });
}

#[test]
fn in_clones() {
    panics(12, |vec| drop(vec.clone()));
    panics(9, |vec| vec.extend_from_within(3..));
    panics(5, |vec| vec.extend_from_slice(&made()[..5]));
    panics(5, |vec| vec.try_extend_from_slice(&made()[..5]).unwrap());
    panics(7, |vec| vec.resize(20, Counted::new(0)));
    panics(3, |vec| drop(GrowVec::from(&vec[..3])));
    // What was there is dropped or overwritten, what is missing is cloned.
    panics(5, |vec| vec.clone_from(&GrowVec::from([1, 2].map(Counted::new))));
    panics(15, |vec| vec.clone_from(&numbers().chain(0..3).map(Counted::new).collect()));
}

#[test]
fn in_what_makes_values() {
    panics(8, |vec| {
        vec.resize_with(20, || {
            call();
            Counted::new(0)
        })
    });
    let numbers: Vec<Option<u64>> = numbers().map(Some).collect();
    for hint in [Hint::Right, Hint::Nothing, Hint::TooFew, Hint::TooMany, Hint::Absurd] {
        panics(13, |vec| vec.extend(Lying::new(&numbers, hint)));
        panics(13, |vec| vec.try_extend(Lying::new(&numbers, hint)).unwrap());
        panics(13, |vec| vec.extend(Lying::new(&numbers, hint).collect::<Vector>()));
        panics(13, |_| drop(Lying::<Counted>::new(&numbers, hint).collect::<AppendVec<_>>()));
    }
}

/// What came before the panic stays, in its order.
#[test]
fn what_was_appended_before_a_panic_stays() {
    begin();
    let numbers: Vec<Option<u64>> = (20..30).map(Some).collect();
    let mut vec = made();
    arm(4);
    catch_unwind(AssertUnwindSafe(|| vec.extend(Lying::new(&numbers, Hint::Nothing)))).unwrap_err();
    disarm();
    assert!(vec.iter().map(|value| value.n).eq(self::numbers().chain(20..24)));
    arm(2);
    catch_unwind(AssertUnwindSafe(|| vec.extend_from_within(..))).unwrap_err();
    disarm();
    assert!(vec.iter().map(|value| value.n).eq(self::numbers().chain(20..24).chain([1, 1])));
}

/// Where a predicate panics, the value that it was asked about stays, and so does what follows.
#[test]
fn what_was_not_decided_stays() {
    begin();
    let mut vec = made();
    let retain = |vec: &mut Vector| {
        vec.retain(|value| {
            assert_ne!(value.n, 5);
            value.n % 2 == 0
        })
    };
    catch_unwind(AssertUnwindSafe(|| retain(&mut vec))).unwrap_err();
    assert!(vec.iter().map(|value| value.n).eq([2, 4, 5, 6, 6, 7, 8]));
    assert_usable(&mut vec);
}

#[test]
fn wrong_indices_panic_and_change_nothing() {
    begin();
    let mut vec = made();
    let calls: [fn(&mut Vector); 14] = [
        |vec| vec.insert(13, Counted::new(0)),
        |vec| vec.try_insert(13, Counted::new(0)).unwrap(),
        |vec| drop(vec.remove(12)),
        |vec| drop(vec.swap_remove(12)),
        |vec| drop(vec.split_off(13)),
        |vec| drop(vec.drain(13..)),
        |vec| drop(vec.drain(..13)),
        |vec| drop(vec.drain(..=12)),
        |vec| drop(vec.drain(..=usize::MAX)),
        #[expect(clippy::reversed_empty_ranges, reason = "that is what panics")]
        |vec| drop(vec.drain(5..4)),
        |vec| vec.extend_from_within(0..13),
        |vec| drop(vec.drain((std::ops::Bound::Excluded(usize::MAX), std::ops::Bound::Unbounded))),
        |vec| vec[12].assert_lives(),
        |vec| vec[3..13][0].assert_lives(),
    ];
    for (n, call) in calls.into_iter().enumerate() {
        assert!(catch_unwind(AssertUnwindSafe(|| call(&mut vec))).is_err(), "call {n}");
        assert!(vec.iter().map(|value| value.n).eq(numbers()), "call {n}");
    }
    assert_usable(&mut vec);
    drop(vec);
    assert_eq!(living(), 0);
}

#[test]
fn a_forgotten_drain_leaks_its_range_and_what_follows() {
    begin();
    let mut vec = made();
    let mut drain = vec.drain(4..8);
    assert_eq!((drain.next().unwrap().n, drain.next_back().unwrap().n), (3, 5));
    std::mem::forget(drain);
    assert_eq!(vec.len(), 4);
    assert_usable(&mut vec);
    drop(vec);
    assert_eq!(living(), 6, "two were taken, four dropped");
}

#[test]
fn values_without_a_size_are_dropped_once_as_well() {
    type Calls = [fn(&mut GrowVec<Unit>); 8];
    let calls: Calls = [
        GrowVec::clear,
        GrowVec::dedup,
        |vec| vec.truncate(3),
        |vec| vec.resize(20, Unit::new()),
        |vec| drop(vec.clone()),
        |vec| drop(vec.drain(2..5)),
        |vec| vec.extend_from_within(..),
        |vec| {
            let mut at = 0;
            vec.retain(|_| {
                call();
                at += 1;
                at % 2 == 0
            })
        },
    ];
    for (which, act) in calls.into_iter().enumerate() {
        for n in 0.. {
            begin();
            let mut vec: GrowVec<Unit> = (0..10).map(|_| Unit::new()).collect();
            arm(n);
            let outcome = catch_unwind(AssertUnwindSafe(|| act(&mut vec)));
            let panicked = disarm();
            assert_eq!(outcome.is_err(), panicked);
            assert_eq!(living(), vec.len() as isize, "call {which}, {n}");
            vec.push(Unit::new());
            drop(vec);
            assert_eq!(living(), 0, "call {which}, {n}");
            if !panicked {
                break;
            }
        }
    }
}

/// Of the shared vector everything is dropped as well, and after a panic in `clear` it is empty.
#[test]
fn in_drop_of_shared_vectors() {
    for n in 0..13 {
        begin();
        let mut vec: SharedVec<Counted> = numbers().map(Counted::new).collect();
        arm(n);
        let outcome = catch_unwind(AssertUnwindSafe(|| vec.clear()));
        assert_eq!((outcome.is_err(), disarm()), (n < 12, n < 12));
        assert_eq!((vec.len(), living()), (0, 0));
        assert_eq!((vec.push(Counted::new(1)), vec[0].n, living()), (0, 1, 1));
        vec.extend(numbers().map(Counted::new));
        arm(n);
        let outcome = catch_unwind(AssertUnwindSafe(|| drop(vec)));
        assert_eq!((outcome.is_err(), disarm()), (n < 13, n < 13));
        assert_eq!(living(), 0);
    }
}

/// A destructor that comes back to the vector which it was refused by.
#[test]
fn a_refused_value_may_come_back_while_it_is_dropped() {
    struct Again<'v>(&'v AppendVec<std::cell::Cell<u32>>, u32);
    impl Drop for Again<'_> {
        fn drop(&mut self) {
            assert_eq!(self.0.len(), 3);
            self.0[1].set(self.1);
            assert!(self.0.try_push_pinned(std::cell::Cell::new(9)).is_err());
        }
    }
    let cells = AppendVec::with_max(3);
    cells.push_pinned(0.into());
    let second: &std::cell::Cell<u32> = cells.push_pinned(1.into());
    cells.push_pinned(2.into());
    let values = AppendVec::with_max(1);
    values.push_pinned(Again(&cells, 5));
    assert!(values.try_push_pinned(Again(&cells, 6)).is_err());
    assert_eq!(second.get(), 6);
    let refused = catch_unwind(AssertUnwindSafe(|| _ = values.push_pinned(Again(&cells, 7))));
    assert!(refused.is_err());
    assert_eq!((second.get(), values.len()), (7, 1));
    drop(values);
    assert_eq!(second.get(), 5);
}

/// The same with the very vector that refuses: it is in no call while the value is dropped.
#[test]
fn a_refused_value_may_push_to_the_vector_that_refused_it() {
    use std::rc::{Rc, Weak};
    struct Own(Weak<AppendVec<Own>>, Rc<std::cell::Cell<usize>>);
    impl Drop for Own {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            let Some(vec) = self.0.upgrade() else { return };
            assert_eq!(vec.len(), 2);
            let refused = vec.try_push_pinned(Own(Weak::new(), Rc::clone(&self.1))).is_err();
            assert!(refused && vec.iter().count() == 2);
        }
    }
    let (vec, drops) = (Rc::new(AppendVec::with_max(2)), Rc::new(std::cell::Cell::new(0)));
    let own = || Own(Rc::downgrade(&vec), Rc::clone(&drops));
    let first = vec.push_pinned(own());
    vec.push_pinned(own());
    assert!(vec.try_push_pinned(own()).is_err());
    assert_eq!(drops.get(), 2, "the refused one, and the one that it tried to push");
    assert!(catch_unwind(AssertUnwindSafe(|| _ = vec.push_pinned(own()))).is_err());
    assert_eq!((drops.get(), Rc::strong_count(&first.1)), (4, 3));
    drop(vec);
    assert_eq!(drops.get(), 6);
}
