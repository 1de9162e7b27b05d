//! On the stack: vectors of a length that the compiler knows, passed and returned by value.

use std::ops::Deref;

use super::{BANDS, Space};

/// Values of `N` numbers, and matrices of `BANDS` times as many.
pub struct Stack<const N: usize>;

/// `R` times `N` numbers.
pub struct Values<const R: usize, const N: usize>([[f64; N]; R]);

impl<const R: usize, const N: usize> Deref for Values<R, N> {
    type Target = [f64];

    #[inline(always)]
    fn deref(&self) -> &[f64] {
        self.0.as_flattened()
    }
}

impl<const N: usize> Space for Stack<N> {
    type Vector = Values<1, N>;
    type Matrix = Values<BANDS, N>;
    type Child<'c> = Stack<N>;

    #[inline(always)]
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Values<1, N> {
        check::<N>(length);
        Values([entries(entry)])
    }

    #[inline(always)]
    fn bordered(
        &self,
        length: usize,
        first: f64,
        inner: impl FnMut(usize) -> f64,
        last: f64,
    ) -> Values<1, N> {
        check::<N>(length);
        Values([bordered(first, inner, last)])
    }

    #[inline(always)]
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Values<BANDS, N> {
        check::<N>(length);
        Values(bands(entry))
    }

    #[inline(always)]
    fn child(&mut self) -> Stack<N> {
        Stack
    }

    #[inline(always)]
    fn settle<'c>(held: &mut Values<1, N>, new: Values<1, N>)
    where
        Self: 'c,
    {
        *held = new;
    }
}

/// Nothing is of another length here.
#[inline(always)]
pub(super) fn check<const N: usize>(length: usize) {
    assert!(length == N, "a vector of {N} numbers was asked for {length}");
}

/// Not `array::from_fn`, which is not vectorised.
#[inline(always)]
pub(super) fn entries<const N: usize>(mut entry: impl FnMut(usize) -> f64) -> [f64; N] {
    let mut made = [0.0; N];
    for (i, place) in made.iter_mut().enumerate() {
        *place = entry(i);
    }
    made
}

#[inline(always)]
pub(super) fn bordered<const N: usize>(
    first: f64,
    mut inner: impl FnMut(usize) -> f64,
    last: f64,
) -> [f64; N] {
    let mut made = [0.0; N];
    made[0] = first;
    for (i, entry) in made.iter_mut().enumerate().take(N - 1).skip(1) {
        *entry = inner(i);
    }
    made[N - 1] = last;
    made
}

#[inline(always)]
pub(super) fn bands<const N: usize>(mut entry: impl FnMut(usize) -> f64) -> [[f64; N]; BANDS] {
    let mut made = [[0.0; N]; BANDS];
    for (i, place) in made.as_flattened_mut().iter_mut().enumerate() {
        *place = entry(i);
    }
    made
}
