//! The equation: a chain of masses and springs, fixed at one end, whose springs soften over time.
//!
//! A state has two numbers for each mass, in the order of the chain: how much the spring before it is stretched, and the
//! mass's velocity. The equation is linear, with a tridiagonal matrix that changes over time:
//! `x' = (rest + stiffness(t) * springs) x`.

use super::super::spaces::BANDS;

/// The equation with its initial state.
#[derive(Debug, Clone)]
pub struct ChainProblem {
    /// The constant part of the matrix: how springs are stretched, and the damping.
    pub rest: Vec<f64>,
    /// The part that is multiplied by the stiffness.
    pub springs: Vec<f64>,
    /// The state at time 0.
    pub start: Vec<f64>,
    pub time_step: f64,
    /// By how much the stiffness is above 1 at time 0; it decreases to 1.
    pub softening: f64,
}

const SOFTENING: f64 = 0.5;
const DAMPING: f64 = 0.05;

impl ChainProblem {
    /// A chain of `length / 2` masses, all of which move and all of whose springs are stretched, so that no number becomes
    /// subnormal, which would be slow.
    pub fn of_length(length: usize) -> Self {
        Self::new(length, 0.01, SOFTENING, DAMPING, |i| (1.7 * i as f64 + 0.3).sin())
    }

    /// The length is even and at least 2.
    pub fn new(
        length: usize,
        time_step: f64,
        softening: f64,
        damping: f64,
        start: impl FnMut(usize) -> f64,
    ) -> Self {
        assert!(
            length >= 2 && length.is_multiple_of(2),
            "a state has two numbers for each mass, not {length}"
        );
        let mut rest = vec![0.0; BANDS * length];
        let mut springs = vec![0.0; BANDS * length];
        let (below, on, above) = (0, length, 2 * length);
        for spring in (0..length).step_by(2) {
            let mass = spring + 1;
            // The wall before the first spring does not move, and there is no spring after the last mass.
            rest[below + spring] = if spring > 0 { -1.0 } else { 0.0 };
            rest[above + spring] = 1.0;
            rest[on + mass] = -damping;
            springs[below + mass] = -1.0;
            springs[above + mass] = if mass + 1 < length { 1.0 } else { 0.0 };
        }
        Self { rest, springs, start: (0..length).map(start).collect(), time_step, softening }
    }

    /// The length of a state.
    pub fn length(&self) -> usize {
        self.start.len()
    }
}

/// The stiffness at a time: the factor of the springs' part of the matrix.
pub fn stiffness(softening: f64, time: f64) -> f64 {
    1.0 + softening / (1.0 + time * time)
}

/// The displacements of the masses from their positions at rest.
pub fn displacements(state: &[f64]) -> Vec<f64> {
    let stretched = state.iter().step_by(2);
    stretched
        .scan(0.0, |sum, by| {
            *sum += by;
            Some(*sum)
        })
        .collect()
}

/// The energy of motion and of springs with stiffness 1; the masses are 1.
#[cfg(test)]
pub fn energy(state: &[f64]) -> f64 {
    state.iter().map(|number| number * number).sum::<f64>() / 2.0
}
