//! Policies of a region: plain data, taken by the builders and never changed by them.

mod engine;
mod growth;
mod guard;
#[cfg(feature = "heap")]
mod heap;
mod limits;
mod response;

pub use engine::{Engine, RegionEngine, UnknownEngine};
pub use growth::{Growth, HugePages};
pub use guard::{GuardMechanism, GuardPolicy, OnViolation, ReportFormat};
#[cfg(feature = "heap")]
pub use heap::{Blocks, Bump, Fit, General, HeapPolicy, MIN_ALIGN, Stack};
pub use limits::{Backing, Reserve};
pub use response::Headroom;
