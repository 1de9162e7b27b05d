//! Vectors on the heap: each is a block of `malloc`, freed when its owner is dropped.

use std::mem::MaybeUninit;

use super::{BANDS, Space};

/// The system's `malloc`, through `Box`.
pub struct HeapSpace;

impl Space for HeapSpace {
    type Vector = Box<[f64]>;
    type Matrix = Box<[f64]>;
    type Child<'c> = HeapSpace;

    #[inline(always)]
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Box<[f64]> {
        (0..length).map(entry).collect()
    }

    #[inline(always)]
    fn bordered(&self, length: usize, first: f64, inner: impl FnMut(usize) -> f64, last: f64) -> Box<[f64]> {
        let mut target = Box::new_uninit_slice(length);
        fill_bordered(&mut target, first, inner, last);
        // SAFETY: `fill_bordered` has written every entry.
        unsafe { target.assume_init() }
    }

    #[inline(always)]
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Box<[f64]> {
        (0..BANDS * length).map(entry).collect()
    }

    #[inline(always)]
    fn child(&mut self) -> HeapSpace {
        HeapSpace
    }

    #[inline(always)]
    fn settle<'c>(target: &mut Box<[f64]>, new: Box<[f64]>)
    where
        Self: 'c,
    {
        *target = new;
    }
}

/// Writes all entries: the first, the last, and those between them.
#[inline(always)]
pub(super) fn fill_bordered(
    target: &mut [MaybeUninit<f64>],
    first: f64,
    mut inner: impl FnMut(usize) -> f64,
    last: f64,
) -> &mut [f64] {
    let [start, middle @ .., end] = &mut *target else {
        panic!("a vector with ends has at least two numbers")
    };
    start.write(first);
    for (i, entry) in middle.iter_mut().enumerate() {
        entry.write(inner(i + 1));
    }
    end.write(last);
    // SAFETY: start, middle and end are all entries, and each of them has been written.
    unsafe { target.assume_init_mut() }
}
