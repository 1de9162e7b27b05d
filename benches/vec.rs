//! A vector that never moves beside `Vec`: filling from empty, appending where memory is, iterating, many at once.
//!
//! `Vec` takes its memory from `malloc`, which requests huge pages only with
//! `GLIBC_TUNABLES=glibc.malloc.hugetlb=1`.

mod support;

use highwater::{GrowVec, Growth, HugePages};
use std::hint::black_box;
use support::{Options, Random, Table, job, nanoseconds_each, peak_of, print_peak, seconds, warm};

const MIB: usize = 1 << 20;
const OURS: &str = "highwater, GrowVec";
const UPFRONT: &str = "highwater, GrowVec, kernel paging";
const BOUNDED: &str = "highwater, GrowVec::with_max";
const VEC: &str = "Vec";
const WITH_CAPACITY: &str = "Vec::with_capacity";
/// How many vectors grow at once.
const VECTORS: usize = 1_000;

/// The same jobs for both kinds of vector.
macro_rules! jobs {
    ($push:ident, $push_on:ident, $extend:ident, $slices:ident, $sum:ident, $many:ident, $type:ident) => {
        #[inline(never)]
        fn $push(make: impl FnOnce() -> $type<u32>, count: u32) -> $type<u32> {
            let mut vec = make();
            for i in 0..count {
                vec.push(i);
            }
            vec
        }

        /// The same, onto a vector behind a reference.
        #[inline(never)]
        fn $push_on(vec: &mut $type<u32>, count: u32) {
            for i in 0..count {
                vec.push(i);
            }
        }

        #[inline(never)]
        fn $extend(mut vec: $type<u32>, count: u32) -> $type<u32> {
            vec.extend(0..count);
            vec
        }

        #[inline(never)]
        fn $slices(mut vec: $type<u32>, count: u32, slice: &[u32]) -> $type<u32> {
            for _ in 0..count as usize / slice.len() {
                vec.extend_from_slice(slice);
            }
            vec
        }

        #[inline(never)]
        fn $sum(vec: &$type<u32>) -> u64 {
            let mut sum = 0;
            for &value in vec {
                sum += u64::from(value);
            }
            sum
        }

        #[inline(never)]
        fn $many(turns: &[u16], make: impl Fn() -> $type<u64>) -> Vec<$type<u64>> {
            let mut vectors: Vec<$type<u64>> = (0..VECTORS).map(|_| make()).collect();
            for (i, &turn) in turns.iter().enumerate() {
                vectors[usize::from(turn)].push(i as u64);
            }
            vectors
        }
    };
}

jobs!(push_ours, push_on_ours, extend_ours, slices_ours, sum_ours, many_ours, GrowVec);
jobs!(push_vec, push_on_vec, extend_vec, slices_vec, sum_vec, many_vec, Vec);

#[inline(never)]
fn sum_slice(slice: &[u32]) -> u64 {
    let mut sum = 0;
    for &value in slice {
        sum += u64::from(value);
    }
    sum
}

fn ours(growth: Growth, pages: HugePages) -> GrowVec<u32> {
    GrowVec::<u32>::builder().growth(growth).huge_pages(pages).build()
}

