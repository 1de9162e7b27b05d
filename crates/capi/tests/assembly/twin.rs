//! `add_vv` of examples/c/rk4/arena.c in Rust; see `assembly_examples.rs`.

use highwater::Scope;

/// The sum of two vectors, from a scope.
#[unsafe(no_mangle)]
pub fn add_vv<'a>(out: &Scope<'a>, a: &[f64], b: &[f64]) -> &'a mut [f64] {
    assert_eq!(a.len(), b.len());
    out.alloc_slice_fill_with(a.len(), |i| a[i] + b[i])
}
