//! Refusals of every growth of a vector, and the lengths at which vectors end: nothing is lost, nothing is changed, and
//! the error says what it was.

use crate::body;
use crate::support;
use body::{Counted, Hint, Lying, begin, living};
use highwater::oom::Injection;
use highwater::{
    AppendVec, Builder, Cause, Engine, GrowVec, Growth, Monitor, OutOfMemory, Region, SharedVec,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::oom::text_of;

pub const SIZE: usize = size_of::<Counted>();

pub type Vector = GrowVec<Counted>;

/// A vector that grows in small steps, of which one is refused.
fn small_steps<T>(builder: Builder<T>, injection: Injection) -> Builder<T> {
    builder.name("small").reserve(1 << 20).head(0).growth(Growth::Fixed(4096)).inject(injection)
}

#[track_caller]
pub fn assert_numbers(values: &[Counted], up_to: u64) {
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
pub fn panic_of(call: impl FnOnce()) -> String {
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
