//! The arithmetic of `math::bump`.

#![no_main]

use highwater_fuzz::math_model::Bump;

libfuzzer_sys::fuzz_target!(|input: Bump| input.agrees());
