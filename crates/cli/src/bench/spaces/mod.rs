//! Where the vectors and matrices of a computation are put, and who gives them back.
//!
//! `bench rk4` and `bench physics` are written once, over [`Space`]: their functions return what they compute, by
//! value. What differs between the contenders is one of the types here.

mod arena;
pub mod functions;
mod heap;
mod stack;

use std::ops::Deref;

pub use arena::FixedScope;
pub use heap::Heap;
pub use stack::Stack;

/// The bands of a [`Space::Matrix`]: below the diagonal, on it, and above it.
pub const BANDS: usize = 3;

/// Somewhere that results are put.
///
/// What a vector or a matrix takes is given back when it is dropped, when its space ends, or when its function returns,
/// whichever way of the three the space has.
pub trait Space {
    /// So many numbers.
    type Vector: Deref<Target = [f64]>;
    /// A square matrix that is zero but for its bands, which follow one another. Where the first and the last of them
    /// leave the matrix there is a number that counts for nothing.
    type Matrix: Deref<Target = [f64]>;
    /// See [`Space::child`].
    type Child<'c>: Space
    where
        Self: 'c;

    /// A vector of entries that are made in order.
    fn vector(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Self::Vector;

    /// A vector whose ends are made apart; of at least two entries.
    fn bordered(&self, length: usize, first: f64, inner: impl FnMut(usize) -> f64, last: f64)
    -> Self::Vector;

    /// A matrix for vectors of this length, `BANDS * length` entries.
    fn matrix(&self, length: usize, entry: impl FnMut(usize) -> f64) -> Self::Matrix;

    /// A space for what is temporary. This one is not used while there is one.
    fn child(&mut self) -> Self::Child<'_>;

    /// Puts what a child holds in place of what this space holds.
    fn settle<'c>(held: &mut Self::Vector, new: <Self::Child<'c> as Space>::Vector)
    where
        Self: 'c;
}

#[cfg(test)]
mod tests {
    use super::{functions::add, *};

    /// What the first vector holds after it was replaced by a sum of a child's.
    fn replaced<S: Space>(mut space: S) -> Vec<f64> {
        let mut held = space.vector(4, |i| i as f64);
        for _ in 0..3 {
            let child = space.child();
            let ends = child.bordered(4, 10.0, |_| 20.0, 30.0);
            let sum = add(&child, &held, &ends);
            S::settle(&mut held, sum);
        }
        held.to_vec()
    }

    #[test]
    fn all_spaces_hold_what_is_put_there() {
        let expected = [30.0, 61.0, 62.0, 93.0];
        let mut arena = highwater::Arena::new();
        assert_eq!(replaced(arena.scope()), expected);
        assert_eq!(arena.allocated_bytes(), 0);
        assert_eq!(replaced(FixedScope::<4>(arena.scope())), expected);
        assert_eq!(replaced(Heap), expected);
        assert_eq!(replaced(Stack::<4>), expected);
    }

    #[test]
    fn matrices_have_all_bands() {
        let arena = &mut highwater::Arena::new();
        let expected: Vec<f64> = (0..6).map(f64::from).collect();
        assert_eq!(*arena.scope().matrix(2, |i| i as f64), expected);
        assert_eq!(*FixedScope::<2>(arena.scope()).matrix(2, |i| i as f64), expected);
        assert_eq!(*Heap.matrix(2, |i| i as f64), expected);
        assert_eq!(*Stack::<2>.matrix(2, |i| i as f64), expected);
    }

    #[test]
    #[should_panic(expected = "a vector of 4 numbers")]
    fn a_constant_length_is_that_and_no_other() {
        let _ = Stack::<4>.vector(5, |_| 0.0);
    }
}
