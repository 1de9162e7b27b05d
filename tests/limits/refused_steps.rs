//! Growth where a whole step is refused: what is needed may still fit.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::{Arena, Cause, Growth};
use support::limits::{limit_data, mapping_limit, use_up_mappings};

/// An arena of 64 MiB that is used up to its frontier, so that the next step is 16 MiB.
fn full() -> Arena {
    let arena = Arena::builder().name("tight").reserve(1 << 30).build();
    arena.alloc_slice_fill_copy(64 << 20, 1u8);
    arena.alloc_slice_fill_copy(arena.committed_bytes() - arena.allocated_bytes(), 1u8);
    arena
}

fn a_try_call_takes_what_is_left() {
    let arena = full();
    limit_data(8 << 20);
    assert_eq!(arena.try_alloc(7u64).as_deref(), Ok(&7));
    let error = arena.try_alloc_slice_fill_copy(12 << 20, 1u8).unwrap_err();
    assert_eq!(error.cause(), Cause::RlimitData);
    assert_eq!(arena.try_alloc(8u64).as_deref(), Ok(&8));
}

fn a_fault_takes_what_is_left() {
    let arena = full();
    limit_data(8 << 20);
    assert_eq!(*arena.alloc(7u64), 7);
}

fn growth_needs_no_further_mapping() {
    let arena = Arena::builder().reserve(1 << 30).growth(Growth::Fixed(1 << 16)).build();
    arena.alloc_slice_fill_copy(200 << 10, 1u8);
    let Some(most) = mapping_limit() else {
        return support::skip("the limit of mappings is unknown or too large to be used up");
    };
    use_up_mappings(most);
    assert!(arena.try_alloc_slice_fill_copy(200 << 10, 2u8).is_ok());
    arena.alloc_slice_fill_copy(200 << 10, 3u8);
}

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("try", a_try_call_takes_what_is_left),
    ("fault", a_fault_takes_what_is_left),
    ("mappings", growth_needs_no_further_mapping),
];

#[test]
fn a_refused_step_is_tried_again_with_what_is_needed() {
    if !support::reserves() {
        return;
    }
    for case in ["try", "fault"] {
        support::child(case).assert_success();
    }
}

#[test]
fn growth_goes_on_at_the_limit_of_mappings() {
    if !support::reserves() {
        return;
    }
    support::child("mappings").assert_success();
}
