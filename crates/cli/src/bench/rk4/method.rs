//! The classic Runge-Kutta method of fourth order, written with functions that return vectors and matrices.
//!
//! A function gets `out`, the space for its result, and `scratch`, a space for temporary values. The two are different
//! arenas, so that a result can be allocated while there are temporaries: a caller passes its own scratch as `out`, and a
//! child of its own `out` as scratch.

use super::{
    super::spaces::{
        Space,
        functions::{add, add_matrices, apply, copy, copy_matrix, scale, scale_matrix},
    },
    chain::{ChainProblem, stiffness},
};

/// The equation, with its matrices in a space.
struct Equation<M> {
    rest: M,
    springs: M,
    softening: f64,
}

/// The derivative of a state.
#[inline(always)]
fn slope<O: Space, S: Space, M: std::ops::Deref<Target = [f64]>>(
    out: &O,
    scratch: S,
    equation: &Equation<M>,
    time: f64,
    x: &[f64],
) -> O::Vector {
    let springs = scale_matrix(&scratch, &equation.springs, stiffness(equation.softening, time));
    let matrix = add_matrices(&scratch, &equation.rest, &springs);
    apply(out, &matrix, x)
}

/// The derivative after a step `h` with the derivative `k`.
#[inline(always)]
fn slope_ahead<O: Space, S: Space, M: std::ops::Deref<Target = [f64]>>(
    out: &O,
    mut scratch: S,
    equation: &Equation<M>,
    time: f64,
    h: f64,
    x: &[f64],
    k: &[f64],
) -> O::Vector {
    let ahead = add(&scratch, x, &scale(&scratch, k, h));
    slope(out, scratch.child(), equation, time + h, &ahead)
}

/// The state one step later.
#[inline(always)]
fn step<O: Space, S: Space, M: std::ops::Deref<Target = [f64]>>(
    out: &mut O,
    scratch: S,
    equation: &Equation<M>,
    time: f64,
    h: f64,
    x: &[f64],
) -> O::Vector {
    let k1 = slope(&scratch, out.child(), equation, time, x);
    let k2 = slope_ahead(&scratch, out.child(), equation, time, h / 2.0, x, &k1);
    let k3 = slope_ahead(&scratch, out.child(), equation, time, h / 2.0, x, &k2);
    let k4 = slope_ahead(&scratch, out.child(), equation, time, h, x, &k3);
    let middle = scale(&scratch, &add(&scratch, &k2, &k3), 2.0);
    let sum = add(&scratch, &add(&scratch, &k1, &middle), &k4);
    add(out, x, &scale(&scratch, &sum, h / 6.0))
}

/// The state after this many steps; `start` is the state at `time`.
pub fn integrate<O: Space, S: Space>(
    mut space: O,
    mut scratch: S,
    problem: &ChainProblem,
    start: &[f64],
    time: f64,
    steps: usize,
) -> Vec<f64> {
    let equation = Equation {
        rest: copy_matrix(&space, &problem.rest),
        springs: copy_matrix(&space, &problem.springs),
        softening: problem.softening,
    };
    let mut state = copy(&space, start);
    for i in 0..steps {
        let now = time + i as f64 * problem.time_step;
        let mut above = space.child();
        let next = step(&mut above, scratch.child(), &equation, now, problem.time_step, &state);
        O::settle(&mut state, next);
    }
    state.to_vec()
}
