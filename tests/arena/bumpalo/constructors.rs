//! The ways to make one.

use super::library::Bump;

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
