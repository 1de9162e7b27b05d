//! Refusals while a vector grows by touch, where nothing can be returned, and by the system: nothing that was pushed
//! before is lost.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::oom::{self, Answer, Injection, Response};
use highwater::{AppendVec, Builder, Cause, Engine, GrowVec, Growth, OutOfMemory, SharedVec};
use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::limits::{lift_limits, limit_data_softly};
use support::oom::{assert_aborted, child, child_changed, first_line, text_of};

const MIB: usize = 1 << 20;
const STEP: usize = 64 << 10;
/// More values than there is memory for.
const FOR_EVER: u64 = u64::MAX;
const FILE: &str = "HIGHWATER_TEST_FILE";

/// A vector of which the fifth growth is refused.
fn small_steps<T>(builder: Builder<T>) -> Builder<T> {
    builder.name("pushed").reserve(1 << 30).head(STEP).growth(Growth::Fixed(STEP)).inject(Injection::nth(5))
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("push", || push_for_ever(small_steps(GrowVec::builder()).build())),
    ("extend", || small_steps(GrowVec::builder()).build().extend(0..)),
    ("insert", || insert_for_ever(small_steps(GrowVec::builder()).build())),
    ("append only", || append_for_ever(&small_steps(AppendVec::builder()).build())),
    ("shared", || share_for_ever(&small_steps(SharedVec::builder()).build())),
    ("file", in_file),
    ("hook", hooked),
    ("served", served),
    ("system", refused_by_the_system),
    ("system, fallibly", refused_fallibly),
    ("process limit", process_limit),
    ("marks", marks),
];

/// What was pushed before the refusal: the head, and four steps.
const PUSHED: u64 = (5 * STEP / 8) as u64;

fn push_for_ever(mut vec: GrowVec<u64>) {
    (0..FOR_EVER).for_each(|n| vec.push(n));
}

fn insert_for_ever(mut vec: GrowVec<u64>) {
    (0..FOR_EVER).for_each(|n| vec.insert(vec.len(), n));
}

fn append_for_ever(vec: &AppendVec<u64>) {
    (0..FOR_EVER).for_each(|n| _ = vec.push_pinned(n));
}

fn share_for_ever(vec: &SharedVec<u64>) {
    (0..FOR_EVER).for_each(|n| _ = vec.push(n));
}

#[test]
fn the_end_is_told() {
    if !support::reserves() {
        return;
    }
    for case in ["push", "extend", "insert", "append only", "shared"] {
        let ended = child(case).expect("it runs anywhere");
        if highwater::engine() == Engine::Fault {
            assert_aborted(&ended, "injected");
            assert!(first_line(&ended).contains("\"pushed\""), "{ended:#?}");
        } else {
            assert_eq!(ended.status.code(), Some(101), "{ended:#?}");
            assert!(ended.stderr.contains("\"pushed\" out of memory"), "{ended:#?}");
        }
    }
}

/// Pushes into the file that the parent made.
fn in_file() {
    let file = OpenOptions::new().read(true).write(true).open(std::env::var(FILE).unwrap()).unwrap();
    // SAFETY: the parent looks at it when this process has ended.
    push_for_ever(unsafe { small_steps(GrowVec::builder()).file_backing(file) }.build());
}

#[test]
fn what_was_pushed_before_is_in_the_file() {
    let Some(dir) = support::files::directory() else { return };
    let path = dir.path().join("pushed");
    File::create(&path).unwrap();
    let ended = child_changed("file", |command| _ = command.env(FILE, &path)).expect("it runs anywhere");
    assert!(!ended.status.success() && ended.stderr.contains("out of memory"), "{ended:#?}");
    let bytes = {
        use std::os::unix::fs::FileExt;
        let mut bytes = vec![0; 6 * STEP];
        let read = File::open(&path).unwrap().read_at(&mut bytes, 0).unwrap();
        bytes.truncate(read);
        bytes
    };
    let mut words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
    assert!(words.by_ref().take(PUSHED as usize).eq(0..PUSHED), "everything that was pushed is there");
    assert!(words.all(|word| word == 0), "and nothing else");
}

