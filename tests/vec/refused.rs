//! Refusals of every growth of a vector, and the lengths at which vectors end: nothing is lost, nothing is changed, and
//! the error says what it was.

use crate::body;
use crate::support;
use body::{Counted, Hint, Lying, Paged, Unit, begin, living};
use highwater::oom::Injection;
use highwater::{
    AppendVec, Builder, Cause, Engine, GrowVec, Growth, Monitor, OutOfMemory, Region, SharedVec,
};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::oom::text_of;

const SIZE: usize = size_of::<Counted>();

type Vector = GrowVec<Counted>;

/// A vector that grows in small steps, of which one is refused.
fn small_steps<T>(builder: Builder<T>, injection: Injection) -> Builder<T> {
    builder.name("small").reserve(1 << 20).head(0).growth(Growth::Fixed(4096)).inject(injection)
}

#[track_caller]
fn assert_numbers(values: &[Counted], up_to: u64) {
    values.iter().for_each(Counted::assert_lives);
    assert!(values.iter().map(|value| value.n).eq(0..up_to));
}

/// Appends by a fallible call until more was committed than one page for each of these refusals.
#[track_caller]
fn every_refusal(append: impl Fn(&mut Vector, u64) -> Result<(), OutOfMemory>) {
    let page = support::raw::page();
    for n in 1..=5 {
        begin();
        let cause = if n % 2 == 0 { Cause::Injected } else { Cause::RlimitData };
        let mut vec: Vector = small_steps(GrowVec::builder(), Injection::nth(n).cause(cause)).build();
        let (mut len, mut refused) = (0, 0);
        while len * SIZE < 6 * page {
            match append(&mut vec, len as u64) {
                Ok(()) => len = vec.len(),
                Err(error) => {
                    refused += 1;
                    // Of several values those before the refused one may have come.
                    assert!(vec.len() >= len);
                    len = vec.len();
                    assert_eq!((error.cause(), error.limit(), error.used()), (cause, None, len * SIZE));
                    assert!(error.requested() > 0 && error.requested().is_multiple_of(SIZE), "{error}");
                    assert!(error.to_string().contains("\"small\" out of memory"), "{error}");
                }
            }
            assert_numbers(&vec, len as u64);
            assert_eq!(living(), len as isize, "what was refused is dropped");
        }
        assert_eq!(refused, 1, "refusal {n}");
    }
}

#[test]
fn of_fallible_calls() {
    every_refusal(|vec, n| vec.try_push(Counted::new(n)));
    every_refusal(|vec, n| vec.try_insert(vec.len(), Counted::new(n)));
    every_refusal(|vec, n| {
        vec.try_reserve(1)?;
        assert!(vec.capacity() > n as usize);
        vec.push(Counted::new(n));
        Ok(())
    });
    every_refusal(|vec, n| {
        let more: Vec<_> = (n..n + 30).map(Counted::new).collect();
        vec.try_extend_from_slice(&more)
    });
    for hint in [Hint::Right, Hint::Nothing, Hint::Absurd] {
        every_refusal(|vec, n| {
            let more: Vec<_> = (n..n + 30).map(Some).collect();
            vec.try_extend(Lying::new(&more, hint))
        });
    }
}

/// Inserting in the middle, where a refusal in between would have moved something.
#[test]
fn of_an_insertion_in_the_middle() {
    for n in 1..=5 {
        begin();
        let mut vec: Vector = small_steps(GrowVec::builder(), Injection::nth(n)).build();
        let mut model = Vec::new();
        let mut refused = 0;
        for i in 0..1200 {
            match vec.try_insert(i as usize / 3 % (model.len() + 1), Counted::new(i)) {
                Ok(()) => model.insert(i as usize / 3 % (model.len() + 1), i),
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.cause(), Cause::Injected);
                }
            }
        }
        assert!(vec.iter().map(|value| value.n).eq(model.iter().copied()));
        assert!(refused == 1 || support::raw::page() > 4096);
    }
}

