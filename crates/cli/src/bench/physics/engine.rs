//! The engine, written with functions that return vectors. `out` is the space for a result, `scratch` one for temporary
//! values; `rk4/method.rs` explains why they are two.
//!
//! A step computes the forces on all bodies, moves them, and lets those that touch each other or a wall bounce.

use std::ops::Deref;

use super::{
    super::spaces::{
        Space,
        functions::{add, copy, dot, scale, subtract},
    },
    world::{DIAMETER, Laws, PhysicsBody, RADIUS, Spring},
};

/// The current state of the simulation.
struct World<'p, V> {
    laws: &'p Laws,
    springs: &'p [Spring],
    bodies: Vec<PhysicsBody<V>>,
}

#[inline(always)]
fn weight<O: Space>(out: &O, dimensions: usize, gravity: f64) -> O::Vector {
    out.vector(dimensions, |i| if i == 1 { -gravity } else { 0.0 })
}

/// The force of a spring, with this length at rest, on the body at `a`.
#[inline(always)]
fn pull<O: Space, S: Space>(
    out: &O,
    scratch: S,
    stiffness: f64,
    at_rest: f64,
    a: &[f64],
    b: &[f64],
) -> O::Vector {
    let between = subtract(&scratch, b, a);
    let length = dot(&between, &between).sqrt();
    let by = if length > 0.0 { stiffness * (length - at_rest) / length } else { 0.0 };
    scale(out, &between, by)
}

/// The sum of all forces on a body.
#[inline(always)]
fn force_on<O: Space, S: Space, V: Deref<Target = [f64]>>(
    out: &mut O,
    mut scratch: S,
    world: &World<'_, V>,
    number: usize,
) -> O::Vector {
    let laws = world.laws;
    let body = &world.bodies[number];
    let drag = scale(&scratch, &body.velocity, -laws.drag);
    let mut sum = add(out, &weight(&scratch, body.at.len(), laws.gravity), &drag);
    for spring in world.springs {
        let other = match number {
            n if n == spring.a => spring.b,
            n if n == spring.b => spring.a,
            _ => continue,
        };
        let tied = scratch.child();
        let (here, there) = (&body.at, &world.bodies[other].at);
        let force = pull(&tied, out.child(), laws.stiffness, spring.length, here, there);
        sum = add(out, &sum, &force);
    }
    sum
}

#[inline(always)]
fn accelerate<O: Space, S: Space>(
    space: &mut O,
    scratch: &mut S,
    world: &mut World<'_, O::Vector>,
    number: usize,
) {
    let mut above = space.child();
    let force = force_on(&mut above, scratch.child(), world, number);
    let change = scale(&above, &force, world.laws.time_step);
    let velocity = add(&above, &world.bodies[number].velocity, &change);
    O::settle(&mut world.bodies[number].velocity, velocity);
}

/// Moves a body; one that leaves the box is put back, and bounces.
#[inline(always)]
fn advance<O: Space>(space: &mut O, laws: &Laws, body: &mut PhysicsBody<O::Vector>) {
    let above = space.child();
    let change = scale(&above, &body.velocity, laws.time_step);
    let at = add(&above, &body.at, &change);
    let (low, high) = (RADIUS, laws.size - RADIUS);
    if at.iter().all(|at| (low..=high).contains(at)) {
        O::settle(&mut body.at, at);
        return;
    }
    let (old, kept) = (&body.velocity, laws.restitution);
    let velocity = above.vector(old.len(), |i| {
        let leaves = (at[i] < low && old[i] < 0.0) || (at[i] > high && old[i] > 0.0);
        if leaves { -kept * old[i] } else { old[i] }
    });
    O::settle(&mut body.velocity, velocity);
    O::settle(&mut body.at, above.vector(at.len(), |i| at[i].clamp(low, high)));
}

/// Lets two bodies bounce off each other if they touch. Returns whether they do.
#[inline(always)]
fn collide<O: Space>(
    space: &mut O,
    laws: &Laws,
    a: &mut PhysicsBody<O::Vector>,
    b: &mut PhysicsBody<O::Vector>,
) -> bool {
    let above = space.child();
    let between = subtract(&above, &b.at, &a.at);
    let square = dot(&between, &between);
    // Two bodies at the same position have no direction to separate in.
    if !(square < DIAMETER * DIAMETER && square > 0.0) {
        return false;
    }
    let distance = square.sqrt();
    let shift = scale(&above, &between, 0.5 * (DIAMETER - distance) / distance);
    let (at, other) = (subtract(&above, &a.at, &shift), add(&above, &b.at, &shift));
    O::settle(&mut a.at, at);
    O::settle(&mut b.at, other);
    let approach = dot(&subtract(&above, &b.velocity, &a.velocity), &between);
    if approach < 0.0 {
        let impulse = scale(&above, &between, -0.5 * (1.0 + laws.restitution) * approach / square);
        let (velocity, other) = (subtract(&above, &a.velocity, &impulse), add(&above, &b.velocity, &impulse));
        O::settle(&mut a.velocity, velocity);
        O::settle(&mut b.velocity, other);
    }
    true
}

/// One step. Returns how many pairs touched.
#[inline(always)]
fn step<O: Space, S: Space>(space: &mut O, scratch: &mut S, world: &mut World<'_, O::Vector>) -> usize {
    for number in 0..world.bodies.len() {
        accelerate(space, scratch, world, number);
    }
    for body in &mut world.bodies {
        advance(space, world.laws, body);
    }
    let mut touches = 0;
    for later in 1..world.bodies.len() {
        let (before, from) = world.bodies.split_at_mut(later);
        for body in before {
            touches += usize::from(collide(space, world.laws, body, &mut from[0]));
        }
    }
    touches
}

/// The result of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationResult {
    pub bodies: Vec<PhysicsBody<Vec<f64>>>,
    /// The number of pairs that touched, over all steps.
    pub touches: usize,
}

/// Simulates this many steps.
pub fn simulate<O: Space, S: Space>(
    mut space: O,
    mut scratch: S,
    laws: &Laws,
    springs: &[Spring],
    bodies: &[PhysicsBody<Vec<f64>>],
    steps: usize,
) -> SimulationResult {
    let placed = |body: &PhysicsBody<Vec<f64>>| PhysicsBody {
        at: copy(&space, &body.at),
        velocity: copy(&space, &body.velocity),
    };
    let mut world = World { laws, springs, bodies: bodies.iter().map(placed).collect() };
    let mut touches = 0;
    for _ in 0..steps {
        touches += step(&mut space, &mut scratch, &mut world);
    }
    let copied = |body: &PhysicsBody<O::Vector>| PhysicsBody {
        at: body.at.to_vec(),
        velocity: body.velocity.to_vec(),
    };
    SimulationResult { bodies: world.bodies.iter().map(copied).collect(), touches }
}
