//! What a region may be told: plain data, taken by the builders and never changed by them.

mod engine;
mod growth;
mod guard;
mod limits;
mod response;

pub use engine::{Engine, RegionEngine, UnknownEngine};
pub use growth::{Growth, HugePages};
pub use guard::{GuardMechanism, GuardPolicy, OnViolation, ReportFormat};
pub use limits::{Backing, Reserve};
pub use response::Headroom;
