#![doc = include_str!("../README.md")]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod arena;
mod builder;
pub mod fault;
mod grow;
pub mod guard;
pub mod heap;
#[doc(hidden)] // public for fuzzing, and no part of the contract
pub mod math;
pub mod oom;
mod policy;
mod region;
mod report;
pub mod stats;
mod sys;
mod vec;

pub use arena::*;
pub use builder::Builder;
pub use fault::{Engine, engine};
pub use oom::{AllocErr, AllocOrInitError, Cause, OutOfMemory};
pub use policy::{
    Backing, Growth, GuardMechanism, GuardPolicy, Headroom, HugePages, OnViolation, ReportFormat, Reserve,
};
pub use region::{BuildError, GuardError, Monitor, Region};
pub use stats::{GrowthEvent, Stats};
pub use vec::{AppendVec, Drain, GrowVec, IntoIter, SharedVec};
