//! The global allocator has nothing left: every `try_` call returns its error, and so does everything that gives memory
//! back go on.
//!
//! A binary of its own: a program has one global allocator, and this one refuses.
#![cfg(target_os = "linux")]

mod containers;
mod guards;
#[path = "../support/mod.rs"]
mod support;

use highwater::oom::{Answer, Response};
use highwater::{
    Arena, ArenaPool, Backing, BuildError, Cause, GrowVec, GuardError, GuardPolicy, OutOfMemory, Region,
    SharedArena, SharedVec, heap,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

thread_local! {
    /// How many allocations of this thread succeed from now on; `usize::MAX` for all.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    /// How many did not.
    static REFUSED: Cell<usize> = const { Cell::new(0) };
    /// Blocks that this thread has.
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

struct Refusing;

impl Refusing {
    fn refuses() -> bool {
        match LEFT.get() {
            usize::MAX => false,
            0 => {
                REFUSED.set(REFUSED.get() + 1);
                true
            }
            left => {
                LEFT.set(left - 1);
                false
            }
        }
    }
}

// SAFETY: it is the system's allocator, which sometimes says no.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::refuses() {
            return std::ptr::null_mut();
        }
        LIVE.set(LIVE.get() + 1);
        // SAFETY: the caller's promise, here and below.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - 1);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::refuses() {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Refusing = Refusing;

/// What came of a call: a cause where memory ran out.
type Outcome = Result<(), Cause>;

/// What an error says.
trait Says {
    fn why(self) -> Cause;
}

impl Says for OutOfMemory {
    fn why(self) -> Cause {
        self.cause()
    }
}

impl Says for BuildError {
    fn why(self) -> Cause {
        OutOfMemory::from(self).cause()
    }
}

impl Says for heap::HeapError {
    fn why(self) -> Cause {
        match self {
            heap::HeapError::OutOfMemory(error) => error.cause(),
            other => panic!("{other}"),
        }
    }
}

impl Says for GuardError {
    fn why(self) -> Cause {
        BuildError::Guard(self).why()
    }
}

fn outcome<T>(result: Result<T, impl Says>) -> Outcome {
    result.map(drop).map_err(Says::why)
}

/// Whether a region was made before.
static WARM: AtomicBool = AtomicBool::new(false);

fn warm_up() {
    drop(Arena::new());
    WARM.store(true, Relaxed);
}

/// Runs a call with the first allocations granted and all others refused: none, one, two, and so on until nothing is
/// refused. Returns at how many it succeeded first.
#[track_caller]
fn exhaust(name: &str, mut call: impl FnMut() -> Outcome) {
    for granted in 0..64 {
        let live = LIVE.get();
        REFUSED.set(0);
        LEFT.set(granted);
        let outcome = call();
        LEFT.set(usize::MAX);
        let refused = REFUSED.get();
        match outcome {
            Ok(()) => {}
            Err(Cause::Allocator) => assert!(refused > 0, "{name}, {granted} granted"),
            Err(cause) => panic!("{name}, {granted} granted: {}", cause.name()),
        }
        if refused == 0 {
            // (Once in a process, something is kept. What a control block keeps is the allocator's where the portable calls
            // are.)
            if WARM.load(Relaxed) && !cfg!(highwater_portable) {
                assert_eq!(LIVE.get(), live, "{name}: what it took it gave back");
            }
            return;
        }
    }
    panic!("{name}: there is no end to it");
}

/// The same of something that needs no memory of the allocator.
#[track_caller]
fn needs_none<T>(name: &str, call: impl FnOnce() -> T) -> T {
    REFUSED.set(0);
    LEFT.set(0);
    let value = call();
    LEFT.set(usize::MAX);
    assert_eq!(REFUSED.get(), 0, "{name}");
    value
}

/// [`exhaust`] of calls that something is made for beforehand, and which end it.
#[track_caller]
fn exhaust_built<C: FnOnce() -> Outcome>(name: &str, mut make: impl FnMut() -> C) {
    for granted in 0..64 {
        let call = make();
        REFUSED.set(0);
        LEFT.set(granted);
        let outcome = call();
        LEFT.set(usize::MAX);
        match outcome {
            Ok(()) if REFUSED.get() == 0 => return,
            Ok(()) => {}
            Err(cause) => {
                assert_eq!((cause, REFUSED.get() > 0), (Cause::Allocator, true), "{name}, {granted}")
            }
        }
    }
    panic!("{name}: there is no end to it");
}

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[&[
        ("first", || exhaust("the first arena of a process", || outcome(Arena::try_new()))),
        ("first vector", || exhaust("the first vector", || outcome(GrowVec::<u8>::try_with_capacity(1)))),
        ("address space", address_space),
    ]]);
}

/// What a process finds out once is found out then, or is an error and found out later.
#[test]
fn the_first_region_of_a_process() {
    for case in ["first", "first vector"] {
        support::child(case).assert_success();
    }
}

