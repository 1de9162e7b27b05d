//! Random injections through all allocation calls: counters and contents agree with a model, and what was refused
//! changed nothing.

use highwater::oom::Injection;
use highwater::{Arena, Cause, Growth, OutOfMemory, Scope};
use proptest::prelude::*;
use std::alloc::Layout;
use std::ffi::CStr;

/// One fallible call; `usize` is a number of bytes or of values.
#[derive(Clone, Debug)]
enum Call {
    Value(u8),
    With(u8),
    TryWith(bool),
    Layout(usize, u32),
    Uninit,
    UninitSlice(usize),
    Str(usize),
    Fmt(usize),
    CStr(usize),
    Iter(usize, bool),
    Copy(usize),
    Clone(usize),
    FillWith(usize),
    TryFillWith(usize, usize),
    FillCopy(usize),
    FillClone(usize),
    FillDefault(usize),
    FillIter(usize),
    TryFillIter(usize, usize),
    Ahead(usize),
    Reset,
    Trim(usize),
    Scope(Vec<Call>),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let len = || prop_oneof![6 => 0usize..200, 2 => 0usize..5000, 1 => 0usize..60_000];
    let simple = prop_oneof![
        any::<u8>().prop_map(Call::Value),
        any::<u8>().prop_map(Call::With),
        any::<bool>().prop_map(Call::TryWith),
        (len(), 0u32..13).prop_map(|(size, shift)| Call::Layout(size, shift)),
        Just(Call::Uninit),
        len().prop_map(Call::UninitSlice),
        len().prop_map(Call::Str),
        len().prop_map(Call::Fmt),
        len().prop_map(Call::CStr),
        (len(), any::<bool>()).prop_map(|(len, hint)| Call::Iter(len, hint)),
        len().prop_map(Call::Copy),
        len().prop_map(Call::Clone),
        len().prop_map(Call::FillWith),
        (len(), len()).prop_map(|(len, fail_at)| Call::TryFillWith(len, fail_at)),
        len().prop_map(Call::FillCopy),
        len().prop_map(Call::FillClone),
        len().prop_map(Call::FillDefault),
        len().prop_map(Call::FillIter),
        (len(), len()).prop_map(|(len, fail_at)| Call::TryFillIter(len, fail_at)),
        (0usize..300_000).prop_map(Call::Ahead),
        Just(Call::Reset),
        (0usize..300_000).prop_map(Call::Trim),
    ];
    let call =
        simple.prop_recursive(2, 40, 10, |inner| prop::collection::vec(inner, 0..10).prop_map(Call::Scope));
    prop::collection::vec(call, 1..40)
}

fn injections() -> impl Strategy<Value = (Injection, Cause)> {
    let rule = prop_oneof![
        (1u64..20).prop_map(Injection::nth),
        (0u64..20).prop_map(Injection::after),
        (0usize..200_000).prop_map(Injection::above),
        (0u32..=1_000_000, any::<u64>()).prop_map(|(rate, seed)| Injection::rate(rate, seed)),
    ];
    (rule, prop_oneof![Just(Cause::Injected), Just(Cause::SystemMemory), Just(Cause::Kernel(77))])
        .prop_map(|(rule, cause)| (rule.cause(cause), cause))
}

fn growths() -> impl Strategy<Value = Growth> {
    prop_oneof![
        Just(Growth::default()),
        Just(Growth::Fixed(1)),
        Just(Growth::Fixed(64 << 10)),
        any::<u64>().prop_map(|seed| Growth::Stress { seed }),
    ]
}

/// What lives, filled with a pattern, and what the counters should be.
#[derive(Default)]
struct Model {
    live: Vec<(*mut u8, usize, u8)>,
    used: usize,
    refused: usize,
    served: usize,
    cause: Option<Cause>,
}

impl Model {
    fn fill(&mut self, start: *mut u8, len: usize) {
        let byte = (self.served % 251) as u8 + 1;
        // SAFETY: the caller was handed `len` bytes there.
        unsafe { start.write_bytes(byte, len) };
        self.live.push((start, len, byte));
    }

    fn fill_slice<T>(&mut self, slice: &mut [T]) {
        self.fill(slice.as_mut_ptr().cast(), size_of_val(slice));
    }

    fn verify(&self) {
        for &(start, len, byte) in &self.live {
            // SAFETY: it lives, and all of it was written.
            let bytes = unsafe { std::slice::from_raw_parts(start, len) };
            assert!(len == 0 || bytes.iter().all(|&other| other == byte));
        }
    }
}

