//! The chart of the trajectory.

use highwater::Arena;

use super::{
    chain::{ChainProblem, displacements},
    method::integrate,
};
use crate::{
    failure::Failure,
    lab::{
        Unit,
        chart::{Axis, ChartLine, LineChart, Picture},
    },
};

const MASSES: usize = 8;
const SECONDS: f64 = 40.0;
/// Steps between two points of a line.
const STEPS_PER_POINT: usize = 10;

/// Draws the motion of a chain that is stretched and then released.
pub fn trajectory() -> Result<Picture, Failure> {
    let problem = ChainProblem::new(2 * MASSES, 0.01, 0.0, 0.01, |i| if i % 2 == 0 { 0.35 } else { 0.0 });
    let mut lines: Vec<_> =
        (1..=MASSES).map(|mass| ChartLine { name: format!("mass {mass}"), points: Vec::new() }).collect();
    let (mut one, mut other) = (Arena::new(), Arena::new());
    let mut state = problem.start.clone();
    let mut steps = 0;
    loop {
        let time = steps as f64 * problem.time_step;
        for (mass, (line, moved)) in lines.iter_mut().zip(displacements(&state)).enumerate() {
            line.points.push((time * 1e9, (mass + 1) as f64 + moved));
        }
        if time >= SECONDS {
            break;
        }
        state = integrate(one.scope(), other.scope(), &problem, &state, time, STEPS_PER_POINT);
        steps += STEPS_PER_POINT;
    }
    lines.reverse();
    LineChart {
        name: "trajectory".into(),
        title: "A chain of masses, stretched and released".into(),
        subtitle: "the ODE's trajectory: each mass's distance from the wall; every spring starts at 1.35 times its length at rest"
            .into(),
        x: Axis { zero_based: true, ..Axis::linear("time", Unit::Ns) },
        y: Axis::linear("distance (springs at rest)", Unit::Count),
        lines,
    }
    .draw()
}