#[test]
fn arenas() {
    warm_up();
    exhaust("new", || outcome(Arena::try_new()));
    exhaust("capacity", || outcome(Arena::try_with_capacity(1 << 20)));
    exhaust("named", || {
        outcome(Arena::builder().name("a name that is longer than any inline string").try_build())
    });
    exhaust("named by a string", || {
        let name = ["made", " before"];
        outcome(Arena::builder().name(name[0]).limit(1 << 20).try_build())
    });
    exhaust("aligned", || outcome(Arena::<64>::try_with_min_align_and_capacity(4096)));
    exhaust("shared", || outcome(SharedArena::try_new()));
    exhaust("raw", || outcome(Region::builder().reserve(1 << 20).try_build()));
    let arena = Arena::new();
    let shared = SharedArena::new();
    exhaust("allocations", || {
        outcome(arena.try_alloc(1u64))?;
        outcome(arena.try_alloc_slice_fill_with(100_000, |i| i))?;
        outcome(arena.try_alloc_iter((0..1000).filter(|n| n % 3 == 0)))?;
        outcome(arena.try_alloc_fmt(format_args!("{}-{:?}", 1, "x")))?;
        outcome(arena.try_alloc_box(7u8))?;
        outcome(arena.commit_ahead(1 << 20))?;
        outcome(shared.try_alloc_str("shared"))?;
        outcome(shared.local().try_alloc_slice_copy(&[1u8; 1000]))
    });
    let mut guarded = Region::builder().reserve(64 << 20).build();
    let mut at = 0..support::raw::page();
    exhaust("guards", || {
        at = at.end..at.end + support::raw::page();
        // SAFETY: nobody uses the region.
        outcome(unsafe { guarded.guard_at(at.clone()) })
    });
    let policy = || GuardPolicy::default().at(0x10000..0x20000).at(0x40000..0x50000);
    exhaust_built("placed guards", || {
        let policy = policy();
        move || outcome(Arena::builder().guard(policy).try_build())
    });
}

#[test]
fn errors_need_no_memory() {
    warm_up();
    let arena = Arena::builder().name("full").limit(8).build();
    needs_none("an allocation that fails", || {
        let error = arena.try_alloc([0u8; 9]).unwrap_err();
        let mut text = [0u8; 200];
        write!(&mut text[..], "{error}").unwrap();
        assert!(text.starts_with(b"arena \"full\" out of memory"));
    });
    let refused = needs_none("options that cannot be", || {
        (Arena::builder().limit(0).try_build(), Arena::builder().head(1 << 60).try_build())
    });
    assert!(matches!(refused.0, Err(BuildError::Limit { .. })));
    assert!(matches!(refused.1, Err(BuildError::AddressSpace { .. })) || !support::reserves());
    if !support::reserves() {
        return; // (and has no files)
    }
    // (A text that there is no memory for is cut off.)
    exhaust_built("a directory that is not there", || {
        let backing = Backing::Temp("/nowhere/at/all".into());
        || match Arena::builder().backing(backing).try_build() {
            Err(BuildError::File { error, .. }) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => outcome(other),
        }
    });
}

#[test]
fn arenas_in_files() {
    warm_up();
    let Some(dir) = support::files::directory() else { return };
    let directory = || std::mem::ManuallyDrop::new(dir.path().to_owned());
    let mut paths: Vec<_> = (0..64).map(|_| std::mem::ManuallyDrop::into_inner(directory())).collect();
    exhaust_built("in a file", || {
        let path = paths.pop().unwrap();
        move || outcome(Arena::builder().reserve(1 << 20).backing(Backing::Temp(path)).try_build())
    });
    let mut paths: Vec<_> = (0..64).map(|_| dir.path().to_owned()).collect();
    exhaust_built("spilling", || {
        let response = Response::Spill(paths.pop().unwrap());
        move || match Arena::builder().reserve(1 << 20).on_refusal(response).try_build() {
            // (A directory in memory, or one that cannot be spilled to.)
            Err(BuildError::File { error, .. }) if error.kind() != std::io::ErrorKind::OutOfMemory => Ok(()),
            built => outcome(built),
        }
    });
    fn hook(_: &OutOfMemory) -> Answer {
        Answer::Die
    }
    // SAFETY: the hook does nothing.
    exhaust("hooked", || outcome(Arena::builder().on_refusal(unsafe { Response::hook(hook) }).try_build()));
}

/// The system's limit: malloc has taken everything, and the error names that.
fn address_space() {
    support::limits::limit_address_space(256 << 20);
    let mut blocks = Vec::with_capacity(100_000);
    let mut size = 64 << 20;
    while size >= 16 {
        // SAFETY: the block is not used.
        let block = unsafe { libc::malloc(size) };
        if block.is_null() {
            size /= 2;
        } else if blocks.len() < blocks.capacity() {
            blocks.push(block);
        }
    }
    let errors = [
        Arena::try_new().map(drop),
        Arena::try_with_capacity(1 << 20).map(drop),
        GrowVec::<u8>::try_with_capacity(1).map(drop),
        SharedArena::try_new().map(drop),
        SharedVec::<u8>::try_with_max(1).map(drop),
        ArenaPool::new().try_get().map(drop),
        Arena::builder().name("checked").checked().try_build().map(drop).map_err(OutOfMemory::from),
    ]
    .map(Result::err);
    // SAFETY: each was allocated above.
    blocks.into_iter().for_each(|block| unsafe { libc::free(block) });
    for (n, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("{n} was made"));
        assert_eq!(error.cause(), Cause::RlimitAs, "{n}: {error}");
    }
}

#[test]
fn all_of_the_address_space_is_mallocs() {
    if support::reserves() {
        support::child("address space").assert_success();
    }
}
