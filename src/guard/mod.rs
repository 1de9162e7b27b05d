//! What counts as growth and what as an error, and what is known of an error.
//!
//! [`judge`] decides over one fault; [`Violation`] is what the report of one is made of. The policies that a
//! region is given are a [`GuardPolicy`](crate::GuardPolicy). The page [guards](crate::guide::guards) says what guards catch.

#[cfg(feature = "debug-arena")]
mod emit;
#[cfg(feature = "debug-arena")]
mod ending;
#[cfg(feature = "debug-arena")]
mod event;
mod hook;
mod judge;
#[cfg(feature = "debug-arena")]
mod ledger;
#[cfg(any(highwater_fault, feature = "debug-arena"))]
#[cfg_attr(not(feature = "debug-arena"), path = "no_ledger.rs")]
mod look;
#[cfg(feature = "debug-arena")]
mod placement;
#[cfg(feature = "debug-arena")]
mod queue;
#[cfg(feature = "debug-arena")]
mod record;
mod renamed;
#[cfg(feature = "debug-arena")]
mod spans;
mod violation;

#[cfg(feature = "debug-arena")]
pub(crate) use event::EventSink;
#[cfg(feature = "log")]
pub use event::to_log;
#[cfg(feature = "debug-arena")]
pub use event::{Event, EventKind};
#[cfg(any(highwater_fault, feature = "debug-arena"))]
pub(crate) use hook::hook;
pub use hook::{ViolationHook, set_hook};
pub use judge::{FaultInfo, FaultVerdict, PageState, RegionView, judge};
#[cfg(feature = "debug-arena")]
pub(crate) use ledger::{Corruption, Ledger};
#[cfg(any(highwater_fault, feature = "debug-arena"))]
pub(crate) use look::generation;
#[cfg(any(highwater_fault, feature = "debug-arena"))]
pub(crate) use look::look;
#[allow(deprecated)]
#[cfg(feature = "debug-arena")]
pub(crate) use placement::PlacementRequest;
pub use renamed::*;
pub(crate) use violation::IMAGE_BYTES;
pub use violation::{Access, Allocation, Violation, ViolationKind};
