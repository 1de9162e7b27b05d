//! What counts as growth and what as an error, and what is known of an error.
//!
//! [`judge`] decides over one fault; [`Violation`] is what the report of one is made of. The policies that a
//! region is given are a [`GuardPolicy`](crate::GuardPolicy).

mod ending;
mod event;
mod hook;
mod judge;
mod ledger;
mod queue;
mod record;
mod renamed;
mod spans;
mod violation;

#[doc(hidden)]
pub use event::EventSink;
#[cfg(feature = "log")]
pub use event::to_log;
pub use event::{Event, EventKind};
pub(crate) use hook::hook;
pub use hook::{ViolationHook, set_hook};
pub use judge::{FaultInfo, FaultVerdict, PageState, RegionView, judge};
pub(crate) use ledger::{Corruption, Ledger, PlacementRequest};
#[allow(deprecated)]
pub use renamed::{Fault, Hook, Kind, Place, Verdict, View, What};
pub(crate) use violation::IMAGE_BYTES;
pub use violation::{Access, Allocation, Violation, ViolationKind};
