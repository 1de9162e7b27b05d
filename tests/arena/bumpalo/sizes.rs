//! Sizes that no memory has: an error, and no sum that wraps around to a small one.

use super::library::Bump;
use super::panics;
use std::alloc::Layout;

const MAX: usize = isize::MAX as usize;

#[test]
fn layouts_near_the_largest_size_are_refused() {
    let bump = <Bump>::default();
    let kept = bump.alloc(7u64);
    for (size, align) in [
        (MAX, 1),
        (MAX - 1, 1),
        (MAX - 7, 8),
        (MAX - 15, 16),
        (MAX - 4095, 4096),
        (MAX - 65535, 65536),
        (MAX / 2, 1),
        (1 << 62, 1 << 61),
        (1, 1 << 62),
    ] {
        let layout = Layout::from_size_align(size, align).unwrap();
        assert!(bump.try_alloc_layout(layout).is_err(), "{size} bytes aligned to {align}");
        assert!(panics(|| bump.alloc_layout(layout)), "{size} bytes aligned to {align}");
    }
    assert_eq!((*kept, *bump.alloc(8)), (7, 8));
}

#[test]
fn lengths_whose_size_overflows_are_refused() {
    let bump = <Bump>::default();
    for len in [MAX, MAX / 8, MAX / 8 + 1, usize::MAX / 8 + 1, usize::MAX] {
        assert!(bump.try_alloc_slice_fill_copy(len, 1u64).is_err(), "{len}");
        assert!(bump.try_alloc_slice_fill_default::<[u64; 3]>(len).is_err(), "{len}");
        assert!(bump.try_alloc_slice_fill_clone(len, &1u128).is_err(), "{len}");
        assert!(bump.try_alloc_slice_fill_with(len, |i| i).is_err(), "{len}");
        assert!(panics(|| bump.alloc_slice_fill_copy(len, 1u64)), "{len}");
        assert!(panics(|| bump.alloc_slice_fill_default::<u64>(len)), "{len}");
    }
    assert!(bump.try_alloc_slice_fill_copy(MAX, 1u8).is_err());
    assert!(bump.try_alloc_slice_fill_copy(usize::MAX, 1u8).is_err());
    assert_eq!(*bump.alloc(8), 8);
}