/// What came of a call: something to fill, or nothing (an initialiser failed).
type Made<'a> = Result<Option<&'a mut [u8]>, OutOfMemory>;

/// The bytes of a slice of values without padding and without values that are not valid.
fn bytes<T: Copy>(slice: &mut [T]) -> Option<&mut [u8]> {
    // SAFETY: used with integers only.
    Some(unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast(), size_of_val(slice)) })
}

macro_rules! call_on {
    ($name:ident, $type:ty) => {
        /// Makes one call that returns what it made.
        #[allow(clippy::mut_from_ref, reason = "as the calls do")]
        fn $name<'a>(on: &'a $type, call: &Call) -> Made<'a> {
            Ok(match *call {
                Call::Value(value) => bytes(std::slice::from_mut(on.try_alloc([value; 300])?)),
                Call::With(value) => bytes(std::slice::from_mut(on.try_alloc_with(|| [value; 40])?)),
                Call::TryWith(ok) => {
                    match on.try_alloc_try_with(|| if ok { Ok([3u64; 50]) } else { Err(()) }) {
                        Ok(value) => bytes(value),
                        Err(highwater::AllocOrInitError::Alloc(error)) => return Err(error),
                        Err(highwater::AllocOrInitError::Init(())) => None,
                    }
                }
                Call::Layout(size, shift) => {
                    let layout = Layout::from_size_align(size, 1 << shift).unwrap();
                    let start = on.try_alloc_layout(layout)?.as_ptr();
                    assert!(start.addr().is_multiple_of(layout.align()));
                    // SAFETY: the block is ours; it is only written to.
                    Some(unsafe {
                        start.write_bytes(0, size);
                        std::slice::from_raw_parts_mut(start, size)
                    })
                }
                Call::Uninit => bytes(std::slice::from_mut(on.try_alloc_uninit::<u64>()?.write(1))),
                Call::UninitSlice(len) => {
                    let slice = on.try_alloc_uninit_slice::<u8>(len)?;
                    Some(slice.write_copy_of_slice(&vec![9; len]))
                }
                Call::Str(len) => {
                    let text = on.try_alloc_str(&"x".repeat(len))?;
                    assert!(text.len() == len && text.bytes().all(|byte| byte == b'x'));
                    // SAFETY: nobody reads it as text again.
                    Some(unsafe { text.as_bytes_mut() })
                }
                Call::Fmt(len) => {
                    let text = on.try_alloc_fmt(format_args!("{:len$}|{len}", ""))?;
                    assert!(text.ends_with(&format!("|{len}")) && text.starts_with(&" ".repeat(len)));
                    // SAFETY: as above.
                    Some(unsafe { text.as_bytes_mut() })
                }
                Call::CStr(len) => {
                    let text = [vec![b'c'; len], vec![0]].concat();
                    let text = CStr::from_bytes_with_nul(&text).unwrap();
                    assert_eq!(on.try_alloc_cstr(text)?, text);
                    None
                }
                Call::Iter(len, exact) => {
                    let values = (0..len as u32).filter(|_| !exact || len > 0);
                    let slice =
                        if exact { on.try_alloc_iter(0..len as u32)? } else { on.try_alloc_iter(values)? };
                    assert!(slice.len() == len && slice.iter().zip(0..).all(|(&n, i)| n == i));
                    bytes(slice)
                }
                Call::Copy(len) => bytes(on.try_alloc_slice_copy(&vec![7u16; len])?),
                Call::Clone(len) => bytes(on.try_alloc_slice_clone(&vec![8u32; len])?),
                Call::FillWith(len) => bytes(on.try_alloc_slice_fill_with(len, |i| i as u64)?),
                Call::TryFillWith(len, fail_at) => {
                    let make = |i| if i == fail_at { Err(()) } else { Ok(i as u16) };
                    match on.try_alloc_slice_try_fill_with(len, make) {
                        Ok(slice) => bytes(slice),
                        Err(highwater::AllocOrInitError::Alloc(error)) => return Err(error),
                        Err(highwater::AllocOrInitError::Init(())) => None,
                    }
                }
                Call::FillCopy(len) => bytes(on.try_alloc_slice_fill_copy(len, 5u8)?),
                Call::FillClone(len) => bytes(on.try_alloc_slice_fill_clone(len, &6u64)?),
                Call::FillDefault(len) => bytes(on.try_alloc_slice_fill_default::<u32>(len)?),
                Call::FillIter(len) => bytes(on.try_alloc_slice_fill_iter(vec![1u8; len])?),
                Call::TryFillIter(len, fail_at) => {
                    let values: Vec<Result<u8, ()>> =
                        (0..len).map(|i| if i == fail_at { Err(()) } else { Ok(1) }).collect();
                    match on.try_alloc_slice_try_fill_iter(values) {
                        Ok(slice) => bytes(slice),
                        Err(highwater::AllocOrInitError::Alloc(error)) => return Err(error),
                        Err(highwater::AllocOrInitError::Init(())) => None,
                    }
                }
                Call::Ahead(bytes) => {
                    on.commit_ahead(bytes)?;
                    assert!(on.committed_bytes() >= on.allocated_bytes() + bytes);
                    None
                }
                Call::Reset | Call::Trim(_) | Call::Scope(_) => unreachable!("not for both"),
            })
        }
    };
}

