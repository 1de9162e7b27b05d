//! From an address to its region, among ten thousand of them: what a fault asks first.

mod support;

use highwater::{Arena, Monitor, Region};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hint::black_box;
use support::{Options, Random, Table, nanoseconds_each, seconds};

const REGIONS: usize = 10_000;
const BYTES: usize = 64 << 20;
/// What is written to wash the caches.
const WASH: usize = 256 << 20;

fn main() {
    let options = Options::parse();
    let made: Result<Vec<Region>, _> =
        (0..REGIONS).map(|_| Region::builder().reserve(BYTES).head(0).try_build()).collect();
    let regions = match made {
        Ok(regions) => regions,
        Err(error) => return println!("{REGIONS} regions of {BYTES} bytes cannot be had here: {error}"),
    };
    let mut random = Random(11);
    let addresses: Vec<*const u8> = (0..1 << 16)
        .map(|_| {
            let region = &regions[random.below(REGIONS as u64) as usize];
            region.as_ptr().wrapping_add(random.below(BYTES as u64) as usize).cast_const()
        })
        .collect();
    assert!(addresses.iter().all(|&address| Monitor::of(address).is_some()));

    // What one would take from the standard library: a tree that is ordered by where regions start.
    let tree: BTreeMap<usize, (usize, u64)> =
        regions.iter().map(|region| (region.as_ptr().addr(), (BYTES, region.id()))).collect();
    let in_tree = |address: *const u8| {
        let (start, &(len, id)) = tree.range(..=address.addr()).next_back()?;
        (address.addr() - start < len).then_some(id)
    };

    let title = format!("Finding one of {REGIONS} regions by a random address in it, caches warm");
    let mut table = Table::new(&options, title, "ns", 31);
    table.row("highwater, Monitor::of", || each(&addresses, Monitor::of));
    table.row("BTreeMap, unsynchronised", || each(&addresses, in_tree));
    if let Some(results) = table.run() {
        results.compare(&["highwater, Monitor::of"]);
        results.below("highwater, Monitor::of", 50.0);
    }

    // More than the processor's caches hold, in huge pages where they are to be had.
    let wash = Arena::builder().reserve(WASH).build();
    let wash = RefCell::new(wash.alloc_slice_fill_copy(WASH / 64, [1u8; 64]));
    let (next, addresses) = (Cell::new(0), &addresses);
    let cold = |count: usize, find: &dyn Fn(*const u8) -> bool| {
        for line in wash.borrow_mut().iter_mut() {
            line[0] = line[0].wrapping_add(1);
        }
        let first = next.replace((next.get() + count) % (addresses.len() - count));
        let (time, ()) = seconds(|| {
            for address in &addresses[first..first + count] {
                black_box(find(*address));
            }
        });
        time * 1e9 / count as f64
    };
    for (count, rounds, title) in [
        (100, 101, "The same with cold caches, each of a hundred lookups"),
        (1, 201, "The first lookup with cold caches, the clock's own time included"),
    ] {
        let mut table = Table::new(&options, title, "ns", rounds);
        table.row("highwater, Monitor::of", || cold(count, &|address| Monitor::of(address).is_some()));
        table.row("BTreeMap, unsynchronised", || cold(count, &|address| in_tree(address).is_some()));
        table.row("the clock alone", || cold(count, &|_| false));
        if let Some(results) = table.run() {
            results.compare(&["highwater, Monitor::of"]);
        }
    }
}

/// Nanoseconds that finding one of the addresses takes. Each address depends on what was found before, as
/// the lookups of one fault after another do: they do not overlap.
fn each<T>(addresses: &[*const u8], find: impl Fn(*const u8) -> Option<T>) -> f64 {
    let mut missed = 0;
    let mut i = 0;
    let time = nanoseconds_each(addresses.len(), || {
        let found = black_box(find(addresses[i + missed]).is_some());
        missed += usize::from(!found);
        i += 1;
    });
    assert_eq!(black_box(missed), 0);
    time
}