/// Filling from empty. Making is timed, and so is growing; giving the memory back is not.
fn cold(options: &Options, count: u32) {
    let bytes = count as usize * 4;
    let size = format!("{} Mi u32 from empty", count >> 20);
    let slice: Vec<u32> = (0..1024).collect();
    let slice = &slice[..];
    type Fill<'a, V> = &'a dyn Fn(V) -> V;
    let both = |title: &str, pages: Option<HugePages>, fill: Fill<GrowVec<u32>>, fill_vec: Fill<Vec<u32>>| {
        let mut table = Table::new(options, format!("{title}, {size}"), "s", 9);
        table.row(OURS, || {
            warm(bytes);
            // Without a policy for pages it is the default vector.
            let new = || pages.map_or_else(GrowVec::new, |pages| ours(Growth::default(), pages));
            seconds(|| fill(new())).0
        });
        table.row(UPFRONT, || {
            warm(bytes);
            seconds(|| fill(ours(Growth::Upfront, pages.unwrap_or_default()))).0
        });
        table.row(VEC, || {
            warm(bytes);
            seconds(|| fill_vec(Vec::new())).0
        });
        table.row(WITH_CAPACITY, || {
            warm(bytes);
            seconds(|| fill_vec(Vec::with_capacity(count as usize))).0
        });
        table.run()
    };
    let push =
        |pages, title| both(title, pages, &|vec| push_ours(|| vec, count), &|vec| push_vec(|| vec, count));
    if let Some(results) = push(None, "push, huge pages allowed") {
        results.compare(&[OURS]);
        results.aim(OURS, VEC, 1.8);
        results.aim(OURS, WITH_CAPACITY, 1.8);
    }
    if let Some(results) = push(Some(HugePages::Never), "push, no huge pages") {
        results.compare(&[OURS]);
    }
    let title = "extend with a range, huge pages allowed";
    if let Some(results) = both(title, None, &|vec| extend_ours(vec, count), &|vec| extend_vec(vec, count)) {
        results.compare(&[OURS]);
    }
    let title = "extend_from_slice of 1,024, huge pages allowed";
    let ours = |vec| slices_ours(vec, count, slice);
    if let Some(results) = both(title, None, &ours, &|vec| slices_vec(vec, count, slice)) {
        results.compare(&[OURS]);
    }
}

/// Appending where the memory is there and in the caches: what the call itself costs.
fn warm_calls(options: &Options) {
    const COUNT: u32 = 64 << 10;
    let times = options.size(200, 20);
    let slice: Vec<u32> = (0..64).collect();
    let slice = &slice[..];
    type Fill<'a, V> = &'a dyn Fn(V) -> V;
    let both = |what: &str, fill: Fill<GrowVec<u32>>, fill_vec: Fill<Vec<u32>>| {
        let title = format!("Warm: {what}, {} Ki u32 again and again", COUNT >> 10);
        let mut table = Table::new(options, title, "ns each", 41);
        let mut vec = fill(GrowVec::new());
        table.row(OURS, move || {
            let each = nanoseconds_each(times, || {
                vec.clear();
                vec = fill(black_box(std::mem::take(&mut vec)));
            });
            each / f64::from(COUNT)
        });
        let mut vec = fill_vec(Vec::new());
        table.row(VEC, move || {
            let each = nanoseconds_each(times, || {
                vec.clear();
                vec = fill_vec(black_box(std::mem::take(&mut vec)));
            });
            each / f64::from(COUNT)
        });
        if let Some(results) = table.run() {
            results.compare(&[OURS]);
            results.aim(OURS, VEC, 1.0);
        }
    };
    both("push onto a local vector", &|vec| push_ours(|| vec, COUNT), &|vec| push_vec(|| vec, COUNT));
    let ours = |mut vec| {
        push_on_ours(&mut vec, COUNT);
        vec
    };
    let theirs = |mut vec| {
        push_on_vec(&mut vec, COUNT);
        vec
    };
    both("push through a reference", &ours, &theirs);
    both("extend with a range", &|vec| extend_ours(vec, COUNT), &|vec| extend_vec(vec, COUNT));
    let ours = |vec| slices_ours(vec, COUNT, slice);
    both("extend_from_slice of 64", &ours, &|vec| slices_vec(vec, COUNT, slice));
}

fn iteration(options: &Options) {
    for (count, what) in
        [(64 << 10, "64 Ki u32, in the caches"), (options.size(64 << 20, 4 << 20), "64 Mi u32")]
    {
        let times = options.size(1 << 30, 1 << 25) / count;
        let each = move |work: &mut dyn FnMut() -> u64| {
            nanoseconds_each(times, || _ = black_box(work())) / count as f64
        };
        let grown = extend_ours(GrowVec::new(), count as u32);
        let plain = extend_vec(Vec::new(), count as u32);
        let mut table = Table::new(options, format!("Iteration over {what}"), "ns each", 21);
        table.row(OURS, || each(&mut || sum_ours(black_box(&grown))));
        table.row("a slice of the same memory", || each(&mut || sum_slice(black_box(grown.as_slice()))));
        table.row(VEC, || each(&mut || sum_vec(black_box(&plain))));
        if let Some(results) = table.run() {
            results.compare(&[OURS]);
            results.aim(OURS, "a slice of the same memory", 1.0);
        }
    }
}

