//! A heap beside a model of it: blocks do not overlap, are aligned and keep what was written to them, every mistake and
//! every refusal is named and changes nothing, the figures agree, the heap's own check passes after every call, and when
//! all is freed there is one free run. Shared by the property tests, the fuzz targets and what replays their corpus.

#![allow(dead_code, unused_imports, reason = "each program that includes this uses its own part of it")]

mod actors;
mod contents;
mod misuse;
mod model;
mod plan;

pub use model::{Model, Outcome};
pub use plan::{Call, Order, Plan, Policy, Setup, SetupBytes, Step, StepBytes, Which, Wrong};

/// Does what some bytes say. With `HIGHWATER_FUZZ_TRACE` in the environment it says what that is.
pub fn run(policy: Policy, bytes: &[u8]) {
    let Ok(plan) = Plan::read(policy, bytes) else { return };
    let traces = std::env::var_os("HIGHWATER_FUZZ_TRACE").is_some();
    if traces {
        eprintln!("{:?}", plan.setup);
    }
    let mut model = Model::new(plan.setup, false);
    for step in plan.steps {
        if traces {
            eprintln!("{step:?}");
        }
        model.step(step);
        model.compare();
    }
    model.end();
}
