//! Where the vectors and matrices of a computation are allocated, and how they are freed.
//!
//! `bench rk4` and `bench physics` are written once, generic over [`Space`]: their functions return their results by value.
//! The contenders differ only in the type of the space.

mod arena;
pub mod functions;
mod heap;
mod stack;

use std::ops::Deref;

pub use arena::FixedScope;
pub use heap::HeapSpace;
pub use stack::StackSpace;

/// The bands of a [`Space::Matrix`]: below the diagonal, on it, and above it.
pub const BANDS: usize = 3;

/// Where results are allocated.
///
/// Depending on the space, a vector or matrix is freed when it is dropped, when its space ends, or when the function
/// returns.
pub trait Space {
    /// A vector of numbers.
    type Vector: Deref<Target = [f64]>;
    /// A tridiagonal matrix, stored as its three bands one after the other. The first band starts and the last band ends
    /// with an unused number.
    type Matrix: Deref<Target = [f64]>;
    /// See [`Space::child`].
    type Child<'c>: Space
    where
        Self: 'c;

    /// A vector whose entries are computed in order.
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Self::Vector;

    /// A vector of at least two entries, whose first and last entries are given.
    fn bordered(&self, length: usize, first: f64, inner: impl FnMut(usize) -> f64, last: f64)
    -> Self::Vector;

    /// A matrix for vectors of this length, `BANDS * length` entries.
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Self::Matrix;

    /// A space for temporary values. This space is not used while it exists.
    fn child(&mut self) -> Self::Child<'_>;

    /// Replaces a vector of this space by a vector of a child.
    fn settle<'c>(target: &mut Self::Vector, new: <Self::Child<'c> as Space>::Vector)
    where
        Self: 'c;
}

#[cfg(test)]
mod tests {
    use super::{functions::add, *};

    /// The contents of a vector that was replaced by sums computed in a child.
    fn replaced<S: Space>(mut space: S) -> Vec<f64> {
        let mut target = space.vector(4, |i| i as f64);
        for _ in 0..3 {
            let child = space.child();
            let ends = child.bordered(4, 10.0, |_| 20.0, 30.0);
            let sum = add(&child, &target, &ends);
            S::settle(&mut target, sum);
        }
        target.to_vec()
    }

    #[test]
    fn all_spaces_hold_their_values() {
        let expected = [30.0, 61.0, 62.0, 93.0];
        let mut arena = highwater::Arena::new();
        assert_eq!(replaced(arena.scope()), expected);
        assert_eq!(arena.allocated_bytes(), 0);
        assert_eq!(replaced(FixedScope::<4>(arena.scope())), expected);
        assert_eq!(replaced(HeapSpace), expected);
        assert_eq!(replaced(StackSpace::<4>), expected);
    }

    #[test]
    fn matrices_have_all_bands() {
        let arena = &mut highwater::Arena::new();
        let expected: Vec<f64> = (0..6).map(f64::from).collect();
        assert_eq!(*arena.scope().matrix(2, |i| i as f64), expected);
        assert_eq!(*FixedScope::<2>(arena.scope()).matrix(2, |i| i as f64), expected);
        assert_eq!(*HeapSpace.matrix(2, |i| i as f64), expected);
        assert_eq!(*StackSpace::<2>.matrix(2, |i| i as f64), expected);
    }

    #[test]
    #[should_panic(expected = "a vector of 4 numbers")]
    fn a_space_of_constant_length_refuses_others() {
        let _ = StackSpace::<4>.vector(5, |_| 0.0);
    }
}
