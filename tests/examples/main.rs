//! The examples that compute something, with tests of what they compute.

mod handles;
mod json;
#[path = "../support/mod.rs"]
mod support;
