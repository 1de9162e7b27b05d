//! Arenas that threads share.

mod allocator;
mod body;
mod failures;
mod local;
mod model;
mod rayon;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod traits;
