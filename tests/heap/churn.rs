//! Churn with tags, of every policy: one page of a class and many, one thread and several, freed by those that
//! allocated and by others, in every order.

use crate::tagged;
use highwater::heap::{Blocks, Bump, Fit, General, Heap, HeapPolicy, Stack};
use std::sync::mpsc;
use tagged::{ORDERS, Order, Random, Tagged, arrange, churn, comes_together};

const THREADS: usize = 3;

/// Less than a page of the general heap, many pages of a class, and blocks whose pages have several slices.
const SHAPES: [(usize, usize); 4] = [(16, 1), (16, 300), (64, 2000), (9000, 20)];

fn each_kind(work: impl Fn(&Heap, Order)) {
    let kinds: [HeapPolicy; 6] = [
        General::new().into(),
        General::new().checked(true).into(),
        Blocks::new().into(),
        Blocks::new().fit(Fit::First).margin(0).into(),
        Stack::new().into(),
        Bump::new().slice(64 << 10).into(),
    ];
    for kind in kinds {
        for order in ORDERS {
            let heap = Heap::builder().reserve(1 << 30).policy(kind).build();
            work(&heap, order);
            comes_together(&heap);
        }
    }
}

#[test]
fn alone() {
    each_kind(|heap, order| {
        for (size, count) in SHAPES {
            churn(heap, size, count, order, size as u64);
            heap.check().expect("the heap is whole");
        }
    });
}

#[test]
fn several_threads_at_once() {
    each_kind(|heap, order| {
        std::thread::scope(|threads| {
            for seed in 0..THREADS as u64 {
                threads.spawn(move || {
                    for (size, count) in SHAPES {
                        churn(heap, size, count, order, seed + 1);
                    }
                });
            }
        });
    });
}

/// Every block is freed by the next thread, while the one that allocated it allocates.
#[test]
fn freed_by_other_threads() {
    each_kind(|heap, order| {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| mpsc::channel::<Vec<Tagged>>()).unzip();
        std::thread::scope(|threads| {
            for (number, inbox) in receivers.into_iter().enumerate() {
                let next = senders[(number + 1) % THREADS].clone();
                threads.spawn(move || {
                    let mut random = Random(number as u64);
                    let mut free = |mut blocks: Vec<Tagged>| {
                        arrange(&mut blocks, order, &mut random);
                        blocks.into_iter().for_each(|block| block.free(heap));
                    };
                    for round in 0..6u64 {
                        for (size, count) in SHAPES {
                            let tag = |index| round << 40 | (number as u64) << 32 | index as u64;
                            let blocks = (0..count).map(|index| Tagged::new(heap, size, tag(index)));
                            next.send(blocks.collect()).expect("it has not left");
                            inbox.try_iter().for_each(&mut free);
                        }
                    }
                    drop(next);
                    inbox.iter().for_each(free);
                });
            }
            drop(senders);
        });
    });
}
