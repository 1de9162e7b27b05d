//! Functions that return vectors and matrices in any space.
//!
//! The operands are of type `&[f64]`, so the compiler knows that no result overlaps them.

use super::{BANDS, Space};

#[inline(always)]
pub fn copy<S: Space>(out: &S, a: &[f64]) -> S::Vector {
    out.vector(a.len(), |i| a[i])
}

#[inline(always)]
pub fn add<S: Space>(out: &S, a: &[f64], b: &[f64]) -> S::Vector {
    check_same_length(a.len(), b.len());
    out.vector(a.len(), |i| a[i] + b[i])
}

#[inline(always)]
pub fn subtract<S: Space>(out: &S, a: &[f64], b: &[f64]) -> S::Vector {
    check_same_length(a.len(), b.len());
    out.vector(a.len(), |i| a[i] - b[i])
}

#[inline(always)]
pub fn scale<S: Space>(out: &S, a: &[f64], by: f64) -> S::Vector {
    out.vector(a.len(), |i| a[i] * by)
}

/// The dot product, as four interleaved partial sums, which the processor can compute in parallel.
#[inline(always)]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    check_same_length(a.len(), b.len());
    let mut sums = [0.0; 4];
    let (quads, rest) = a.as_chunks::<4>();
    let (others, other_rest) = b.as_chunks::<4>();
    for (x, y) in quads.iter().zip(others) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    for (lane, (x, y)) in rest.iter().zip(other_rest).enumerate() {
        sums[lane] += x * y;
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

#[inline(always)]
pub fn copy_matrix<S: Space>(out: &S, a: &[f64]) -> S::Matrix {
    out.matrix(a.len() / BANDS, |i| a[i])
}

#[inline(always)]
pub fn add_matrices<S: Space>(out: &S, a: &[f64], b: &[f64]) -> S::Matrix {
    check_same_length(a.len(), b.len());
    out.matrix(a.len() / BANDS, |i| a[i] + b[i])
}

#[inline(always)]
pub fn scale_matrix<S: Space>(out: &S, a: &[f64], by: f64) -> S::Matrix {
    out.matrix(a.len() / BANDS, |i| a[i] * by)
}

/// A matrix times a vector.
#[inline(always)]
pub fn apply<S: Space>(out: &S, matrix: &[f64], x: &[f64]) -> S::Vector {
    let n = x.len();
    check_same_length(matrix.len(), BANDS * n);
    let (below, rest) = matrix.split_at(n);
    let (on, above) = rest.split_at(n);
    let first = on[0] * x[0] + above[0] * x[1];
    let last = below[n - 1] * x[n - 2] + on[n - 1] * x[n - 1];
    out.bordered(n, first, |i| below[i] * x[i - 1] + on[i] * x[i] + above[i] * x[i + 1], last)
}

#[inline(always)]
fn check_same_length(a: usize, b: usize) {
    assert!(a == b, "{a} numbers and {b} numbers");
}

#[cfg(test)]
mod tests {
    use super::{super::HeapSpace, *};

    #[test]
    fn a_matrix_times_a_vector() {
        // 1 2 0 / 3 4 5 / 0 6 7, with an unused number at either end.
        let matrix = [99.0, 3.0, 6.0, 1.0, 4.0, 7.0, 2.0, 5.0, 99.0];
        assert_eq!(*apply(&HeapSpace, &matrix, &[1.0, 10.0, 100.0]), [21.0, 543.0, 760.0]);
        let two = [99.0, 3.0, 1.0, 4.0, 2.0, 99.0];
        assert_eq!(*apply(&HeapSpace, &two, &[1.0, 10.0]), [21.0, 43.0]);
    }

    #[test]
    fn entry_by_entry() {
        let (a, b) = ([1.0, 2.0, 3.0], [10.0, 20.0, 40.0]);
        assert_eq!(*copy(&HeapSpace, &a), a);
        assert_eq!(*add(&HeapSpace, &a, &b), [11.0, 22.0, 43.0]);
        assert_eq!(*subtract(&HeapSpace, &b, &a), [9.0, 18.0, 37.0]);
        assert_eq!(*scale(&HeapSpace, &a, 2.0), [2.0, 4.0, 6.0]);
        assert_eq!(*add_matrices(&HeapSpace, &a, &b), [11.0, 22.0, 43.0]);
        assert_eq!(*scale_matrix(&HeapSpace, &a, 2.0), *scale(&HeapSpace, &copy_matrix(&HeapSpace, &a), 2.0));
        assert_eq!(dot(&a, &b), 170.0);
    }

    #[test]
    #[should_panic(expected = "2 numbers and 3 numbers")]
    fn lengths_that_differ_are_refused() {
        let _ = add(&HeapSpace, &[1.0, 2.0], &[1.0, 2.0, 3.0]);
    }
}
