//! The ways to make one.

use crate::library::Bump;

#[test]
fn every_constructor() {
    assert_eq!(*Bump::new().alloc(1), 1);
    assert_eq!(*<Bump>::default().alloc(1), 1);
    assert_eq!(*Bump::try_new().unwrap().alloc(1), 1);
    assert_eq!(*Bump::with_capacity(0).alloc(1), 1);
    let bump = Bump::with_capacity(100_000);
    assert!(bump.alloc_slice_fill_copy(100_000, 5u8).iter().all(|&byte| byte == 5));
    assert!(bump.allocated_bytes() >= 100_000);
    assert!(bump.allocated_bytes_including_metadata() >= bump.allocated_bytes());
    assert_eq!(*Bump::try_with_capacity(1 << 16).unwrap().alloc(1), 1);
    assert!(Bump::try_with_capacity(isize::MAX as usize).is_err());
    assert!(Bump::try_with_capacity(usize::MAX).is_err());
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
