//! Many regions at once: they leave the process the address space that everybody else needs.

use crate::support;
use highwater::{Arena, Cause, Growth, Region};
use support::raw::page;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("ten thousand regions", ten_thousand_regions),
    ("until refused", until_refused),
    ("until refused, with little left", until_refused_with_little_left),
    ("explicit until refused", explicit_until_refused),
];

#[test]
fn ten_thousand_regions_of_64_mib_live() {
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    if most.trim().parse::<usize>().is_ok_and(|most| most < 40_000) {
        return support::skip("vm.max_map_count is too small for ten thousand regions");
    }
    if support::reserves() {
        support::child("ten thousand regions").assert_success();
    }
}

fn ten_thousand_regions() {
    let step = Growth::Fixed(page());
    let make =
        |i: usize| Region::builder().reserve(64 << 20).head(page()).growth(step).name(format!("{i}")).build();
    let mut regions: Vec<Region> = (0..10_000).map(make).collect();
    let touch = |region: &Region, byte: u8| {
        region.ensure(2 * page()).unwrap();
        support::raw::put(region, 2 * page() - 1, byte);
        if highwater::engine() == highwater::Engine::Fault {
            support::raw::put(region, 2 * page(), byte);
            assert_eq!(region.stats().faults, 1);
        }
    };
    for (i, region) in regions.iter().enumerate() {
        touch(region, i as u8);
        assert_eq!(region.reserved_bytes(), 64 << 20);
    }
    assert!(
        regions.iter().enumerate().all(|(i, region)| support::raw::get(region, 2 * page() - 1) == i as u8)
    );
    // Every other one makes room for a new one.
    for i in (0..10_000).step_by(2) {
        regions[i] = make(i);
        touch(&regions[i], !(i as u8));
    }
    let expected = |i: usize| if i.is_multiple_of(2) { !(i as u8) } else { i as u8 };
    assert!((0..10_000).all(|i| support::raw::get(&regions[i], 2 * page() - 1) == expected(i)));
}

/// Whatever is not ours still has room.
fn others_live() {
    // SAFETY: the block is written within its size and freed once.
    unsafe {
        let block = libc::malloc(100 << 20).cast::<u8>();
        assert!(!block.is_null());
        block.add((100 << 20) - 1).write_volatile(1);
        libc::free(block.cast());
    }
    let threads: Vec<_> = (0..8).map(|i| std::thread::Builder::new().spawn(move || i).unwrap()).collect();
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<i32>(), 28);
}

#[test]
fn default_arenas_shrink_and_are_refused_before_others_starve() {
    if support::reserves() {
        support::child("until refused").assert_success();
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        support::child("until refused, with little left").assert_success();
        support::child("explicit until refused").assert_success();
    }
}

fn until_refused() {
    until_refused_below(500, usize::MAX);
}

/// At least so many default arenas are made, and all together have at most so many bytes.
fn until_refused_below(least: usize, most: usize) {
    let mut arenas = Vec::new();
    let error = loop {
        match Arena::try_new() {
            Ok(arena) => arenas.push(arena),
            Err(error) => break error,
        }
    };
    assert_eq!(error.cause(), Cause::AddressSpace, "{error}");
    // (A vector asks with the length that it knows first, and with less afterwards.)
    let error = highwater::GrowVec::<u8>::try_with_capacity(1000).unwrap_err();
    assert_eq!(error.cause(), Cause::AddressSpace, "{error}");
    let reserves: Vec<usize> = arenas.iter().map(Arena::reserved_bytes).collect();
    assert!(reserves.len() > least, "{} were made", reserves.len());
    let sum = reserves.iter().fold(0usize, |sum, bytes| sum.saturating_add(*bytes));
    assert!(sum <= most, "{sum} bytes of {most}");
    assert!(reserves.is_sorted_by(|earlier, later| earlier >= later), "they shrink");
    assert!(reserves[0] > reserves[reserves.len() - 1]);
    assert!(reserves[reserves.len() - 1] >= 64 << 20, "down to a floor");
    others_live();

    for arena in arenas.iter_mut().rev().take(50) {
        arena.alloc_slice_fill_copy(1 << 20, 1u8);
        arena.reset();
    }
    assert!(Arena::try_new().is_err());
    arenas.truncate(10);
    // (What others have mapped meanwhile counts a little.)
    let (again, before) = (Arena::new().reserved_bytes(), reserves[10]);
    assert!(again.abs_diff(before) <= before / 64, "what is dropped is given back: {again}, {before}");
}

/// As on a kernel with 39 bits of addresses, or under a sanitizer that took most of them.
fn until_refused_with_little_left() {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    {
        let here = support::raw::page() + std::ptr::from_ref(&0u8).addr();
        support::limits::leave_addresses(here.next_power_of_two(), 1 << 39);
        until_refused_below(100, 1 << 37);
    }
}

fn explicit_until_refused() {
    let mut regions = Vec::new();
    let one: usize = 1 << 40;
    let error = loop {
        match Region::builder().reserve(one).try_build() {
            Ok(region) => regions.push(region),
            Err(error) => break error,
        }
    };
    let text = error.to_string();
    assert!(text.contains(&one.to_string()) && text.contains("quarter of the address space"), "{text}");
    assert!(!regions.is_empty());
    others_live();
    regions.pop();
    Region::builder().reserve(one).build().ensure(1).unwrap();
}
