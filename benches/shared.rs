//! Arenas that threads share: small values from one and from two threads, beside a lock and an arena a thread.

mod support;

use bumpalo::Bump;
use bumpalo_herd::Herd;
use highwater::{Arena, LocalArena, SharedArena};
use std::cell::OnceCell;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use support::{Options, Table, seconds_together, warm};

const SHARED: &str = "highwater, SharedArena";
const LOCAL: &str = "highwater, local()";
const ARENA: &str = "highwater, an Arena a thread";
const MUTEX: &str = "Mutex<Bump>";
const HERD: &str = "bumpalo-herd";
const THREAD_LOCAL: &str = "thread_local! Bump";
const BUMP: &str = "a Bump a thread";

thread_local! {
    static BUMP_OF_THREAD: OnceCell<Bump> = const { OnceCell::new() };
}

/// What is allocated.
trait Value: Send + Sync + 'static {
    fn of(i: u64) -> Self;
}

impl Value for u64 {
    fn of(i: u64) -> Self {
        i
    }
}

impl Value for [u64; 4] {
    fn of(i: u64) -> Self {
        [i, i, i, i]
    }
}

/// `count` values, one allocation each; the address of the last one keeps the compiler from knowing better.
macro_rules! fill {
    ($name:ident, $arena:ident: $type:ty, |$value:ident| $alloc:expr) => {
        #[inline(never)]
        fn $name<V: Value>($arena: $type, count: u64) {
            let mut last: *const V = std::ptr::null();
            for i in 0..count {
                let $value = V::of(i);
                last = $alloc;
            }
            black_box(last);
        }
    };
}

