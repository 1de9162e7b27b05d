use highwater::Arena;

use super::{
    super::spaces::{FixedScope, HeapSpace, StackSpace},
    engine::{SimulationResult, simulate},
    world::{Laws, PhysicsBody, RADIUS, Spring},
    *,
};

fn body(at: &[f64], velocity: &[f64]) -> PhysicsBody<Vec<f64>> {
    PhysicsBody { at: at.to_vec(), velocity: velocity.to_vec() }
}

/// Laws without gravity, drag and losses.
fn lossless() -> Laws {
    Laws { gravity: 0.0, drag: 0.0, restitution: 1.0, ..PhysicsProblem::of_dimensions(2).laws }
}

fn run(laws: &Laws, springs: &[Spring], bodies: &[PhysicsBody<Vec<f64>>], steps: usize) -> SimulationResult {
    simulate(HeapSpace, HeapSpace, laws, springs, bodies, steps)
}

/// The energy of motion; masses are 1.
fn motion(bodies: &[PhysicsBody<Vec<f64>>]) -> f64 {
    bodies.iter().flat_map(|body| &body.velocity).map(|v| v * v / 2.0).sum()
}

fn height(laws: &Laws, bodies: &[PhysicsBody<Vec<f64>>]) -> f64 {
    bodies.iter().map(|body| laws.gravity * body.at[1]).sum()
}

fn tension(laws: &Laws, springs: &[Spring], bodies: &[PhysicsBody<Vec<f64>>]) -> f64 {
    let stretched = |spring: &Spring| {
        let (a, b) = (&bodies[spring.a].at, &bodies[spring.b].at);
        let length = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        laws.stiffness * (length - spring.length).powi(2) / 2.0
    };
    springs.iter().map(stretched).sum()
}

#[test]
fn all_spaces_compute_the_same() {
    fn constant<const N: usize>() {
        let problem = PhysicsProblem::of_dimensions(N);
        let (mut one, mut other) = (Arena::new(), Arena::new());
        let expected = problem.run(HeapSpace, HeapSpace, 400);
        assert_eq!(problem.run(one.scope(), other.scope(), 400), expected);
        let scopes = (FixedScope::<N>(one.scope()), FixedScope::<N>(other.scope()));
        assert_eq!(problem.run(scopes.0, scopes.1, 400), expected);
        assert_eq!(problem.run(StackSpace::<N>, StackSpace::<N>, 400), expected);
    }
    constant::<2>();
    constant::<4>();
    constant::<8>();
    let plane = PhysicsProblem::of_dimensions(2).run(HeapSpace, HeapSpace, 400);
    assert!(plane[plane.len() - 1] > 0.0, "some pair must have touched");
}

#[test]
fn bodies_that_collide_head_on_swap_velocities() {
    let laws = lossless();
    let bodies = [body(&[8.0, 10.0], &[3.0, 0.0]), body(&[12.0, 10.0], &[-1.0, 0.0])];
    let end = run(&laws, &[], &bodies, 480);
    assert!(end.touches > 0);
    assert!((end.bodies[0].velocity[0] + 1.0).abs() < 1e-12, "{end:?}");
    assert!((end.bodies[1].velocity[0] - 3.0).abs() < 1e-12, "{end:?}");
}

#[test]
fn bouncing_without_loss_conserves_energy() {
    let laws = lossless();
    let problem = PhysicsProblem::of_dimensions(3);
    let end = run(&laws, &[], &problem.bodies, 2000);
    assert!(end.touches > 3, "{}", end.touches);
    let (before, after) = (motion(&problem.bodies), motion(&end.bodies));
    assert!((after / before - 1.0).abs() < 1e-12, "{before} became {after}");
}

#[test]
fn springs_conserve_momentum_and_energy() {
    // The method is symplectic: the energy oscillates, and does not drift.
    let laws = Laws { size: 1e6, time_step: 1e-4, ..lossless() };
    let centre = 5e5;
    let bodies = [body(&[centre, centre], &[0.0, 1.0]), body(&[centre + 4.0, centre], &[0.5, 0.0])];
    let springs = [Spring { a: 0, b: 1, length: 3.5 }];
    let end = run(&laws, &springs, &bodies, 20_000);
    let momentum = |bodies: &[PhysicsBody<Vec<f64>>], i: usize| -> f64 {
        bodies.iter().map(|body| body.velocity[i]).sum()
    };
    for i in 0..2 {
        assert!((momentum(&end.bodies, i) - momentum(&bodies, i)).abs() < 1e-9);
    }
    let all = |bodies: &[PhysicsBody<Vec<f64>>]| motion(bodies) + tension(&laws, &springs, bodies);
    assert!((all(&end.bodies) / all(&bodies) - 1.0).abs() < 0.01, "{} {}", all(&bodies), all(&end.bodies));
    assert_ne!(end.bodies, bodies);
}

#[test]
fn the_world_comes_to_rest_in_its_box() {
    let problem = PhysicsProblem::of_dimensions(2);
    let laws = &problem.laws;
    let all = |bodies: &[PhysicsBody<Vec<f64>>]| {
        motion(bodies) + height(laws, bodies) + tension(laws, &problem.springs, bodies)
    };
    let early = run(laws, &problem.springs, &problem.bodies, 480).bodies;
    let late = run(laws, &problem.springs, &early, 2400).bodies;
    let energies = [&problem.bodies[..], &early, &late].map(all);
    assert!(energies[1] < energies[0] && energies[2] < 0.8 * energies[1], "{energies:?}");
    for at in late.iter().flat_map(|body| &body.at) {
        // Walls are checked before bodies separate, which may push each other slightly beyond a wall.
        assert!((0.5 * RADIUS..laws.size - 0.5 * RADIUS).contains(at), "{at}");
    }
}

#[test]
fn the_numbers_for_c_are_complete() {
    let problem = PhysicsProblem::of_dimensions(4);
    let numbers = problem.numbers();
    assert_eq!(numbers.len(), 9 + 3 * problem.springs.len() + 2 * 4 * problem.bodies.len());
    assert_eq!(numbers[..3], [4.0, 10.0, 6.0]);
}
