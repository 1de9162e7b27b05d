//! `grow`, `guard`, `oom`, `run`, `completions` and `man`, as a user runs them.

#[path = "../common/mod.rs"]
mod common;
mod completions;
mod grow_output;
mod grow_paths;
mod grow_refusals;
mod grow_size;
mod guard;
mod oom;
mod run;
