//! A hash map whose tables are in an arena: building, looking up and dropping, beside malloc and bumpalo.

mod support;

use allocator_api2::alloc::{Allocator, Global};
use bumpalo::Bump;
use hashbrown::{DefaultHashBuilder, HashMap};
use highwater::Arena;
use std::hint::black_box;
use support::{Options, Random, Results, Table, nanoseconds_each, seconds, warm};

type Map<A> = HashMap<u64, u64, DefaultHashBuilder, A>;

const ARENA: &str = "highwater, &Arena";
const BUMP: &str = "&Bump";
const MALLOC: &str = "malloc";

/// From empty, so that the table grows, and the old one is freed, again and again.
#[inline(never)]
fn build<A: Allocator>(keys: &[u64], alloc: A) -> Map<A> {
    let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), alloc);
    for &key in keys {
        map.insert(key, key ^ 1);
    }
    map
}

#[inline(never)]
fn look_up<A: Allocator>(map: &Map<A>, keys: &[u64]) -> u64 {
    keys.iter().fold(0, |sum, key| sum ^ map.get(key).copied().unwrap_or(0))
}

/// As many maps as there are keys by eight.
#[inline(never)]
fn build_small<A: Allocator + Copy>(keys: &[u64], alloc: A) -> Vec<Map<A>> {
    keys.chunks(8).map(|keys| build(keys, alloc)).collect()
}

fn keys(count: usize, seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    (0..count).map(|_| random.below(u64::MAX)).collect()
}

fn report(results: Option<Results>) {
    if let Some(results) = results {
        results.compare(&[ARENA]);
    }
}

fn one_large(options: &Options) {
    let keys = keys(options.size(4 << 20, 1 << 18), 1);
    let keys = &keys[..];
    let mut shuffled = keys.to_vec();
    let mut random = Random(2);
    (1..shuffled.len()).for_each(|i| shuffled.swap(i, random.below(i as u64 + 1) as usize));
    let size = format!("{} Ki entries of u64", keys.len() >> 10);
    let each = |seconds: f64| seconds * 1e9 / keys.len() as f64;
    // The tables, the old ones included.
    let bytes = keys.len() * 17 * 4;

    let mut table = Table::new(options, format!("Build a map of {size}"), "ns per entry", 9);
    table.row(ARENA, || {
        warm(bytes);
        let (time, arena) = seconds(|| {
            let arena = Arena::new();
            black_box(build(keys, &arena));
            arena
        });
        drop(arena);
        each(time)
    });
    table.row(BUMP, || {
        warm(bytes);
        let (time, bump) = seconds(|| {
            let bump = Bump::new();
            black_box(build(keys, &bump));
            bump
        });
        drop(bump);
        each(time)
    });
    table.row(MALLOC, || {
        warm(bytes);
        each(seconds(|| drop(black_box(build(keys, Global)))).0)
    });
    report(table.run());

    let (arena, bump) = (Arena::new(), Bump::new());
    let (ours, theirs, plain) = (build(keys, &arena), build(keys, &bump), build(keys, Global));
    let (used, chunks) = (arena.allocated_bytes(), bump.allocated_bytes());
    let mut table = Table::new(options, format!("Look up each once in a map of {size}"), "ns per entry", 9);
    table.row(ARENA, || each(seconds(|| look_up(&ours, &shuffled)).0));
    table.row(BUMP, || each(seconds(|| look_up(&theirs, &shuffled)).0));
    table.row(MALLOC, || each(seconds(|| look_up(&plain, &shuffled)).0));
    let results = table.run();
    if results.is_some() {
        let mib = |bytes: usize| bytes >> 20;
        let alive = plain.allocation_size();
        let (used, chunks, alive) = (mib(used), mib(chunks), mib(alive));
        println!(
            "  {ARENA} used {used} MiB, {BUMP} has chunks of {chunks} MiB, the map itself is {alive} MiB"
        );
    }
    report(results);
    // The maps borrow the arenas, which are dropped last.
    drop((ours, theirs, plain));
}

fn many_small(options: &Options) {
    let maps = options.size(100_000, 10_000);
    let keys = keys(maps * 8, 3);
    let keys = &keys[..];
    let times = 5;
    let title = format!("Build and drop {maps} maps of 8 entries, the memory kept");
    let mut table = Table::new(options, title, "ns per map", 15);
    let each = move |work: &mut dyn FnMut()| nanoseconds_each(times, work) / maps as f64;
    let mut arena = Arena::new();
    table.row(ARENA, move || {
        each(&mut || {
            drop(black_box(build_small(keys, &arena)));
            arena.reset();
        })
    });
    let mut bump = Bump::new();
    table.row(BUMP, move || {
        each(&mut || {
            drop(black_box(build_small(keys, &bump)));
            bump.reset();
        })
    });
    table.row(MALLOC, move || each(&mut || drop(black_box(build_small(keys, Global)))));
    report(table.run());

    let title = format!("Drop {maps} maps of 8 entries");
    let mut table = Table::new(options, title, "ns per map", 15);
    let mut arena = Arena::new();
    table.row(ARENA, move || {
        let built = build_small(keys, &arena);
        let time = seconds(|| drop(black_box(built))).0;
        arena.reset();
        time * 1e9 / maps as f64
    });
    let mut arena = Arena::new();
    table.row("highwater, &Arena, forgotten and reset", move || {
        // What an arena is for: values without destructors need not be dropped.
        // What an arena is for: values without destructors need not be dropped.
        build_small(keys, &arena).into_iter().for_each(std::mem::forget);
        let time = seconds(|| arena.reset()).0;
        time * 1e9 / maps as f64
    });
    let mut bump = Bump::new();
    table.row(BUMP, move || {
        let built = build_small(keys, &bump);
        let time = seconds(|| drop(black_box(built))).0;
        bump.reset();
        time * 1e9 / maps as f64
    });
    table.row(MALLOC, move || {
        let built = build_small(keys, Global);
        seconds(|| drop(black_box(built))).0 * 1e9 / maps as f64
    });
    report(table.run());
}

fn main() {
    let options = Options::parse();
    one_large(&options);
    many_small(&options);
}
