//! Limits, as far as both libraries mean the same: bumpalo's count whole chunks (and one set
//! below what is used stops nothing), ours count bytes.

use super::library::Bump;
use super::panics;

#[test]
fn a_limit_can_be_set_read_and_lifted() {
    let bump = <Bump>::default();
    assert_eq!(bump.allocation_limit(), None);
    bump.set_allocation_limit(Some(1 << 20));
    assert_eq!(bump.allocation_limit(), Some(1 << 20));
    assert!(bump.try_alloc_slice_fill_copy(2 << 20, 1u8).is_err());
    bump.set_allocation_limit(None);
    assert_eq!(bump.allocation_limit(), None);
    assert_eq!(bump.try_alloc_slice_fill_copy(2 << 20, 1u8).unwrap().len(), 2 << 20);
}

#[test]
fn a_limit_of_nothing_allows_nothing() {
    let bump = <Bump>::default();
    bump.set_allocation_limit(Some(0));
    assert!(bump.try_alloc(1u64).is_err());
    assert!(bump.try_alloc_str("text").is_err());
    assert!(panics(|| bump.alloc(1u64)));
}

#[test]
fn try_calls_do_not_run_the_closure_when_there_is_no_memory() {
    let bump = <Bump>::default();
    bump.set_allocation_limit(Some(0));
    assert!(bump.try_alloc_with(|| -> u64 { unreachable!() }).is_err());
    assert!(bump.try_alloc_slice_fill_with(10, |_| -> u64 { unreachable!() }).is_err());
    assert!(bump.try_alloc_try_with(|| -> Result<u64, ()> { unreachable!() }).is_err());
}
