//! Appending through `&self`: one thread and two, and reading meanwhile, beside boxcar and a vector under a lock.

mod support;

use highwater::{AppendVec, GrowVec, SharedVec};
use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use support::{Options, Random, Table, seconds_together, warm};

const SHARED: &str = "highwater, SharedVec";
const PINNED: &str = "highwater, SharedVec::push_pinned";
const APPEND: &str = "highwater, AppendVec";
const GROW: &str = "highwater, GrowVec";
const BOXCAR: &str = "boxcar::Vec";
const MUTEX: &str = "Mutex<Vec>";
const RW_LOCK: &str = "RwLock<Vec>";
const VEC: &str = "Vec";

fn lock<T>(vec: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    vec.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `count` pushes, which may be none of the compiler's to know.
macro_rules! pushes {
    ($name:ident, $vec:ident: $type:ty, |$i:ident| $push:expr) => {
        #[inline(never)]
        fn $name($vec: $type, count: u64) {
            for $i in 0..count {
                $push;
            }
        }
    };
}

pushes!(push_shared, vec: &SharedVec<u64>, |i| vec.push(i));
pushes!(push_boxcar, vec: &boxcar::Vec<u64>, |i| vec.push(i));
pushes!(push_mutex, vec: &Mutex<Vec<u64>>, |i| lock(vec).push(i));
pushes!(push_rw_lock, vec: &RwLock<Vec<u64>>, |i| {
    vec.write().unwrap_or_else(PoisonError::into_inner).push(i)
});
pushes!(push_grow, vec: &mut GrowVec<u64>, |i| vec.push(i));
pushes!(push_vec, vec: &mut Vec<u64>, |i| vec.push(i));

#[inline(never)]
fn push_pinned(vec: &SharedVec<u64>, count: u64) {
    let mut last = &0;
    for i in 0..count {
        last = vec.push_pinned(i);
    }
    black_box(last);
}

#[inline(never)]
fn push_append(vec: &AppendVec<u64>, count: u64) {
    let mut last = &0;
    for i in 0..count {
        last = vec.push_pinned(i);
    }
    black_box(last);
}

/// Making is not timed, growing is: what grows is the one vector that all share.
fn cold(options: &Options, threads: usize, count: usize) {
    let each_thread = (count / threads) as u64;
    let title = format!("From empty, {} Mi u64 from {}", count >> 20, number(threads));
    let mut table = Table::new(options, title, "ns per push", 9);
    let each = move |seconds: f64| seconds * 1e9 / count as f64;
    let bytes = count * 8;
    table.row(SHARED, move || {
        warm(bytes);
        let vec = SharedVec::new();
        each(seconds_together(threads, |_| (), |_, ()| push_shared(&vec, each_thread)))
    });
    table.row(PINNED, move || {
        warm(bytes);
        let vec = SharedVec::new();
        each(seconds_together(threads, |_| (), |_, ()| push_pinned(&vec, each_thread)))
    });
    table.row(BOXCAR, move || {
        warm(bytes);
        let vec = boxcar::Vec::new();
        each(seconds_together(threads, |_| (), |_, ()| push_boxcar(&vec, each_thread)))
    });
    table.row(MUTEX, move || {
        warm(bytes);
        let vec = Mutex::new(Vec::new());
        each(seconds_together(threads, |_| (), |_, ()| push_mutex(&vec, each_thread)))
    });
    if threads == 1 {
        // What one thread has without sharing.
        table.row(APPEND, move || {
            warm(bytes);
            each(seconds_together(1, |_| AppendVec::new(), |_, vec| push_append(vec, each_thread)))
        });
        table.row(GROW, move || {
            warm(bytes);
            each(seconds_together(1, |_| GrowVec::new(), |_, vec| push_grow(vec, each_thread)))
        });
        table.row(VEC, move || {
            warm(bytes);
            each(seconds_together(1, |_| Vec::new(), |_, vec| push_vec(vec, each_thread)))
        });
    }
    if let Some(results) = table.run() {
        results.compare(&[SHARED, PINNED]);
        if threads == 1 {
            results.aim(APPEND, GROW, 0.9);
        }
    }
}

/// Into memory that is there already: a vector that was filled and cleared.
fn warm_pushes(options: &Options, threads: usize) {
    const COUNT: usize = 128 << 10;
    let passes = options.size(50, 10);
    let each_thread = (COUNT / threads) as u64;
    let title = format!("Warm, {} Ki u64 again and again from {}", COUNT >> 10, number(threads));
    let mut table = Table::new(options, title, "ns per push", 21);
    // Filled once, which does not count, and then cleared before each pass.
    let each = move |pass: &mut dyn FnMut() -> f64| {
        pass();
        (0..passes).map(|_| pass()).sum::<f64>() * 1e9 / (COUNT * passes) as f64
    };
    let mut vec = SharedVec::new();
    table.row(SHARED, move || {
        each(&mut || {
            vec.clear();
            seconds_together(threads, |_| (), |_, ()| push_shared(&vec, each_thread))
        })
    });
    let mut vec = SharedVec::new();
    table.row(PINNED, move || {
        each(&mut || {
            vec.clear();
            seconds_together(threads, |_| (), |_, ()| push_pinned(&vec, each_thread))
        })
    });
    let mut vec = boxcar::Vec::new();
    table.row(BOXCAR, move || {
        each(&mut || {
            vec.clear();
            seconds_together(threads, |_| (), |_, ()| push_boxcar(&vec, each_thread))
        })
    });
    let vec = Mutex::new(Vec::new());
    table.row(MUTEX, move || {
        each(&mut || {
            lock(&vec).clear();
            seconds_together(threads, |_| (), |_, ()| push_mutex(&vec, each_thread))
        })
    });
    if let Some(results) = table.run() {
        results.compare(&[SHARED, PINNED]);
    }
}

/// What one thread does while the other does the opposite until the first has finished.
fn beside(work: impl Fn() + Sync, other: impl Fn() + Sync) -> f64 {
    let done = AtomicBool::new(false);
    let time = std::sync::Mutex::new(0.0);
    seconds_together(
        2,
        |_| (),
        |index, ()| {
            if index == 0 {
                let (seconds, ()) = support::seconds(&work);
                done.store(true, Relaxed);
                *time.lock().expect("no thread panics") = seconds;
            } else {
                while !done.load(Relaxed) {
                    other();
                }
            }
        },
    );
    time.into_inner().expect("no thread panics")
}

/// How many random values a reader looks at each time that it asks how many there are.
const LOOKS: u64 = 16;

/// Reads at random places of what is published: `times` times sixteen.
macro_rules! reads {
    ($name:ident, $vec:ident: $type:ty, |$index:ident| $get:expr, $len:expr) => {
        #[inline(never)]
        fn $name($vec: $type, times: u64) {
            let (mut random, mut sum) = (Random(3), 0u64);
            for _ in 0..times {
                let len = $len as u64;
                for _ in 0..LOOKS.min(len) {
                    let $index = random.below(len) as usize;
                    sum = sum.wrapping_add($get);
                }
            }
            black_box(sum);
        }
    };
}

reads!(read_shared, vec: &SharedVec<u64>, |index| vec[index], vec.len());
reads!(read_boxcar, vec: &boxcar::Vec<u64>, |index| *vec.get(index).unwrap_or(&0), vec.count());
reads!(read_mutex, vec: &Mutex<Vec<u64>>, |index| lock(vec)[index], lock(vec).len());
reads!(read_rw_lock, vec: &RwLock<Vec<u64>>,
    |index| vec.read().unwrap_or_else(PoisonError::into_inner)[index],
    vec.read().unwrap_or_else(PoisonError::into_inner).len());

/// One thread pushes, another one reads.
fn both_ways(options: &Options) {
    let before = options.size(1 << 20, 1 << 18) as u64;
    let count = options.size(4 << 20, 1 << 18) as u64;
    // So few at a time that the other stops soon after the one.
    const FEW: u64 = 64;

    let mut table = Table::new(options, "Pushing from empty while another thread reads", "ns per push", 9);
    let each = move |seconds: f64| seconds * 1e9 / count as f64;
    table.row(SHARED, move || {
        let vec = SharedVec::new();
        each(beside(|| push_shared(&vec, count), || read_shared(&vec, FEW)))
    });
    table.row(BOXCAR, move || {
        let vec = boxcar::Vec::new();
        each(beside(|| push_boxcar(&vec, count), || read_boxcar(&vec, FEW)))
    });
    table.row(MUTEX, move || {
        let vec = Mutex::new(Vec::new());
        each(beside(|| push_mutex(&vec, count), || read_mutex(&vec, FEW)))
    });
    table.row(RW_LOCK, move || {
        let vec = RwLock::new(Vec::new());
        each(beside(|| push_rw_lock(&vec, count), || read_rw_lock(&vec, FEW)))
    });
    if let Some(results) = table.run() {
        results.compare(&[SHARED]);
    }

    let times = count / LOOKS / 4;
    let title = format!("Reading at random from {} Ki u64 while another thread pushes", before >> 10);
    let mut table = Table::new(options, title, "ns per read", 9);
    let each = move |seconds: f64| seconds * 1e9 / (times * LOOKS) as f64;
    table.row(SHARED, move || {
        let vec = SharedVec::new();
        push_shared(&vec, before);
        each(beside(|| read_shared(&vec, times), || push_shared(&vec, FEW)))
    });
    table.row(BOXCAR, move || {
        let vec = boxcar::Vec::new();
        push_boxcar(&vec, before);
        each(beside(|| read_boxcar(&vec, times), || push_boxcar(&vec, FEW)))
    });
    table.row(MUTEX, move || {
        let vec = Mutex::new(Vec::new());
        push_mutex(&vec, before);
        each(beside(|| read_mutex(&vec, times), || push_mutex(&vec, FEW)))
    });
    table.row(RW_LOCK, move || {
        let vec = RwLock::new(Vec::new());
        push_rw_lock(&vec, before);
        each(beside(|| read_rw_lock(&vec, times), || push_rw_lock(&vec, FEW)))
    });
    if let Some(results) = table.run() {
        results.compare(&[SHARED]);
    }
}

fn number(threads: usize) -> &'static str {
    if threads == 1 { "one thread" } else { "two threads" }
}

fn main() {
    let options = Options::parse();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = options.size(32 << 20, 4 << 20);
    for threads in 1..=2.min(cores) {
        warm_pushes(&options, threads);
        cold(&options, threads, count);
    }
    if cores > 1 {
        both_ways(&options);
    } else {
        println!("there is one core: nothing is measured on two threads");
    }
}