/// The first value of the vector that is refused.
static FIRST: AtomicUsize = AtomicUsize::new(0);

/// Whether everything below the frontier is as it was pushed.
fn is_whole(error: &OutOfMemory) -> bool {
    let first = std::ptr::with_exposed_provenance::<u64>(FIRST.load(SeqCst));
    // SAFETY: so many values are committed, and were written by the thread that this interrupts.
    let pushed = unsafe { std::slice::from_raw_parts(first, PUSHED as usize) };
    pushed.iter().zip(0..).all(|(&value, n)| value == n) && error.used() == PUSHED as usize * 8
}

fn with_hook(hook: fn(&OutOfMemory) -> Answer) -> GrowVec<u64> {
    // SAFETY: the hooks read committed memory and make system calls.
    let response = unsafe { Response::hook(hook) };
    let vec: GrowVec<u64> = small_steps(GrowVec::builder()).on_refusal(response).build();
    FIRST.store(vec.as_ptr().expose_provenance(), SeqCst);
    vec
}

fn hooked() {
    fn hook(error: &OutOfMemory) -> Answer {
        support::raw::exit_now(if is_whole(error) { 7 } else { 8 })
    }
    push_for_ever(with_hook(hook));
}

/// Asked again it is granted: the push that was refused is made, and so are those after it.
fn served() {
    fn hook(error: &OutOfMemory) -> Answer {
        if is_whole(error) { Answer::Retry } else { Answer::Die }
    }
    let mut vec = with_hook(hook);
    (0..10 * PUSHED).for_each(|n| vec.push(n));
    assert!(vec.iter().zip(0..).all(|(&value, n)| value == n));
    assert_eq!(vec.len() as u64, 10 * PUSHED);
}

#[test]
fn a_hook_finds_everything_that_was_pushed() {
    if support::has_faults() {
        assert_eq!(child("hook").expect("it runs anywhere").status.code(), Some(7));
        child("served").expect("it runs anywhere").assert_success();
    }
}

/// With an engine that commits in ordinary code the system's refusal is a panic, and the vector goes on.
fn refused_by_the_system() {
    let mut vec = GrowVec::<u64>::builder().reserve(1 << 30).build();
    let append = AppendVec::<u64>::builder().reserve(1 << 30).build();
    let shared: SharedVec<u64> = SharedVec::builder().reserve(1 << 30).build();
    limit_data_softly(24 * MIB);
    let texts = [
        catch_unwind(AssertUnwindSafe(|| (0..FOR_EVER).for_each(|n| vec.push(n)))),
        catch_unwind(AssertUnwindSafe(|| (0..FOR_EVER).for_each(|n| _ = append.push_pinned(n)))),
        catch_unwind(AssertUnwindSafe(|| (0..FOR_EVER).for_each(|n| _ = shared.push(n)))),
    ];
    lift_limits();
    for text in texts {
        let text = text_of(&*text.unwrap_err());
        assert!(text.contains("out of memory") && text.contains("RLIMIT_DATA"), "{text}");
    }
    assert!(vec.len() > MIB, "{} values", vec.len());
    let next = vec.len() as u64;
    (next..next + (8 * MIB) as u64).for_each(|n| vec.push(n));
    append.push_pinned(append.len() as u64);
    shared.push(shared.len() as u64);
    for values in [&vec[..], &append, &shared] {
        assert!(values.iter().zip(0..).all(|(&value, n)| value == n));
    }
}

#[test]
fn the_systems_refusal_of_a_plain_call_loses_nothing() {
    if support::reserves() && highwater::engine() != Engine::Fault {
        child("system").expect("it runs anywhere").assert_success();
    }
}