fill!(fill_shared, arena: &SharedArena, |value| arena.alloc(value));
fill!(fill_local, arena: &LocalArena<'_>, |value| arena.alloc(value));
fill!(fill_arena, arena: &Arena, |value| arena.alloc(value));
fill!(fill_bump, bump: &Bump, |value| bump.alloc(value));
fill!(fill_member, member: &bumpalo_herd::Member<'_>, |value| member.alloc(value));
fill!(fill_mutex, bump: &Mutex<Bump>, |value| {
    &*bump.lock().unwrap_or_else(PoisonError::into_inner).alloc(value)
});
fill!(fill_thread_local, _bump: (), |value| BUMP_OF_THREAD.with(|bump| &raw const *bump.get_or_init(Bump::new).alloc(value)));

/// From empty. Making an arena is timed where each thread has its own; the one that all share is made by the first.
fn cold<V: Value>(options: &Options, what: &str, threads: usize, bytes: usize) {
    let count = (bytes / threads / size_of::<V>()) as u64;
    let title = format!("Cold, {} MiB of {what} from {}", bytes >> 20, number(threads));
    let mut table = Table::new(options, title, "ns each", 9);
    let each = move |seconds: f64| seconds * 1e9 / (count * threads as u64) as f64;
    table.row(SHARED, || {
        warm(bytes);
        let arena = SharedArena::new();
        each(seconds_together(threads, |_| (), |_, ()| fill_shared::<V>(&arena, count)))
    });
    table.row(LOCAL, || {
        warm(bytes);
        let arena = SharedArena::new();
        each(seconds_together(threads, |_| arena.local(), |_, local| fill_local::<V>(local, count)))
    });
    table.row(ARENA, || {
        warm(bytes);
        each(seconds_together(threads, |_| Arena::new(), |_, arena| fill_arena::<V>(arena, count)))
    });
    table.row(MUTEX, || {
        warm(bytes);
        let bump = Mutex::new(Bump::new());
        each(seconds_together(threads, |_| (), |_, ()| fill_mutex::<V>(&bump, count)))
    });
    table.row(HERD, || {
        warm(bytes);
        let herd = Herd::new();
        each(seconds_together(threads, |_| herd.get(), |_, member| fill_member::<V>(member, count)))
    });
    table.row(THREAD_LOCAL, || {
        warm(bytes);
        each(seconds_together(threads, |_| (), |_, ()| fill_thread_local::<V>((), count)))
    });
    table.row(BUMP, || {
        warm(bytes);
        each(seconds_together(threads, |_| Bump::new(), |_, bump| fill_bump::<V>(bump, count)))
    });
    if let Some(results) = table.run() {
        results.compare(&[SHARED, LOCAL]);
        aims(&results, threads);
    }
}

fn aims(results: &support::Results, threads: usize) {
    results.aim(SHARED, MUTEX, if threads == 1 { 1.5 } else { 1.2 });
    results.aim(LOCAL, ARENA, 0.9);
}

/// Into memory that is there already: as much again and again, in passes, with a reset in between.
fn in_passes<V: Value>(options: &Options, what: &str, threads: usize) {
    // What all threads together allocate between two resets.
    const BYTES: usize = 1 << 20;
    let passes = options.size(100, 20);
    let count = (BYTES / threads / size_of::<V>()) as u64;
    let title = format!("Warm, {what} from {}, a reset every MiB", number(threads));
    let mut table = Table::new(options, title, "ns each", 21);
    let each = move |seconds: f64| seconds * 1e9 / (count * threads as u64) as f64 / passes as f64;
    // Capacity for all, so that no arena grows and a reset keeps one chunk.
    let room = 4 * BYTES;
    let mut arena = SharedArena::new();
    table.row(SHARED, move || {
        each((0..=passes).fold(0.0, |sum, pass| {
            arena.reset();
            let time = seconds_together(threads, |_| (), |_, ()| fill_shared::<V>(&arena, count));
            after_first(pass, sum, time)
        }))
    });
    let mut arena = SharedArena::new();
    table.row(LOCAL, move || {
        each((0..=passes).fold(0.0, |sum, pass| {
            arena.reset();
            let time = seconds_together(threads, |_| arena.local(), |_, local| fill_local::<V>(local, count));
            after_first(pass, sum, time)
        }))
    });
    let arenas: Vec<_> = (0..threads).map(|_| Mutex::new(Arena::with_capacity(room))).collect();
    table.row(ARENA, move || {
        each((0..=passes).fold(0.0, |sum, pass| {
            let own = |index: usize| {
                let mut arena = arenas[index].lock().expect("no thread panics");
                arena.reset();
                arena
            };
            let time = seconds_together(threads, own, |_, arena| fill_arena::<V>(arena, count));
            after_first(pass, sum, time)
        }))
    });
    let mut bump = Mutex::new(Bump::with_capacity(room));
    table.row(MUTEX, move || {
        each((0..=passes).fold(0.0, |sum, pass| {
            bump.get_mut().expect("no thread panics").reset();
            let time = seconds_together(threads, |_| (), |_, ()| fill_mutex::<V>(&bump, count));
            after_first(pass, sum, time)
        }))
    });
    let mut herd = Herd::new();
    table.row(HERD, move || {
        // Chunks double, and the last is kept: after three passes it has room for all.
        (0..3).for_each(|_| {
            herd.reset();
            seconds_together(threads, |_| herd.get(), |_, member| fill_member::<V>(member, count));
        });
        each((0..=passes).fold(0.0, |sum, pass| {
            herd.reset();
            let time = seconds_together(threads, |_| herd.get(), |_, member| fill_member::<V>(member, count));
            after_first(pass, sum, time)
        }))
    });
    table.row(THREAD_LOCAL, move || {
        each((0..=passes).fold(0.0, |sum, pass| {
            // The thread's own memory goes with the thread, so each warms its own.
            let prepare = |_| {
                let mut bump = Bump::with_capacity(room);
                fill_bump::<V>(&bump, count);
                bump.reset();
                BUMP_OF_THREAD.with(|own| own.set(bump)).expect("the thread is new");
            };
            let time = seconds_together(threads, prepare, |_, ()| fill_thread_local::<V>((), count));
            after_first(pass, sum, time)
        }))
    });
    let bumps: Vec<_> = (0..threads).map(|_| Mutex::new(Bump::with_capacity(room))).collect();
    table.row(BUMP, move || {
        each((0..=passes).fold(0.0, |sum, pass| {
            let own = |index: usize| {
                let mut bump = bumps[index].lock().expect("no thread panics");
                bump.reset();
                bump
            };
            let time = seconds_together(threads, own, |_, bump| fill_bump::<V>(bump, count));
            after_first(pass, sum, time)
        }))
    });
    if let Some(results) = table.run() {
        results.compare(&[SHARED, LOCAL]);
        aims(&results, threads);
    }
}

/// The first pass touches the memory; it does not count.
fn after_first(pass: usize, sum: f64, time: f64) -> f64 {
    if pass == 0 { 0.0 } else { sum + time }
}

fn number(threads: usize) -> &'static str {
    if threads == 1 { "one thread" } else { "two threads" }
}

fn main() {
    let options = Options::parse();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let bytes = options.size(512 << 20, 64 << 20);
    for threads in 1..=2.min(cores) {
        in_passes::<u64>(&options, "u64", threads);
        in_passes::<[u64; 4]>(&options, "[u64; 4]", threads);
        cold::<u64>(&options, "u64", threads, bytes);
        cold::<[u64; 4]>(&options, "[u64; 4]", threads, bytes);
    }
    if cores < 2 {
        println!("there is one core: nothing is measured on two threads");
    }
}
