//! Slices of every kind.

use super::library::{Bump, SAME_MEMORY};

#[test]
fn copies_and_clones() {
    let bump = <Bump>::default();
    let numbers: Vec<u32> = (0..5000).collect();
    let copy = bump.alloc_slice_copy(&numbers);
    let tried = bump.try_alloc_slice_copy(&numbers[..10]).unwrap();
    let names = ["a".to_string(), "bb".to_string()];
    let clones = bump.alloc_slice_clone(&names);
    let tried_clones = bump.try_alloc_slice_clone(&names).unwrap();
    copy[0] = 7;
    assert_eq!((numbers[0], copy[0], &copy[1..]), (0, 7, &numbers[1..]));
    assert_eq!(tried, &numbers[..10]);
    assert_eq!((&*clones, &*tried_clones), (&names[..], &names[..]));
    for name in clones.iter_mut().chain(tried_clones) {
        drop(std::mem::take(name)); // the arena would not
    }
}

#[test]
fn filled_from_indices_values_and_defaults() {
    let bump = <Bump>::default();
    assert_eq!(bump.alloc_slice_fill_with(4, |i| i * i), [0, 1, 4, 9]);
    assert_eq!(bump.try_alloc_slice_fill_with(2, |i| i as u8).unwrap(), [0, 1]);
    assert_eq!(bump.alloc_slice_fill_copy(3, 'x'), ['x'; 3]);
    assert_eq!(bump.try_alloc_slice_fill_copy(3, 1.5f32).unwrap(), [1.5; 3]);
    assert_eq!(bump.alloc_slice_fill_clone(2, &Some(Box::new(1)).filter(|_| false)), [None, None]);
    assert_eq!(bump.try_alloc_slice_fill_clone(2, &Some(4)).unwrap(), [Some(4); 2]);
    assert_eq!(bump.alloc_slice_fill_default::<u16>(3), [0; 3]);
    assert_eq!(bump.try_alloc_slice_fill_default::<bool>(1).unwrap(), [false]);
}

#[test]
fn filled_from_iterators_of_known_length() {
    let bump = <Bump>::default();
    assert_eq!(bump.alloc_slice_fill_iter([1, 2, 3].iter().map(|n| n * 2)), [2, 4, 6]);
    assert_eq!(bump.try_alloc_slice_fill_iter(vec![4u64; 1000]).unwrap(), [4; 1000]);
}

#[test]
fn filled_until_the_first_error() {
    let bump = <Bump>::default();
    let digits = ["1", "2", "x", "never parsed"];
    let good = bump.alloc_slice_try_fill_with(2, |i| digits[i].parse::<u8>()).unwrap();
    assert_eq!(good, [1, 2]);
    let mut calls = 0;
    let bad = bump.alloc_slice_try_fill_with(4, |i| {
        calls += 1;
        digits[i].parse::<u8>()
    });
    assert!(bad.is_err());
    assert_eq!(calls, 3);
    assert_eq!(bump.alloc_slice_try_fill_iter([Ok::<_, ()>(1), Ok(2)]).unwrap(), [1, 2]);
    assert_eq!(bump.alloc_slice_try_fill_iter([Ok(1u32), Err("second"), Ok(3)]), Err("second"));
    assert_eq!(good, [1, 2]);
}

#[test]
fn a_slice_that_failed_gives_its_space_back() {
    let bump = <Bump>::default();
    let first = std::ptr::from_mut(bump.alloc(1u64)).addr();
    let used = bump.allocated_bytes();
    for _ in 0..10 {
        let failed = bump.alloc_slice_try_fill_with(4, |i| if i < 3 { Ok(i as u64) } else { Err(()) });
        assert!(failed.is_err());
    }
    assert_eq!(bump.allocated_bytes(), used);
    let second = std::ptr::from_mut(bump.alloc(2u64)).addr();
    assert!(!SAME_MEMORY || first.abs_diff(second) == 8);
}

#[test]
fn slices_of_no_length() {
    let bump = <Bump>::default();
    assert!(bump.alloc_slice_copy::<u64>(&[]).is_empty());
    assert!(bump.alloc_slice_clone::<String>(&[]).is_empty());
    assert!(bump.alloc_slice_fill_iter(std::iter::empty::<u128>()).is_empty());
    assert!(bump.alloc_slice_fill_with(0, |_| -> String { unreachable!() }).is_empty());
    let aligned = bump.alloc_slice_fill_default::<u128>(0);
    assert!(aligned.as_ptr().is_aligned());
}

#[test]
fn slices_do_not_overlap() {
    let bump = <Bump>::default();
    let mut slices: Vec<&mut [u16]> =
        (0..200).map(|n| bump.alloc_slice_fill_copy(n % 37, n as u16)).collect();
    for slice in &mut slices {
        slice.iter_mut().for_each(|n| *n += 1);
    }
    for (n, slice) in slices.iter().enumerate() {
        assert!(slice.len() == n % 37 && slice.iter().all(|&value| value == n as u16 + 1));
    }
}
