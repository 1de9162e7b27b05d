//! What a region may be told: plain data, taken by the builders and never changed by them.

mod growth;
mod guard;
mod limits;

pub use growth::{Growth, HugePages};
pub use guard::GuardPolicy;
pub use limits::{Backing, Reserve};
