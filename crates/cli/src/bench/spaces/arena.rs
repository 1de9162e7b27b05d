//! Vectors in an arena: a scope frees what was allocated in it when it ends.

use std::ops::Deref;

use highwater::Scope;

use super::{BANDS, Space};

impl<'a> Space for Scope<'a> {
    type Vector = &'a mut [f64];
    type Matrix = &'a mut [f64];
    type Child<'c>
        = Scope<'c>
    where
        Self: 'c;

    #[inline(always)]
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> &'a mut [f64] {
        self.alloc_slice_fill_with(length, entry)
    }

    #[inline(always)]
    fn bordered(
        &self,
        length: usize,
        first: f64,
        inner: impl FnMut(usize) -> f64,
        last: f64,
    ) -> &'a mut [f64] {
        super::heap::fill_bordered(self.alloc_uninit_slice(length), first, inner, last)
    }

    #[inline(always)]
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> &'a mut [f64] {
        self.alloc_slice_fill_with(BANDS * length, entry)
    }

    #[inline(always)]
    fn child(&mut self) -> Scope<'_> {
        self.scope()
    }

    /// Copies the value out of the child, which ends.
    #[inline(always)]
    fn settle<'c>(target: &mut &'a mut [f64], new: &'c mut [f64])
    where
        Self: 'c,
    {
        target.copy_from_slice(new);
    }
}

/// A scope for vectors of constant length.
pub struct FixedScope<'a, const N: usize>(pub Scope<'a>);

/// `R` rows of `N` numbers in a scope.
pub struct ArenaValues<'a, const R: usize, const N: usize>(&'a mut [[f64; N]; R]);

impl<const R: usize, const N: usize> Deref for ArenaValues<'_, R, N> {
    type Target = [f64];

    #[inline(always)]
    fn deref(&self) -> &[f64] {
        self.0.as_flattened()
    }
}

impl<'a, const N: usize> Space for FixedScope<'a, N> {
    type Vector = ArenaValues<'a, 1, N>;
    type Matrix = ArenaValues<'a, BANDS, N>;
    type Child<'c>
        = FixedScope<'c, N>
    where
        Self: 'c;

    #[inline(always)]
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> ArenaValues<'a, 1, N> {
        super::stack::check::<N>(length);
        ArenaValues(self.0.alloc([super::stack::entries(entry)]))
    }

    #[inline(always)]
    fn bordered(
        &self,
        length: usize,
        first: f64,
        inner: impl FnMut(usize) -> f64,
        last: f64,
    ) -> ArenaValues<'a, 1, N> {
        super::stack::check::<N>(length);
        ArenaValues(self.0.alloc([super::stack::bordered(first, inner, last)]))
    }

    #[inline(always)]
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> ArenaValues<'a, BANDS, N> {
        super::stack::check::<N>(length);
        ArenaValues(self.0.alloc(super::stack::bands(entry)))
    }

    #[inline(always)]
    fn child(&mut self) -> FixedScope<'_, N> {
        FixedScope(self.0.scope())
    }

    #[inline(always)]
    fn settle<'c>(target: &mut ArenaValues<'a, 1, N>, new: ArenaValues<'c, 1, N>)
    where
        Self: 'c,
    {
        *target.0 = *new.0;
    }
}
