//! The chart of the motion: the box at a few moments, with the trails of the bodies.

use highwater::Arena;
use plotters::prelude::*;

use super::{
    engine::simulate,
    world::{PhysicsBody, PhysicsProblem, RADIUS},
};
use crate::{
    failure::Failure,
    lab::chart::{
        Picture,
        canvas::{Anchor, Canvas, DrawResult, NORMAL, PixelPoint, SMALL, TITLE, picture, write},
        style::Style,
    },
};

type Bodies = Vec<PhysicsBody<Vec<f64>>>;

/// The moments that are drawn, in seconds.
const MOMENTS: [f64; 6] = [0.0, 0.4, 0.8, 1.2, 2.0, 4.0];
/// Steps between two points of a trail.
const STEPS_PER_POINT: usize = 4;
/// The length of a trail, in seconds.
const TRAIL: f64 = 0.4;

const COLUMNS: i32 = 3;
const PANEL: i32 = 280;
const GAP: i32 = 40;
const TOP: i32 = 100;
const MARGIN: i32 = 16;

/// The bodies at a moment, with their trails.
struct Moment {
    seconds: f64,
    bodies: Bodies,
    trail: Vec<Bodies>,
}

/// Draws ten bodies in two dimensions.
pub fn motion() -> Result<Picture, Failure> {
    let problem = PhysicsProblem::of_dimensions(2);
    let rows = i32::try_from(MOMENTS.len()).unwrap_or(0).div_euclid(COLUMNS);
    let size =
        (2 * MARGIN + COLUMNS * PANEL + (COLUMNS - 1) * GAP, TOP + rows * (PANEL + GAP) - GAP + MARGIN);
    let title = "Ten bodies in a box, six of them tied by springs";
    picture("motion", title, size, |canvas| {
        let subtitle = format!(
            "the simulated motion: bodies (1 to 10), springs (straight lines) and the last {TRAIL} s of their trails; \
             the box is {} radii wide and high",
            problem.laws.size / RADIUS
        );
        write(canvas, title, (MARGIN, 22), TITLE, Anchor::Start, 1.0)?;
        write(canvas, &subtitle, (MARGIN, 46), SMALL, Anchor::Start, 0.75)?;
        for (number, moment) in moments(&problem).iter().enumerate() {
            let number = i32::try_from(number)?;
            let left = MARGIN + number % COLUMNS * (PANEL + GAP);
            panel(canvas, &problem, moment, (left, TOP + number / COLUMNS * (PANEL + GAP)))?;
        }
        Ok(())
    })
}

fn moments(problem: &PhysicsProblem) -> Vec<Moment> {
    let (mut space, mut scratch) = (Arena::new(), Arena::new());
    let (laws, springs) = (&problem.laws, &problem.springs);
    let kept = (TRAIL / laws.time_step) as usize / STEPS_PER_POINT;
    let mut bodies = problem.bodies.clone();
    let mut trail: Vec<Bodies> = Vec::new();
    let mut steps = 0;
    let mut moments = Vec::new();
    for seconds in MOMENTS {
        while (steps as f64) * laws.time_step < seconds {
            trail.push(bodies.clone());
            bodies = simulate(space.scope(), scratch.scope(), laws, springs, &bodies, STEPS_PER_POINT).bodies;
            steps += STEPS_PER_POINT;
        }
        trail.drain(..trail.len().saturating_sub(kept));
        moments.push(Moment { seconds, bodies: bodies.clone(), trail: trail.clone() });
    }
    moments
}

fn panel(
    canvas: &Canvas<'_>,
    problem: &PhysicsProblem,
    moment: &Moment,
    (left, top): PixelPoint,
) -> DrawResult {
    let scale = f64::from(PANEL) / problem.laws.size;
    let pixel = |body: &PhysicsBody<Vec<f64>>| {
        let (x, y) = (body.at[0] * scale, body.at[1] * scale);
        (left + x.round() as i32, top + PANEL - y.round() as i32)
    };
    write(canvas, &format!("{} s", moment.seconds), (left, top - 14), NORMAL, Anchor::Start, 1.0)?;
    canvas.draw(&Rectangle::new([(left, top), (left + PANEL, top + PANEL)], BLACK.mix(0.7)))?;
    for (number, body) in moment.bodies.iter().enumerate() {
        let trail = moment.trail.iter().map(|bodies| pixel(&bodies[number])).chain([pixel(body)]);
        canvas.draw(&PathElement::new(
            trail.collect::<Vec<_>>(),
            Style(number).colour().mix(0.55).stroke_width(2),
        ))?;
    }
    for spring in &problem.springs {
        let ends = [spring.a, spring.b].map(|end| pixel(&moment.bodies[end]));
        canvas.draw(&PathElement::new(ends.to_vec(), BLACK.mix(0.6).stroke_width(2)))?;
    }
    let radius = (RADIUS * scale).round() as i32;
    for (number, body) in moment.bodies.iter().enumerate() {
        let at = pixel(body);
        canvas.draw(&Circle::new(at, radius, WHITE.filled()))?;
        canvas.draw(&Circle::new(at, radius, Style(number).colour().mix(0.25).filled()))?;
        canvas.draw(&Circle::new(at, radius, Style(number).colour().stroke_width(2)))?;
        write(canvas, &(number + 1).to_string(), at, SMALL, Anchor::Middle, 1.0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_is_drawn_at_every_moment() {
        let svg = motion().unwrap().svg;
        let document = roxmltree::Document::parse(&svg).unwrap();
        let circles = document.descendants().filter(|node| node.has_tag_name("circle"));
        assert_eq!(circles.count(), 3 * 10 * MOMENTS.len());
        let texts: Vec<_> = document.descendants().filter_map(|node| node.text()).map(str::trim).collect();
        for moment in ["0 s", "0.4 s", "4 s"] {
            assert!(texts.contains(&moment), "{texts:?}");
        }
    }
}
