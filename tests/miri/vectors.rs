//! Vectors.

use super::{Counted, MANY};
use highwater::{AppendVec, GrowVec, SharedVec};
use std::cell::Cell;

#[test]
fn vectors() {
    let drops = Cell::new(0);
    let mut counted: GrowVec<Counted<'_>> = (0..MANY).map(|_| Counted(&drops)).collect();
    counted.drain(1..4);
    counted.remove(0);
    counted.insert(2, Counted(&drops));
    assert_eq!(drops.get(), 4);
    drop(counted);
    assert_eq!(drops.get(), MANY + 1);

    let mut vec: GrowVec<String> = GrowVec::new();
    vec.extend((0..MANY).map(|n| n.to_string()));
    let mut tail = vec.split_off(MANY / 2);
    vec.append(&mut tail);
    vec.retain(|text| text != "3");
    vec.dedup_by_key(|text| text.len());
    vec.resize_with(MANY, || "more".into());
    vec.swap_remove(1);
    vec.shrink_to_fit();
    let copy = vec.clone();
    let mut back = vec.into_iter();
    assert_eq!((back.next().as_deref(), back.next_back().as_deref()), (Some("0"), Some("more")));
    drop(back);
    assert_eq!(copy.len(), MANY - 1);

    let mut pinned = AppendVec::new();
    let first: &Cell<usize> = pinned.push_pinned(Cell::new(0));
    for n in 0..3_000 {
        pinned.push_pinned(Cell::new(n));
        first.set(first.get() + 1);
        if cfg!(miri) && n > MANY {
            break;
        }
    }
    let seen = pinned.as_slice();
    pinned.push_pinned(Cell::new(1));
    assert_eq!(seen[0].get(), seen.len() - 1);
    pinned.as_mut_slice()[0].set(1);
    assert_eq!(pinned.into_vec().into_iter().count(), if cfg!(miri) { MANY + 4 } else { 3_002 });
}

#[test]
fn shared_vector() {
    let vec: &SharedVec<String> = &SharedVec::new();
    std::thread::scope(|threads| {
        for thread in 0..3 {
            threads.spawn(move || {
                for n in 0..MANY {
                    let text = vec.push_pinned(format!("{thread} {n}"));
                    assert!(text.starts_with(&thread.to_string()));
                    assert!(vec.as_slice().iter().all(|text| text.len() > 2));
                    assert!(vec.len() <= 3 * MANY && !vec.is_empty());
                }
            });
        }
        assert!(format!("{vec:?}").starts_with('['));
    });
    assert_eq!(vec.len(), 3 * MANY);
}
