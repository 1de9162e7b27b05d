//! Raw memory for a layout, and alignment.

use super::library::Bump;
use std::alloc::Layout;

#[repr(align(65536))]
struct Large(u8);

#[repr(align(64))]
#[derive(Clone, Copy, Default)]
struct Line([u8; 3]);

#[test]
fn every_alignment_up_to_64_kib() {
    let bump = <Bump>::default();
    for shift in 0..=16 {
        let align = 1usize << shift;
        for size in [0, 1, align - 1, align, align + 1, 3 * align] {
            bump.alloc(1u8); // puts the position out of step
            let block = bump.alloc_layout(Layout::from_size_align(size, align).unwrap());
            assert_eq!(block.addr().get() % align, 0, "{size} bytes aligned to {align}");
            // SAFETY: the block has `size` bytes.
            unsafe { block.write_bytes(0xa5, size) };
            let tried = bump.try_alloc_layout(Layout::from_size_align(size, align).unwrap()).unwrap();
            assert_eq!(tried.addr().get() % align, 0);
        }
    }
}

#[test]
fn types_that_need_much_alignment() {
    let bump = <Bump>::default();
    let mut kept = Vec::new();
    for n in 0..4u8 {
        bump.alloc(n);
        let large = bump.alloc(Large(n));
        assert!(std::ptr::from_ref(large).addr().is_multiple_of(65536));
        kept.push(large);
        let lines = bump.alloc_slice_fill_copy(3, Line([n; 3]));
        assert!(lines.as_ptr().addr().is_multiple_of(64));
        assert!(lines.iter().all(|line| line.0 == [n; 3]));
    }
    for (n, large) in kept.iter().enumerate() {
        assert_eq!(usize::from(large.0), n);
    }
}

#[test]
fn blocks_of_odd_sizes_do_not_overlap() {
    let bump = <Bump>::default();
    let blocks: Vec<_> = (1..300usize)
        .map(|n| {
            let layout = Layout::from_size_align(n, 1 << (n % 7)).unwrap();
            let block = bump.alloc_layout(layout);
            // SAFETY: the block has `n` bytes.
            unsafe { block.write_bytes(n as u8, n) };
            (block, n)
        })
        .collect();
    for (block, n) in blocks {
        // SAFETY: the bytes were written above, and the arena is still there.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), n) };
        assert!(bytes.iter().all(|&byte| byte == n as u8));
    }
}

#[test]
fn values_without_a_size() {
    #[derive(Debug, Clone, Copy, Default, PartialEq)]
    #[repr(align(128))]
    struct Nothing;

    let bump = <Bump>::default();
    assert_eq!(*bump.alloc(Nothing), Nothing);
    let many = bump.alloc_slice_fill_copy(100_000, Nothing);
    assert_eq!((many.len(), many.as_ptr().addr() % 128), (100_000, 0));
    assert_eq!(bump.alloc_slice_fill_iter([(), ()]).len(), 2);
    assert_eq!(bump.alloc_try_with(|| Err::<Nothing, _>(1)), Err(1));
    assert_eq!(bump.try_alloc(()), Ok(&mut ()));
    let word = bump.alloc(3u64);
    bump.alloc(Nothing);
    assert_eq!(*word, 3);
}

#[test]
fn a_minimum_alignment_holds_for_every_block() {
    fn check<const ALIGN: usize>(bump: &Bump<ALIGN>) {
        assert_eq!(bump.min_align(), ALIGN);
        for n in 1..20 {
            assert!(std::ptr::from_ref(bump.alloc(1u8)).addr().is_multiple_of(ALIGN));
            assert!(bump.alloc_str(&"x".repeat(n)).as_ptr().addr().is_multiple_of(ALIGN));
            assert!(bump.alloc_slice_fill_copy(n, 1u16).as_ptr().addr().is_multiple_of(ALIGN));
        }
    }
    check(&Bump::<1>::with_min_align());
    check(&Bump::<2>::with_min_align_and_capacity(1000));
    check(&Bump::<8>::try_with_min_align_and_capacity(0).unwrap());
    check(&Bump::<16>::with_min_align());
    assert!(Bump::<16>::try_with_min_align_and_capacity(usize::MAX).is_err());
}
