//! Every policy against the model: blocks never overlap, are aligned, keep what was written to them and can be found,
//! mistakes and refusals are named and change nothing, the heap's own check passes after every call, and when all is
//! freed there is one free run. (The same calls are what the fuzz targets make, with the same model.)

use crate::heap_model;
use heap_model::{Model, Policy, Setup, SetupBytes, Step, StepBytes};
use proptest::prelude::*;

fn plans() -> impl Strategy<Value = (SetupBytes, Vec<StepBytes>)> {
    (any::<SetupBytes>(), prop::collection::vec(any::<StepBytes>(), 1..120))
}

/// Does what was drawn, and shows what that is if it fails.
fn agree(policy: Policy, setup: SetupBytes, steps: &[StepBytes]) -> Result<(), TestCaseError> {
    let (setup, steps) = (Setup::read(policy, setup), steps.iter().map(|&step| Step::read(step)));
    let steps: Vec<_> = steps.collect();
    let shown = format!("{setup:?} {steps:?}");
    let work = move || {
        let mut model = Model::new(setup, true);
        for step in steps {
            model.step(step);
            model.compare();
        }
        model.end();
    };
    std::panic::catch_unwind(work).map_err(|_| TestCaseError::fail(shown))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_general_heap_does_what_the_model_does((setup, steps) in plans()) {
        agree(Policy::General, setup, &steps)?;
    }

    #[test]
    fn blocks_do_what_the_model_does((setup, steps) in plans()) {
        agree(Policy::Blocks, setup, &steps)?;
    }

    #[test]
    fn a_stack_does_what_the_model_does((setup, steps) in plans()) {
        agree(Policy::Stack, setup, &steps)?;
    }

    #[test]
    fn bumped_blocks_do_what_the_model_does((setup, steps) in plans()) {
        agree(Policy::Bump, setup, &steps)?;
    }
}
