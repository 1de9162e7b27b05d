//! Sequences of calls to a heap with the policy `Stack`.

#![no_main]

use highwater_fuzz::heap_model::{Policy, run};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(Policy::Stack, bytes));
