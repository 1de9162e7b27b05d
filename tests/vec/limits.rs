//! Limits of vectors: the maximum length, bytes, and the end of the reservation.

use super::refused::{SIZE, Vector, assert_numbers, panic_of};
use crate::body;
use crate::support;
use body::{Counted, Paged, Unit, begin, living};
use highwater::{AppendVec, Cause, GrowVec, SharedVec};
use std::io::Write;

#[test]
fn a_greatest_length_is_exact() {
    begin();
    for most in [0, 1, 2, 170, 171, 341, 500] {
        let (mut vec, append, shared) =
            (Vector::with_max(most), AppendVec::with_max(most), SharedVec::with_max(most));
        assert_eq!((vec.max_len(), shared.max_len()), (most, most));
        for n in 0..most as u64 {
            vec.push(Counted::new(n));
            append.push_pinned(Counted::new(n));
            assert_eq!(shared.push(Counted::new(n)), n as usize);
        }
        for attempt in 0..3 {
            let errors = [
                vec.try_push(Counted::new(9)).unwrap_err(),
                vec.try_insert(0, Counted::new(9)).unwrap_err(),
                vec.try_reserve(1).unwrap_err(),
                vec.try_extend([Counted::new(9)]).unwrap_err(),
                vec.try_extend_from_slice(&[Counted::new(9)]).unwrap_err(),
                append.try_push_pinned(Counted::new(9)).err().unwrap(),
                shared.try_push(Counted::new(9)).unwrap_err(),
                shared.try_push_pinned(Counted::new(9)).err().unwrap(),
            ];
            for error in errors {
                assert_eq!((error.used(), error.requested()), (most * SIZE, SIZE), "{error}");
                let limit = error.limit().unwrap_or(0);
                // (A vector that fills its region to the byte ends with it.)
                let is_exact = (most * SIZE).is_multiple_of(support::raw::page()) && most > 0;
                let cause = if is_exact { Cause::ReservationExhausted } else { Cause::RegionLimit };
                assert_eq!((error.cause(), limit), (cause, (most * SIZE) as u64), "{error}");
            }
            let texts = [
                panic_of(|| vec.push(Counted::new(9))),
                panic_of(|| vec.insert(0, Counted::new(9))),
                panic_of(|| vec.reserve(1)),
                panic_of(|| vec.extend([Counted::new(9)])),
                panic_of(|| vec.resize(most + 1, Counted::new(9))),
                panic_of(|| _ = append.push_pinned(Counted::new(9))),
                panic_of(|| _ = shared.push(Counted::new(9))),
                panic_of(|| _ = shared.push_pinned(Counted::new(9))),
            ];
            assert!(texts.iter().all(|text| text.contains("out of memory")), "{attempt}: {texts:?}");
            for values in [&vec[..], &append, &shared] {
                assert_numbers(values, most as u64);
            }
            assert_eq!(living(), 3 * most as isize);
        }
        // What is removed makes room again.
        if vec.pop().is_some() {
            vec.push(Counted::new(most as u64 - 1));
            assert_numbers(&vec.into_iter().collect::<Vec<_>>(), most as u64);
        }
    }
    assert_eq!(living(), 0);
}

#[test]
fn a_limit_is_exact_to_the_byte() {
    let sizes = [1, 7, 4095, 4096, 4097, 10_000, 65_535, 65_536, 65_537, 100_001];
    for limit in sizes {
        let limited = || GrowVec::<u8>::builder().reserve(1 << 20).limit(limit);
        let mut bytes = limited().build();
        assert_eq!(bytes.max_len(), limit);
        bytes.resize(limit, 1);
        let error = bytes.try_push(2).unwrap_err();
        assert_eq!((error.cause(), error.limit()), (Cause::RegionLimit, Some(limit as u64)));
        assert!(bytes.write_all(&[3]).is_err() && bytes.write(&[]).unwrap() == 0);
        assert!(bytes.iter().all(|&byte| byte == 1) && bytes.len() == limit);
        // All or nothing: what does not fit as a whole is not begun.
        bytes.truncate(limit / 2);
        assert!(bytes.try_extend_from_slice(&vec![2; limit - limit / 2 + 1]).is_err());
        assert_eq!(bytes.len(), limit / 2);

        let mut words = GrowVec::<[u64; 3]>::builder().reserve(1 << 20).limit(limit).build();
        assert_eq!(words.max_len(), limit / 24);
        words.extend((0..limit / 24).map(|n| [n as u64; 3]));
        assert_eq!(words.try_push([0; 3]).unwrap_err().cause(), Cause::RegionLimit);
        assert!(words.iter().zip(0..).all(|(word, n)| *word == [n; 3]));

        let shared: SharedVec<u16> = SharedVec::builder().reserve(1 << 20).limit(limit).build();
        assert_eq!(shared.max_len(), limit / 2);
        (0..limit / 2).for_each(|n| _ = shared.push(n as u16));
        assert_eq!(shared.try_push(0).unwrap_err().cause(), Cause::RegionLimit);
        assert_eq!(shared.len(), limit / 2);
    }
}

