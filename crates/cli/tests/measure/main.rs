//! `bench`, `compare` and `report`, as a user runs them. These tests measure, and so take longer than the others.

mod bench;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod malloctest;
mod report;
mod vectors;
