//! The arithmetic of `math::step`.

#![no_main]

use highwater_fuzz::math_model::Growth;

libfuzzer_sys::fuzz_target!(|input: Growth| input.agrees());
