//! The examples that compute something, with tests of what they compute; and the pages of the documentation.

mod handles;
#[allow(dead_code, unused_imports, reason = "the tests use a part of it")]
#[cfg(all(highwater_fault, not(feature = "log")))]
#[path = "../../examples/json_tree/json/mod.rs"]
mod json;
mod json_queries;
mod json_tree;
mod pages;
#[path = "../support/mod.rs"]
mod support;