#[test]
fn of_append_and_shared_vectors() {
    for n in 1..=5 {
        begin();
        let append: AppendVec<Counted> = small_steps(AppendVec::builder(), Injection::nth(n)).build();
        let shared: SharedVec<Counted> = small_steps(SharedVec::builder(), Injection::nth(n)).build();
        let (mut refused, mut pinned) = (0, Vec::new());
        while pinned.len() * SIZE < 6 * support::raw::page() {
            let len = pinned.len();
            match append.try_push_pinned(Counted::new(len as u64)) {
                Ok(value) => pinned.push(value),
                Err(error) => {
                    refused += 1;
                    assert_eq!((error.cause(), error.used()), (Cause::Injected, len * SIZE));
                }
            }
            let place = shared.try_push(Counted::new(shared.len() as u64));
            refused += i32::from(place.is_err_and(|error| error.used() == shared.len() * SIZE));
            assert_eq!(living(), (append.len() + shared.len()) as isize);
        }
        assert!(pinned.iter().zip(0..).all(|(value, n)| value.n == n));
        assert_numbers(&append, pinned.len() as u64);
        assert_numbers(&shared, shared.len() as u64);
        assert_eq!(refused, 2);
        assert_eq!(shared.try_push_pinned(Counted::new(7)).unwrap().n, 7);
    }
}

/// What a plain call says when it cannot go on.
#[track_caller]
fn panic_of(call: impl FnOnce()) -> String {
    text_of(&*catch_unwind(AssertUnwindSafe(call)).expect_err("it cannot go on"))
}

#[test]
fn of_plain_calls_that_commit_first() {
    // With the fault engine only these ask before they write.
    let mut calls: Vec<fn(&mut Vector)> = vec![|vec| vec.reserve(2000)];
    if highwater::engine() != Engine::Fault {
        calls.extend([
            (|vec| (0..2000).for_each(|n| vec.push(Counted::new(n)))) as fn(&mut Vector),
            |vec| (0..2000).for_each(|n| vec.insert(vec.len(), Counted::new(n))),
            |vec| vec.resize_with(2000, || Counted::new(1)),
            |vec| vec.resize(2000, Counted::new(1)),
            |vec| vec.extend((0..2000).map(Counted::new)),
            |vec| vec.extend_from_slice(&(0..2000).map(Counted::new).collect::<Vec<_>>()),
            |vec| (0..7).for_each(|_| vec.extend_from_within(..)),
            |vec| vec.append(&mut (0..2000).map(Counted::new).collect()),
        ]);
    }
    for (which, call) in calls.into_iter().enumerate() {
        begin();
        let mut vec: Vector = small_steps(GrowVec::builder(), Injection::nth(2)).build();
        vec.try_extend((0..10).map(Counted::new)).unwrap();
        let text = panic_of(|| call(&mut vec));
        assert!(
            text.contains("out of memory") && text.contains("refused by injection"),
            "call {which}: {text}"
        );
        assert!(vec[..10].iter().map(|value| value.n).eq(0..10), "call {which}");
        assert_eq!(living(), vec.len() as isize, "call {which}");
        call(&mut vec);
        assert!(vec.len() > 1000 || vec.capacity() > 2000, "call {which}: the next time it is served");
    }
}

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

