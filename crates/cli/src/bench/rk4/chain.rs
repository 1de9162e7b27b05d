//! The equation: a chain of masses and springs, one of whose ends is held, and whose springs' stiffness softenings.
//!
//! A state has two numbers for each mass, in the order of the chain: by how much the spring before it is longer than at
//! rest, and the mass's velocity. So the equation is linear, with a matrix of three bands that changes in time:
//! `x' = (rest + stiffness(t) * springs) x`.

use super::super::spaces::BANDS;

/// What is integrated.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The part of the matrix that stays: how springs are stretched, and the damping.
    pub rest: Vec<f64>,
    /// The part that the stiffness is a factor of.
    pub springs: Vec<f64>,
    /// The state at time 0.
    pub start: Vec<f64>,
    pub time_step: f64,
    /// By how much the stiffness softenings around 1.
    pub softening: f64,
}

const SOFTENING: f64 = 0.5;
const DAMPING: f64 = 0.05;

impl Problem {
    /// A chain of `length / 2` masses that is stretched and moving everywhere.
    ///
    /// Everywhere, so that no number becomes so small that the processor takes longer over it.
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
            // The wall before the first spring does not move, and nothing pulls behind the last mass.
            rest[below + spring] = if spring > 0 { -1.0 } else { 0.0 };
            rest[above + spring] = 1.0;
            rest[on + mass] = -damping;
            springs[below + mass] = -1.0;
            springs[above + mass] = if mass + 1 < length { 1.0 } else { 0.0 };
        }
        Self { rest, springs, start: (0..length).map(start).collect(), time_step, softening }
    }

    /// Numbers in a state.
    pub fn length(&self) -> usize {
        self.start.len()
    }
}

/// What the springs' part of the matrix is multiplied by at a time.
pub fn stiffness(softening: f64, time: f64) -> f64 {
    1.0 + softening / (1.0 + time * time)
}

/// Where the masses are, from where they are at rest.
pub fn displacements(state: &[f64]) -> Vec<f64> {
    let stretched = state.iter().step_by(2);
    stretched
        .scan(0.0, |sum, by| {
            *sum += by;
            Some(*sum)
        })
        .collect()
}

/// What motion and springs of stiffness 1 have; the masses are 1.
#[cfg(test)]
pub fn energy(state: &[f64]) -> f64 {
    state.iter().map(|number| number * number).sum::<f64>() / 2.0
}
