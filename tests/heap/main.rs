//! Heaps of every policy.

mod churn;
mod fuzz_corpus;
mod general_errors;
mod general_model;
mod general_refused;
mod general_threads;
mod handles;
mod handles_model;
#[path = "../support/heap_model/mod.rs"]
mod heap_model;
#[path = "../support/math_model.rs"]
mod math_model;
mod misuse;
mod model;
mod policies;
mod refused;
mod refused_calls;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tagged.rs"]
mod tagged;
mod threads;
mod zeroed;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        policies::CASES,
        refused::CASES,
        refused_calls::CASES,
        threads::CASES,
        zeroed::CASES,
    ]);
}