/// A panic is where the call is, and not in the library.
#[test]
fn a_panic_is_at_the_call() {
    use std::panic::{Location, set_hook, take_hook};
    static PLACES: std::sync::Mutex<Vec<(std::thread::ThreadId, String, u32)>> =
        std::sync::Mutex::new(Vec::new());
    let before = take_hook();
    set_hook(Box::new(move |info| {
        let place = info.location().unwrap();
        let mine = (std::thread::current().id(), place.file().to_owned(), place.line());
        PLACES.lock().unwrap().push(mine);
        before(info);
    }));
    let (mut vec, append, shared) = (GrowVec::with_max(2), AppendVec::with_max(0), SharedVec::with_max(0));
    vec.extend([1u8, 2]);
    let start = Location::caller().line();
    let texts = [
        panic_of(|| vec.push(3)),
        panic_of(|| vec.insert(0, 3)),
        panic_of(|| vec.insert(9, 3)),
        panic_of(|| vec.reserve(3)),
        panic_of(|| vec.extend([3])),
        panic_of(|| vec.resize(4, 3)),
        panic_of(|| vec.resize_with(4, || 3)),
        panic_of(|| vec.extend_from_slice(&[3])),
        panic_of(|| vec.extend_from_within(..)),
        panic_of(|| vec.append(&mut GrowVec::from([3]))),
        panic_of(|| _ = vec.remove(9)),
        panic_of(|| _ = vec.swap_remove(9)),
        panic_of(|| _ = vec.drain(9..)),
        panic_of(|| _ = vec.split_off(9)),
        panic_of(|| _ = append.push_pinned(3u8)),
        panic_of(|| _ = shared.push(3u8)),
        panic_of(|| _ = shared.push_pinned(3u8)),
        panic_of(|| _ = GrowVec::<u64>::with_max(usize::MAX)),
        panic_of(|| _ = AppendVec::<u64>::with_max(usize::MAX)),
        panic_of(|| _ = SharedVec::<u64>::with_max(usize::MAX)),
    ];
    let me = std::thread::current().id();
    let places = std::mem::take(&mut *PLACES.lock().unwrap());
    let mine: Vec<_> =
        places.into_iter().filter(|place| place.0 == me).map(|place| (place.1, place.2)).collect();
    let expected: Vec<_> = (0..texts.len() as u32).map(|n| (file!().to_owned(), start + 2 + n)).collect();
    assert_eq!(mine, expected);
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

#[test]
fn marks_answer_as_their_values_do() {
    let events = SharedVec::<u32>::builder().name("marked").reserve(1 << 20).build();
    let is_named = |monitor: &Monitor| monitor.name().as_deref() == Some("marked");
    assert_eq!(
        Monitor::all().iter().filter(|monitor| is_named(monitor)).count(),
        2,
        "the values and their marks"
    );
    assert_eq!(events.max_len(), (1 << 20) / 4);
}

/// Texts speak of a vector, whatever its name.
#[test]
fn errors_say_vector() {
    let told = |error: OutOfMemory| error.to_string();
    let mut vec = GrowVec::<u64>::with_max(4);
    vec.extend(0..4);
    let id = vec.stats().map(|_| vec.region().unwrap().id()).unwrap();
    let text = told(vec.try_push(4).unwrap_err());
    assert!(text.starts_with(&format!("vector #{id} out of memory: ")), "{text}");
    let mut named = GrowVec::<u64>::builder().name("named").reserve(4096).build();
    let text = told(named.try_reserve(513).unwrap_err());
    assert!(text.starts_with("vector \"named\" out of memory: "), "{text}");
    assert!(format!("{:?}", named.try_reserve(513).unwrap_err()).starts_with("OutOfMemory(vector \"named\""));
    let report = named.try_reserve(513).unwrap_err().report().to_string();
    assert!(report.starts_with("highwater: vector \"named\" ") && report.contains("of vector"), "{report}");
    let text = told(GrowVec::<u64>::new().try_reserve(usize::MAX).unwrap_err());
    assert!(text.starts_with("new vector out of memory: "), "{text}");
    let text = told(SharedVec::<u64>::try_with_max(usize::MAX).err().unwrap());
    assert!(text.starts_with("new vector out of memory: "), "{text}");
    let shared = SharedVec::<u64>::with_max(1);
    shared.push(1);
    let text = told(shared.try_push(2).unwrap_err());
    assert!(text.starts_with("vector #"), "{text}");
    let append = AppendVec::<u64>::builder().name("append").limit(8).build();
    append.push_pinned(1);
    let text = told(append.try_push_pinned(2).unwrap_err());
    assert!(text.starts_with("vector \"append\" out of memory: "), "{text}");
    // So does what was made of a region, and a region is none.
    let region = Region::builder().name("raw").reserve(4096).build();
    let text = told(region.ensure(4097).unwrap_err());
    assert!(text.starts_with("region \"raw\" out of memory: "), "{text}");
    let mut vec = GrowVec::<u8>::from(region);
    let text = told(vec.try_reserve(4097).unwrap_err());
    assert!(text.starts_with("vector \"raw\" out of memory: "), "{text}");
}
