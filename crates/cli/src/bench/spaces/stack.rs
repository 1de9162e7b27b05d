//! Vectors on the stack: of constant length, passed and returned by value.

use std::ops::Deref;

use super::{BANDS, Space};

/// Vectors of `N` numbers, and matrices of `BANDS` times as many.
pub struct StackSpace<const N: usize>;

/// `R` rows of `N` numbers.
pub struct StackValues<const R: usize, const N: usize>([[f64; N]; R]);

impl<const R: usize, const N: usize> Deref for StackValues<R, N> {
    type Target = [f64];

    #[inline(always)]
    fn deref(&self) -> &[f64] {
        self.0.as_flattened()
    }
}

impl<const N: usize> Space for StackSpace<N> {
    type Vector = StackValues<1, N>;
    type Matrix = StackValues<BANDS, N>;
    type Child<'c> = StackSpace<N>;

    #[inline(always)]
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> StackValues<1, N> {
        check::<N>(length);
        StackValues([entries(entry)])
    }

    #[inline(always)]
    fn bordered(
        &self,
        length: usize,
        first: f64,
        inner: impl FnMut(usize) -> f64,
        last: f64,
    ) -> StackValues<1, N> {
        check::<N>(length);
        StackValues([bordered(first, inner, last)])
    }

    #[inline(always)]
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> StackValues<BANDS, N> {
        check::<N>(length);
        StackValues(bands(entry))
    }

    #[inline(always)]
    fn child(&mut self) -> StackSpace<N> {
        StackSpace
    }

    #[inline(always)]
    fn settle<'c>(target: &mut StackValues<1, N>, new: StackValues<1, N>)
    where
        Self: 'c,
    {
        *target = new;
    }
}

/// Checks that the length is the constant one.
#[inline(always)]
pub(super) fn check<const N: usize>(length: usize) {
    assert!(length == N, "a vector of {N} numbers cannot have {length}");
}

/// Unlike `array::from_fn`, this is vectorised.
#[inline(always)]
pub(super) fn entries<const N: usize>(mut entry: impl FnMut(usize) -> f64) -> [f64; N] {
    let mut values = [0.0; N];
    for (i, value) in values.iter_mut().enumerate() {
        *value = entry(i);
    }
    values
}

#[inline(always)]
pub(super) fn bordered<const N: usize>(
    first: f64,
    mut inner: impl FnMut(usize) -> f64,
    last: f64,
) -> [f64; N] {
    let mut values = [0.0; N];
    values[0] = first;
    for (i, entry) in values.iter_mut().enumerate().take(N - 1).skip(1) {
        *entry = inner(i);
    }
    values[N - 1] = last;
    values
}

#[inline(always)]
pub(super) fn bands<const N: usize>(mut entry: impl FnMut(usize) -> f64) -> [[f64; N]; BANDS] {
    let mut values = [[0.0; N]; BANDS];
    for (i, value) in values.as_flattened_mut().iter_mut().enumerate() {
        *value = entry(i);
    }
    values
}