/// Which vector each push goes to.
fn turns(pushes: usize) -> Vec<u16> {
    let mut random = Random(11);
    (0..pushes).map(|_| random.below(VECTORS as u64) as u16).collect()
}

fn many(options: &Options) {
    for each in [1 << 10, options.size(32 << 10, 8 << 10), options.size(128 << 10, 16 << 10)] {
        let turns = turns(each * VECTORS);
        let bytes = turns.len() * 8;
        let size =
            format!("{VECTORS} at once from empty, random pushes, about {} KiB of u64 each", each * 8 / 1024);
        let mut table = Table::new(options, size, "ns per push", 9);
        let per_push = move |seconds: f64| seconds * 1e9 / (each * VECTORS) as f64;
        table.row(OURS, || {
            warm(2 * bytes);
            per_push(seconds(|| many_ours(&turns, GrowVec::new)).0)
        });
        table.row(BOUNDED, || {
            warm(2 * bytes);
            per_push(seconds(|| many_ours(&turns, || GrowVec::with_max(2 * each))).0)
        });
        table.row(VEC, || {
            warm(2 * bytes);
            per_push(seconds(|| many_vec(&turns, Vec::new)).0)
        });
        if let Some(results) = table.run() {
            results.compare(&[OURS, BOUNDED]);
        }
    }
}

/// What each process of the table about memory does: nothing but this.
fn do_job(name: &str, options: &Options) {
    let count = count(options);

    match name {
        "push GrowVec" => drop(black_box(push_ours(GrowVec::new, count))),
        "push Vec" => drop(black_box(push_vec(Vec::new, count))),
        "push with capacity" => drop(black_box(push_vec(|| Vec::with_capacity(count as usize), count))),
        _ => {
            let (what, each) = name.rsplit_once(' ').expect("a job names its size");
            let turns = turns(each.parse::<usize>().expect("a size is a number") * VECTORS);
            match what {
                "many GrowVec" => drop(black_box(many_ours(&turns, GrowVec::new))),
                "many Vec" => drop(black_box(many_vec(&turns, Vec::new))),
                _ => panic!("no job {name}"),
            }
        }
    }
    print_peak();
}

/// Each contender in a process of its own, whose peak is all of it: the program, the data, and what is beside it.
fn memory(options: &Options) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let quick: &[&str] = if options.quick { &["--quick"] } else { &[] };
    let bytes = count(options) as usize * 4;
    let title = format!("Peak memory of a process that pushes {} Mi u32", bytes / MIB / 4);
    let mut table = Table::new(options, title, "x data", 3);
    for (row, job) in [(OURS, "push GrowVec"), (VEC, "push Vec"), (WITH_CAPACITY, "push with capacity")] {
        table.row(row, move || peak_of(job, quick) / bytes as f64);
    }
    if let Some(results) = table.run() {
        results.below(OURS, 1.05);
    }
    for each in [1 << 10, options.size(32 << 10, 8 << 10), options.size(128 << 10, 16 << 10)] {
        let title = format!("Peak memory of {VECTORS} at once, about {} KiB of u64 each", each * 8 / 1024);
        let mut table = Table::new(options, title, "x data", 3);
        for (row, what) in [(OURS, "many GrowVec"), (VEC, "many Vec")] {
            // The list of turns is the job's own.
            let (data, turns) = ((each * VECTORS * 8) as f64, (each * VECTORS * 2) as f64);
            table.row(row, move || (peak_of(&format!("{what} {each}"), quick) - turns) / data);
        }
        if let Some(results) = table.run() {
            results.compare(&[OURS]);
        }
    }
}

fn count(options: &Options) -> u32 {
    options.size(256 * MIB, 32 * MIB) as u32
}

fn main() {
    if let Some(name) = job() {
        let quick = std::env::args().any(|argument| argument == "--quick");
        return do_job(&name, &Options::plain(quick));
    }
    let options = Options::parse();
    cold(&options, count(&options));
    warm_calls(&options);
    iteration(&options);
    many(&options);
    memory(&options);
}
