use highwater::Arena;

use super::{
    super::spaces::{FixedScope, HeapSpace, StackSpace},
    chain::energy,
    method::integrate,
    *,
};

/// The state after this time, computed in this many steps.
fn after(problem: &ChainProblem, time: f64, steps: usize) -> Vec<f64> {
    let problem = ChainProblem { time_step: time / steps as f64, ..problem.clone() };
    integrate(HeapSpace, HeapSpace, &problem, &problem.start, 0.0, steps)
}

/// The largest difference between two states.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn all_spaces_compute_the_same() {
    fn constant<const N: usize>() {
        let problem = ChainProblem::of_length(N);
        let (mut one, mut other) = (Arena::new(), Arena::new());
        let expected = problem.run(HeapSpace, HeapSpace, 50);
        assert_ne!(expected, problem.start);
        assert_eq!(problem.run(one.scope(), other.scope(), 50), expected);
        let scopes = (FixedScope::<N>(one.scope()), FixedScope::<N>(other.scope()));
        assert_eq!(problem.run(scopes.0, scopes.1, 50), expected);
        assert_eq!(problem.run(StackSpace::<N>, StackSpace::<N>, 50), expected);
    }
    constant::<2>();
    constant::<8>();
    constant::<64>();
}

#[test]
fn more_steps_need_no_more_memory() {
    let problem = ChainProblem::of_length(256);
    let committed = |steps| {
        let (mut one, mut other) = (Arena::new(), Arena::new());
        problem.run(one.scope(), other.scope(), steps);
        one.committed_bytes() + other.committed_bytes()
    };
    assert_eq!(committed(1), committed(300));
}

#[test]
fn the_method_is_of_fourth_order() {
    let problem = ChainProblem::of_length(16);
    let exact = after(&problem, 2.0, 4096);
    let errors = [16, 32, 64].map(|steps| distance(&after(&problem, 2.0, steps), &exact));
    for pair in errors.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        assert!((3.8..4.3).contains(&order), "{errors:?}");
    }
}

#[test]
fn one_mass_oscillates_harmonically() {
    // Without damping and softening, e' = v and v' = -e.
    let problem = ChainProblem::new(2, 0.01, 0.0, 0.0, |i| 1.0 - i as f64);
    let found = after(&problem, 3.0, 300);
    assert!(distance(&found, &[3.0_f64.cos(), -(3.0_f64.sin())]) < 1e-9, "{found:?}");
}

#[test]
fn energy_is_conserved_without_damping() {
    let free = ChainProblem::new(32, 0.01, 0.0, 0.0, |i| (i as f64).cos());
    let before = energy(&free.start);
    let kept = energy(&after(&free, 10.0, 1000));
    assert!((kept / before - 1.0).abs() < 1e-8, "{before} became {kept}");
    let damped = ChainProblem::new(32, 0.01, 0.0, 0.3, |i| (i as f64).cos());
    assert!(energy(&after(&damped, 10.0, 1000)) < 0.5 * before);
}

#[test]
fn the_numbers_for_c_are_complete() {
    let problem = ChainProblem::of_length(8);
    let numbers = problem.numbers();
    assert_eq!(numbers.len(), 3 + 7 * 8);
    assert_eq!(numbers[..3], [8.0, 0.01, problem.softening]);
    assert_eq!(numbers[numbers.len() - 8..], problem.start);
}