fn refused_fallibly() {
    let mut vec = GrowVec::<u64>::builder().reserve(1 << 30).build();
    let append = AppendVec::<u64>::builder().reserve(1 << 30).build();
    let shared: SharedVec<u64> = SharedVec::builder().reserve(1 << 30).build();
    limit_data_softly(24 * MIB);
    let errors = [
        vec.try_extend(0..).unwrap_err(),
        (0..).find_map(|n| append.try_push_pinned(n).err()).unwrap(),
        (0..).find_map(|n| shared.try_push(n).err()).unwrap(),
    ];
    for _ in 0..3 {
        assert!(vec.try_push(0).is_err() && vec.try_insert(0, 0).is_err() && vec.try_reserve(1).is_err());
        assert!(append.try_push_pinned(0).is_err() && shared.try_push(0).is_err());
    }
    lift_limits();
    for (error, len) in errors.into_iter().zip([vec.len(), append.len(), shared.len()]) {
        assert_eq!(
            (error.cause(), error.used(), error.requested()),
            (Cause::RlimitData, len * 8, 8),
            "{error}"
        );
    }
    assert!(vec.len() > MIB, "{} values", vec.len());
    vec.try_push(vec.len() as u64).unwrap();
    append.try_push_pinned(append.len() as u64).unwrap();
    shared.try_push(shared.len() as u64).unwrap();
    for values in [&vec[..], &append, &shared] {
        assert!(values.iter().zip(0..).all(|(&value, n)| value == n));
    }
}

#[test]
fn the_systems_refusal_of_a_fallible_call_is_an_error() {
    if support::reserves() {
        child("system, fallibly").expect("it runs anywhere").assert_success();
    }
}

/// Also of the vectors that cannot be given policies: what `clone`, `split_off` and `collect` make.
fn process_limit() {
    let mut vec: GrowVec<u64> = (0..1000).collect();
    let other = vec.clone();
    oom::set_process_limit(Some(oom::committed_bytes() + 2 * MIB));
    let error = vec.try_extend(1000..).unwrap_err();
    assert_eq!(error.cause(), Cause::ProcessLimit);
    assert!(vec.try_reserve(1).is_ok() || vec.try_reserve(1).unwrap_err().cause() == Cause::ProcessLimit);
    assert!(vec.iter().zip(0..).all(|(&value, n)| value == n));
    assert_eq!(other, vec[..1000]);
    if highwater::engine() != Engine::Fault {
        let len = vec.len();
        let texts = [
            catch_unwind(AssertUnwindSafe(|| drop(vec.clone()))),
            catch_unwind(AssertUnwindSafe(|| drop(vec.split_off(10)))),
            catch_unwind(AssertUnwindSafe(|| drop(vec.iter().collect::<GrowVec<_>>()))),
        ];
        for text in texts {
            let text = text_of(&*text.unwrap_err());
            assert!(text.contains("out of memory"), "{text}");
        }
        assert_eq!(vec.len(), len);
        assert!(vec.iter().zip(0..).all(|(&value, n)| value == n), "nothing has moved");
    }
    oom::set_process_limit(None);
    vec.try_push(vec.len() as u64).unwrap();
    assert!(vec.split_off(10).iter().zip(10..).all(|(&value, n)| value == n));
}

#[test]
fn a_refusal_of_another_vectors_memory_moves_nothing() {
    child("process limit").expect("it runs anywhere").assert_success();
}

/// A shared vector's marks are memory as well: a refusal of theirs is one of the push, which has claimed nothing.
fn marks() {
    for n in 1..40 {
        let vec: SharedVec<u8> =
            SharedVec::builder().reserve(4 * MIB).head(0).growth(Growth::Fixed(STEP)).build();
        oom::inject(Some(Injection::nth(n)));
        let mut refused = 0;
        while vec.len() < 300_000 {
            let len = vec.len();
            match vec.try_push(len as u8) {
                Ok(place) => assert_eq!((place, vec.len()), (len, len + 1)),
                Err(error) => {
                    assert_eq!((error.cause(), vec.len()), (Cause::Injected, len));
                    refused += 1;
                }
            }
        }
        oom::inject(None);
        assert!(refused == 1 || refused == 0 && n > 6, "refusal {n} came {refused} times");
        assert!(vec.iter().zip(0usize..).all(|(&value, n)| value == n as u8));
    }
}

#[test]
fn a_refusal_of_the_marks_is_one_of_the_push() {
    child("marks").expect("it runs anywhere").assert_success();
}