/// What is left of a reservation, too little for a value, is not called a limit.
#[test]
fn the_end_of_a_reservation_is_called_that() {
    let mut vec = GrowVec::<[u8; 1000]>::builder().reserve(1 << 16).build();
    vec.extend((0..65).map(|n| [n; 1000]));
    let reserved = vec.region().unwrap().reserved_bytes() as u64;
    let error = vec.try_push([0; 1000]).unwrap_err();
    assert_eq!(
        (vec.max_len(), error.cause(), error.limit()),
        (65, Cause::ReservationExhausted, Some(reserved))
    );
    let mut vec = GrowVec::<[u8; 1000]>::builder().reserve(1 << 16).limit(5500).build();
    vec.extend((0..5).map(|n| [n; 1000]));
    let error = vec.try_push([0; 1000]).unwrap_err();
    assert_eq!((vec.max_len(), error.cause(), error.limit()), (5, Cause::RegionLimit, Some(5500)));
}

#[test]
fn nobody_has_room_for_everything() {
    for error in [
        GrowVec::<u64>::try_with_max(usize::MAX).err().unwrap(),
        GrowVec::<u8>::try_with_max(usize::MAX).err().unwrap(),
        GrowVec::<Paged>::try_with_max(usize::MAX / 8192).err().unwrap(),
    ] {
        assert!(error.to_string().contains("out of memory"), "{error}");
    }
    assert!(panic_of(|| _ = SharedVec::<u64>::with_max(usize::MAX)).contains("out of memory"));
    assert!(panic_of(|| _ = AppendVec::<u64>::with_max(usize::MAX)).contains("out of memory"));
    // More than was reserved, and more than can be counted.
    let mut vec = GrowVec::from([1u64, 2, 3]);
    for more in [1 << 40, isize::MAX as usize, usize::MAX - 3, usize::MAX - 2, usize::MAX] {
        let error = vec.try_reserve(more).unwrap_err();
        assert_eq!((error.cause(), error.used()), (Cause::ReservationExhausted, 24), "{error}");
        assert!(panic_of(|| vec.resize(more, 0)).contains("out of memory"));
        assert!(panic_of(|| vec.reserve(more)).contains("out of memory"));
    }
    assert_eq!(vec, [1, 2, 3]);
}

#[test]
fn values_without_a_size_end_where_counting_does() {
    let mut vec = GrowVec::<()>::new();
    assert_eq!((vec.max_len(), vec.capacity()), (usize::MAX, usize::MAX));
    // SAFETY: there is nothing to initialise.
    unsafe { vec.set_len(usize::MAX - 1) };
    vec.push(());
    for _ in 0..2 {
        assert!(vec.try_push(()).is_err() && vec.try_insert(3, ()).is_err() && vec.try_reserve(1).is_err());
        assert!(vec.try_extend_from_slice(&[()]).is_err() && vec.try_extend([()]).is_err());
        assert!(panic_of(|| vec.push(())).contains("out of memory"));
        assert!(panic_of(|| vec.insert(0, ())).contains("out of memory"));
        assert!(panic_of(|| vec.append(&mut GrowVec::from([(), ()]))).contains("out of memory"));
        assert!(panic_of(|| vec.extend_from_within(..)).contains("out of memory"));
        assert_eq!((vec.len(), vec.spare_capacity_mut().len()), (usize::MAX, 0));
    }
    vec.truncate(5);
    assert_eq!((vec.try_extend([()]).is_ok(), vec.len()), (true, 6));
}

#[test]
fn values_without_a_size_have_a_greatest_length_too() {
    begin();
    let (mut vec, append, shared) = (GrowVec::with_max(3), AppendVec::with_max(3), SharedVec::with_max(3));
    assert_eq!((vec.max_len(), shared.max_len()), (3, 3));
    for _ in 0..3 {
        vec.push(Unit::new());
        append.push_pinned(Unit::new());
        shared.push(Unit::new());
    }
    assert!(vec.try_push(Unit::new()).is_err() && append.try_push_pinned(Unit::new()).is_err());
    assert!(shared.try_push(Unit::new()).is_err());
    assert!(panic_of(|| vec.push(Unit::new())).contains("out of memory"));
    assert!(panic_of(|| _ = append.push_pinned(Unit::new())).contains("out of memory"));
    assert!(panic_of(|| _ = shared.push(Unit::new())).contains("out of memory"));
    assert_eq!((vec.len(), append.len(), shared.len(), living()), (3, 3, 3, 9));
    drop((vec, append, shared));
    assert_eq!(living(), 0);
}

#[test]
fn reserving_one_by_one_commits_by_steps() {
    let mut bytes = GrowVec::<u8>::builder().reserve(64 << 20).build();
    for n in 0..16 << 20 {
        bytes.try_reserve(1).unwrap();
        bytes.push(n as u8);
    }
    let commits = bytes.stats().unwrap().commits;
    assert!(commits < 100, "{commits} commits");
    assert_eq!(bytes.stats().unwrap().used, 16 << 20);
    bytes.reserve_exact(1 << 20);
    let spare = bytes.capacity() - bytes.len();
    assert!(spare >= 1 << 20);
}
