//! Nested scopes in a numeric routine: vectors that functions return, without a heap and without cleaning
//! up. Runge and Kutta's method of fourth order on a damped oscillator.
//!
//! `cargo run --release --example nested_scopes`

use highwater::{Arena, Scope};

/// `a + factor * b`, in the scope that the caller names.
fn add_scaled<'a>(out: &Scope<'a>, a: &[f64], factor: f64, b: &[f64]) -> &'a mut [f64] {
    out.alloc_slice_fill_with(a.len(), |i| a[i] + factor * b[i])
}

/// The derivative of position and speed.
fn derivative<'a>(out: &Scope<'a>, state: &[f64]) -> &'a mut [f64] {
    let (position, speed) = (state[0], state[1]);
    out.alloc_slice_copy(&[speed, -position - 0.1 * speed])
}

/// One step: `state` is advanced by `h`. Everything in between lives in the scope that was passed in.
fn step(scratch: &Scope<'_>, state: &mut [f64], h: f64) {
    let k1 = derivative(scratch, state);
    let k2 = derivative(scratch, add_scaled(scratch, state, h / 2.0, k1));
    let k3 = derivative(scratch, add_scaled(scratch, state, h / 2.0, k2));
    let k4 = derivative(scratch, add_scaled(scratch, state, h, k3));
    for i in 0..state.len() {
        state[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
    }
}

fn main() {
    let mut arena = Arena::builder().name("ode").build();
    let mut root = arena.scope();
    let state = root.alloc_slice_copy(&[1.0, 0.0]);
    let steps = 100_000;
    let h = 0.001;
    for _ in 0..steps {
        // A child scope for each step; `state`, which belongs to the root, stays usable all the time.
        let scratch = root.scope();
        step(&scratch, state, h);
    }
    let t = h * f64::from(steps);
    let omega = (1.0f64 - 0.05 * 0.05).sqrt();
    let exact = (-0.05 * t).exp() * ((omega * t).cos() + 0.05 / omega * (omega * t).sin());
    println!("after t = {t}: {:+.9}, exactly {exact:+.9}", state[0]);
    println!("{} steps in {} bytes", steps, root.allocated_bytes());
    assert!((state[0] - exact).abs() < 1e-9);
}
