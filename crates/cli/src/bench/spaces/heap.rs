//! On the heap: every vector is a block of `malloc`'s, freed when its owner goes.

use std::mem::MaybeUninit;

use super::{BANDS, Space};

/// The system's `malloc`, through `Box`.
pub struct Heap;

impl Space for Heap {
    type Vector = Box<[f64]>;
    type Matrix = Box<[f64]>;
    type Child<'c> = Heap;

    #[inline(always)]
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Box<[f64]> {
        (0..length).map(entry).collect()
    }

    #[inline(always)]
    fn bordered(&self, length: usize, first: f64, inner: impl FnMut(usize) -> f64, last: f64) -> Box<[f64]> {
        let mut place = Box::new_uninit_slice(length);
        fill_bordered(&mut place, first, inner, last);
        // SAFETY: every entry was written.
        unsafe { place.assume_init() }
    }

    #[inline(always)]
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Box<[f64]> {
        (0..BANDS * length).map(entry).collect()
    }

    #[inline(always)]
    fn child(&mut self) -> Heap {
        Heap
    }

    #[inline(always)]
    fn settle<'c>(held: &mut Box<[f64]>, new: Box<[f64]>)
    where
        Self: 'c,
    {
        *held = new;
    }
}

/// Writes all entries: the first and the last one, and what is between them.
#[inline(always)]
pub(super) fn fill_bordered(
    place: &mut [MaybeUninit<f64>],
    first: f64,
    mut inner: impl FnMut(usize) -> f64,
    last: f64,
) -> &mut [f64] {
    let [start, middle @ .., end] = &mut *place else {
        panic!("a vector with ends has at least two numbers")
    };
    start.write(first);
    for (i, entry) in middle.iter_mut().enumerate() {
        entry.write(inner(i + 1));
    }
    end.write(last);
    // SAFETY: start, middle and end are all there is, and each of them was written.
    unsafe { place.assume_init_mut() }
}
