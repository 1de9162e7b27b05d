//! Limits that are exact: of a region, and of the process for all its regions and threads.
#![cfg(target_os = "linux")]

use super::causes::MIB;
use crate::support;
use highwater::{Arena, Cause, Growth, Region, oom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::oom::{child, json, text_of};

/// What runs in child processes.
pub const CASES: &[support::Case] =
    &[("exact process limit", exact_process_limit), ("process limit of threads", process_limit_of_threads)];

#[test]
fn the_limit_of_a_region_is_exact_to_the_byte() {
    for limit in [1, 4095, 4096, 4097, 100_001] {
        let arena = Arena::builder().min_align::<1>().reserve(MIB).head(0).limit(limit).build();
        let error = arena.try_alloc_uninit_slice::<u8>(limit + 1).unwrap_err();
        assert_eq!((error.cause(), error.limit()), (Cause::RegionLimit, Some(limit as u64)));
        arena.alloc_slice_fill_copy(limit, 1u8);
        assert_eq!(arena.try_alloc(1u8).unwrap_err().cause(), Cause::RegionLimit);
        let panic = catch_unwind(AssertUnwindSafe(|| *arena.alloc(1u8))).unwrap_err();
        assert!(text_of(&*panic).contains("out of memory"));
        assert_eq!(arena.allocated_bytes(), limit);
        let region = Region::builder().reserve(MIB).limit(limit).build();
        region.ensure(limit).unwrap();
        let error = region.ensure(limit + 1).unwrap_err();
        assert_eq!((error.cause(), error.limit()), (Cause::RegionLimit, Some(limit as u64)));
    }
}

#[test]
fn the_limit_of_the_process_is_exact_for_all_regions_together() {
    if let Some(ended) = child("exact process limit") {
        ended.assert_success();
    }
}

fn exact_process_limit() {
    let page = support::raw::page();
    let make = || Region::builder().reserve(64 * MIB).head(page).growth(Growth::Fixed(page)).build();
    let (first, mut second) = (make(), make());
    let limit = oom::committed_bytes() + 8 * MIB;
    oom::set_process_limit(Some(limit));
    first.ensure(page + 5 * MIB).unwrap();
    let refused = |region: &Region, end: usize| {
        let before = (region.committed_bytes(), oom::committed_bytes());
        let error = region.ensure(end).unwrap_err();
        assert_eq!((error.cause(), error.limit()), (Cause::ProcessLimit, Some(limit as u64)));
        let usage = before.1 + end.next_multiple_of(page) - before.0;
        assert_eq!(json(&error)["usage"].as_u64(), Some(usage as u64));
        assert_eq!((region.committed_bytes(), oom::committed_bytes()), before);
    };
    refused(&second, page + 3 * MIB + 1);
    second.ensure(page + 3 * MIB).unwrap();
    assert_eq!(oom::committed_bytes(), limit);
    refused(&second, second.committed_bytes() + 1);
    refused(&first, first.committed_bytes() + 1);
    // What is given back may be had again, by anybody.
    // SAFETY: nothing refers to it.
    unsafe { second.trim(page + 2 * MIB) };
    first.ensure(page + 6 * MIB).unwrap();
    refused(&first, page + 6 * MIB + 1);
    drop(second);
    first.ensure(limit).unwrap();
    refused(&first, limit + 1);
    oom::set_process_limit(None);
    assert_eq!(oom::process_limit(), None);
    first.ensure(page + 32 * MIB).unwrap();
    drop(first);
    assert_eq!(oom::committed_bytes(), 0);
}

#[test]
fn the_limit_of_the_process_is_kept_by_threads() {
    if let Some(ended) = child("process limit of threads") {
        ended.assert_success();
    }
}

fn process_limit_of_threads() {
    let page = support::raw::page();
    let regions: Vec<Region> =
        (0..4).map(|_| Region::builder().reserve(64 * MIB).growth(Growth::Fixed(page)).build()).collect();
    let limit = oom::committed_bytes() + 1000 * page;
    oom::set_process_limit(Some(limit));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let region = &regions[thread % 4];
            scope.spawn(move || {
                while region.ensure(region.committed_bytes() + page).is_ok() {
                    assert!(region.committed_bytes() < 32 * MIB);
                }
            });
        }
    });
    // One may have been refused what another was about to give up; nobody got more.
    let sum = || regions.iter().map(Region::committed_bytes).sum::<usize>();
    assert!(sum() <= limit && sum() == oom::committed_bytes(), "{} of {limit}", sum());
    while regions[0].ensure(regions[0].committed_bytes() + page).is_ok() {}
    assert_eq!(sum(), limit);
    drop(regions);
    assert_eq!(oom::committed_bytes(), 0);
}
