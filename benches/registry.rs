//! From an address to its region, among ten thousand of them: what a fault asks first.

mod support;

use highwater::{Monitor, Region};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;
use support::{Options, Random, Table, nanoseconds_each};

const REGIONS: usize = 10_000;
const BYTES: usize = 64 << 20;

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

    let mut wash = vec![1u8; 256 << 20];
    let wash = std::cell::RefCell::new(&mut wash);
    let mut next = 0;
    let mut cold = |find: &dyn Fn(*const u8) -> bool| {
        // One address after each washing: what was read for the last one is gone as well.
        for line in wash.borrow_mut().chunks_mut(64) {
            line[0] = line[0].wrapping_add(1);
        }
        next = (next + 1) % addresses.len();
        let address = black_box(addresses[next]);
        let start = Instant::now();
        black_box(find(address));
        start.elapsed().as_nanos() as f64
    };
    let cold = std::cell::RefCell::new(&mut cold);
    let title = "The same with cold caches, the clock's own time included";
    let mut table = Table::new(&options, title, "ns", 101);
    table.row("highwater, Monitor::of", || cold.borrow_mut()(&|address| Monitor::of(address).is_some()));
    table.row("BTreeMap, unsynchronised", || cold.borrow_mut()(&|address| in_tree(address).is_some()));
    table.row("the clock alone", || cold.borrow_mut()(&|_| false));
    if let Some(results) = table.run() {
        results.compare(&["highwater, Monitor::of"]);
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
