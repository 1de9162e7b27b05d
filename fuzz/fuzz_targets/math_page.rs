//! The arithmetic of `math::page`.

#![no_main]

use highwater_fuzz::math_model::Page;

libfuzzer_sys::fuzz_target!(|input: Page| input.agrees());
