//! Publication in order under loom: the real file, with loom's atomics, in every interleaving that two or three
//! preemptions can make.
//!
//! The places are cells that loom watches: it fails a model in which a value is read and its writing did not happen
//! before that. Loom takes sequentially consistent accesses for acquire and release, so what the library has from their
//! one order is a fence here, where the file says so.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]
#![allow(clippy::duplicate_mod, reason = "the file is also tested without a part of what it stands on")]

/// The file under test takes its atomics from its parent module: here, from loom.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

    pub(crate) fn in_one_order() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

#[path = "../../src/vec/order.rs"]
mod order;

/// The same file without the one order.
#[path = "../../src/vec"]
mod unordered {
    mod atomic {
        pub(crate) use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

        pub(crate) fn in_one_order() {}
    }

    #[allow(dead_code, reason = "one model of it is enough")]
    mod order;

    use super::explore;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU8;

    /// Without one order for marking and looking, two threads can miss each other: loom has to find that.
    #[test]
    #[should_panic(expected = "a value was lost")]
    fn without_the_one_order_a_publication_is_lost() {
        explore(3, || {
            let order = Arc::new(order::PublicationOrder::new(0));
            let marks: Arc<[AtomicU8; 2]> = Arc::new(std::array::from_fn(|_| AtomicU8::new(0)));
            let threads = [(), ()].map(|()| {
                let (order, marks) = (Arc::clone(&order), Arc::clone(&marks));
                loom::thread::spawn(move || {
                    let place = order.claim(2).unwrap();
                    order.publish(place, 2, |place| &marks[place]);
                })
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(order.published(), 2, "a value was lost");
        });
    }
}

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU8;
use order::PublicationOrder;

const PLACES: usize = 4;

/// A vector of at most `END` values, whose place and mark are these.
struct Places<const END: usize> {
    order: PublicationOrder,
    values: [UnsafeCell<usize>; PLACES],
    marks: [AtomicU8; PLACES],
}

// SAFETY: loom looks after the cells.
unsafe impl<const END: usize> Sync for Places<END> {}

impl<const END: usize> Places<END> {
    fn new() -> Arc<Self> {
        Arc::new(Places {
            order: PublicationOrder::new(0),
            values: std::array::from_fn(|_| UnsafeCell::new(0)),
            marks: std::array::from_fn(|_| AtomicU8::new(0)),
        })
    }

    fn fill(&self, place: usize) {
        assert!(place < END, "there is no place {place}");
        // SAFETY: the place is this thread's, or loom says so.
        self.values[place].with_mut(|value| unsafe {
            assert_eq!(*value, 0, "place {place} was claimed twice");
            *value = 10 + place;
        });
        self.order.publish(place, END, |place| &self.marks[place]);
    }

    fn push(&self) -> bool {
        self.order.claim(END).map(|place| self.fill(place)).is_some()
    }

    fn try_push(&self) -> bool {
        let place = self.order.try_claim(|place| if place < END { Ok(()) } else { Err(()) });
        place.map(|place| self.fill(place)).is_ok()
    }

    /// How many values are published: all of them can be read.
    fn read(&self) -> usize {
        let len = self.order.published();
        assert!(len <= END);
        for (place, value) in self.values[..len].iter().enumerate() {
            // SAFETY: it is published: its writing happened before, or loom says so.
            value.with(|value| assert_eq!(unsafe { *value }, 10 + place));
        }
        len
    }
}

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Starts a thread for each of these; what they do is done when this returns.
fn all<const END: usize, const N: usize>(
    places: &Arc<Places<END>>,
    work: [fn(&Places<END>) -> usize; N],
) -> usize {
    let threads = work.map(|work| {
        let places = Arc::clone(places);
        loom::thread::spawn(move || work(&places))
    });
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}

fn push_once<const END: usize>(places: &Places<END>) -> usize {
    usize::from(places.push())
}

fn push_twice<const END: usize>(places: &Places<END>) -> usize {
    usize::from(places.push()) + usize::from(places.push())
}

fn try_push_once<const END: usize>(places: &Places<END>) -> usize {
    usize::from(places.try_push())
}

fn try_push_twice<const END: usize>(places: &Places<END>) -> usize {
    usize::from(places.try_push()) + usize::from(places.try_push())
}

/// Looks twice: what is published is whole, and only grows.
fn read_twice<const END: usize>(places: &Places<END>) -> usize {
    let before = places.read();
    assert!(before <= places.read());
    0
}

#[test]
fn two_threads_push_twice_each_and_everything_is_published() {
    explore(3, || {
        let places = Places::<4>::new();
        assert_eq!(all(&places, [push_twice, push_twice]), 4);
        assert_eq!(places.read(), 4);
    });
}

#[test]
fn three_threads_push_and_everything_is_published() {
    explore(2, || {
        let places = Places::<4>::new();
        assert_eq!(all(&places, [push_once, push_once, push_once]), 3);
        assert_eq!(places.read(), 3);
    });
}

#[test]
fn a_reader_sees_a_whole_prefix_that_only_grows() {
    explore(3, || {
        let places = Places::<4>::new();
        assert_eq!(all(&places, [push_once, push_once, read_twice]), 2);
        assert_eq!(places.read(), 2);
    });
    explore(2, || {
        let places = Places::<4>::new();
        assert_eq!(all(&places, [push_twice, push_once, read_twice]), 3);
        assert_eq!(places.read(), 3);
    });
}

/// The one that has pushed reads at once, and finds itself after whatever is before it, or not yet.
#[test]
fn whoever_pushed_reads_what_is_published() {
    fn push_and_read<const END: usize>(places: &Places<END>) -> usize {
        let pushed = push_once(places);
        places.read();
        pushed
    }
    explore(3, || {
        let places = Places::<4>::new();
        assert_eq!(all(&places, [push_and_read, push_and_read]), 2);
        assert_eq!(places.read(), 2);
    });
}

#[test]
fn more_pushes_than_places_fill_them_all_and_no_more() {
    explore(3, || {
        let places = Places::<2>::new();
        assert_eq!(all(&places, [push_twice, push_twice]), 2);
        assert_eq!(places.read(), 2);
        assert!(!places.push() && !places.try_push(), "and it stays full");
    });
    explore(2, || {
        let places = Places::<1>::new();
        assert_eq!(all(&places, [push_once, push_twice, push_once]), 1);
        assert_eq!(places.read(), 1);
    });
}

#[test]
fn a_claim_by_comparison_meets_one_by_addition() {
    explore(3, || {
        let places = Places::<4>::new();
        assert_eq!(all(&places, [push_twice, try_push_twice]), 4);
        assert_eq!(places.read(), 4);
    });
    explore(2, || {
        let places = Places::<2>::new();
        assert_eq!(all(&places, [push_once, try_push_twice, push_once]), 2);
        assert_eq!(places.read(), 2);
    });
    explore(2, || {
        let places = Places::<4>::new();
        assert_eq!(all(&places, [try_push_once, push_once, read_twice]), 2);
        assert_eq!(places.read(), 2);
    });
}

/// Growth may be refused to one thread while another goes on: nothing was claimed by it.
#[test]
fn a_refused_preparation_claims_nothing() {
    fn refused<const END: usize>(places: &Places<END>) -> usize {
        assert_eq!(places.order.try_claim(|_| Err("refused")), Err("refused"));
        0
    }
    explore(3, || {
        let places = Places::<3>::new();
        assert_eq!(all(&places, [refused, push_once, try_push_once]), 2);
        assert_eq!(places.read(), 2);
        assert!(places.push() && !places.push());
        assert_eq!(places.read(), 3);
    });
}

#[test]
fn values_without_a_size_are_counted() {
    explore(3, || {
        let order = Arc::new(PublicationOrder::new(0));
        let threads = [(), ()].map(|()| {
            let order = Arc::clone(&order);
            loom::thread::spawn(move || {
                if order.claim(3).is_some() {
                    order.count();
                }
                if order.try_claim(|place| if place < 3 { Ok(()) } else { Err(()) }).is_ok() {
                    order.count();
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(order.published(), 3);
    });
}

#[test]
fn a_vector_that_begins_again_publishes_from_the_start() {
    explore(2, || {
        let mut places = Places::<2>::new();
        assert_eq!(all(&places, [push_once, push_once]), 2);
        let again = Arc::get_mut(&mut places).unwrap();
        again.order.restart();
        // As the vector does: a mark of before would publish what nobody has written.
        again.marks = std::array::from_fn(|_| AtomicU8::new(0));
        again.values = std::array::from_fn(|_| UnsafeCell::new(0));
        assert_eq!(again.read(), 0);
        assert_eq!(all(&places, [push_once, push_once]), 2);
        assert_eq!(places.read(), 2);
    });
}

/// A mark that was left from before makes a place visible that is not written: loom has to find that too.
#[test]
#[should_panic]
fn an_old_mark_publishes_what_is_not_written() {
    explore(3, || {
        let places = Places::<3>::new();
        places.marks[1].store(order::READY, loom::sync::atomic::Ordering::Relaxed);
        all(&places, [push_once, push_once, read_twice]);
    });
}
