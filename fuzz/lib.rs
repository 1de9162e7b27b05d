//! What the targets do is in one place with the tests: see `tests/support/heap_model` and `tests/heap/fuzz_corpus.rs`.

#[path = "../tests/support/heap_model/mod.rs"]
pub mod heap_model;
#[path = "../tests/support/math_model.rs"]
pub mod math_model;