call_on!(call_on_arena, Arena);
call_on!(call_on_scope, Scope<'_>);

/// Makes a call, twice if it was refused, and compares the figures before and after.
macro_rules! checked {
    ($on:expr, $call:expr, $make:ident, $model:expr) => {{
        let (on, model) = ($on, &mut *$model);
        let figures = || (on.allocated_bytes(), on.stats().committed, on.stats().commits);
        let before = figures();
        assert_eq!(before.0, model.used);
        let made = $make(on, $call);
        let after = figures();
        match made {
            Ok(made) => {
                model.served += 1;
                assert!(after.1 >= after.0, "what was handed out is committed");
                assert_eq!(after.2 > before.2, after.1 > before.1, "a growth moves the frontier");
                if let Some(made) = made {
                    assert!(after.0 >= before.0 + made.len());
                    model.fill_slice(made);
                }
            }
            Err(error) => {
                model.refused += 1;
                assert_eq!(Some(error.cause()), model.cause, "{error}");
                assert_eq!((error.limit(), after.0), (None, before.0), "{:?}: {error}", $call);
                assert!(after.1 >= before.1);
                // A growing iterator or text may have grown before it was refused; whatever knows its size has not.
                if !matches!($call, Call::Iter(..) | Call::Fmt(_)) {
                    assert_eq!(after, before, "{:?}: {error}", $call);
                    assert_eq!(error.used(), before.0);
                }
            }
        }
        model.used = after.0;
        model.verify();
    }};
}

fn run_in_scope(mut scope: Scope<'_>, calls: &[Call], model: &mut Model) {
    for call in calls {
        match call {
            Call::Scope(calls) => {
                let (live, used) = (model.live.len(), model.used);
                run_in_scope(scope.scope(), calls, model);
                model.live.truncate(live);
                model.used = used;
            }
            Call::Reset | Call::Trim(_) => {}
            call => checked!(&scope, call, call_on_scope, model),
        }
    }
}

/// Runs the calls; how many were refused and served, and the counters at the end.
fn run(injection: Injection, cause: Cause, growth: Growth, calls: &[Call]) -> (usize, usize, usize, u64) {
    let mut arena = Arena::builder().reserve(16 << 20).head(0).growth(growth).inject(injection).build();
    let mut model = Model { cause: Some(cause), ..Model::default() };
    for call in calls {
        match call {
            Call::Scope(calls) => {
                let (live, used) = (model.live.len(), model.used);
                run_in_scope(arena.scope(), calls, &mut model);
                model.live.truncate(live);
                model.used = used;
            }
            Call::Reset => {
                arena.reset();
                (model.live, model.used) = (Vec::new(), 0);
            }
            Call::Trim(keep) => {
                let before = arena.committed_bytes();
                let given_back = arena.trim(*keep);
                assert_eq!(arena.committed_bytes(), before - given_back);
            }
            call => checked!(&arena, call, call_on_arena, &mut model),
        }
        assert_eq!(arena.allocated_bytes(), model.used);
        model.verify();
    }
    let stats = arena.stats();
    assert_eq!((stats.used, stats.committed), (model.used, arena.committed_bytes()));
    assert_eq!(stats.faults, 0, "everything was committed by the calls");
    (model.refused, model.served, stats.committed, stats.commits)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_the_same_is_refused_again(
        (injection, cause) in injections(), growth in growths(), calls in calls()
    ) {
        let first = run(injection, cause, growth, &calls);
        prop_assert_eq!(first, run(injection, cause, growth, &calls));
    }

    #[test]
    fn without_an_injection_nothing_is_refused(growth in growths(), calls in calls()) {
        let (refused, ..) = run(Injection::nth(0), Cause::Injected, growth, &calls);
        prop_assert_eq!(refused, 0);
    }
}
