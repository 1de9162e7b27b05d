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
mod spans;
mod violation;

#[doc(hidden)]
pub use event::Sink;
#[cfg(feature = "log")]
pub use event::to_log;
pub use event::{Event, What};
pub(crate) use hook::hook;
pub use hook::{Hook, set_hook};
pub use judge::{Fault, Place, Verdict, View, judge};
pub(crate) use ledger::{Broken, Ledger, Wanted};
pub(crate) use violation::IMAGE_BYTES;
pub use violation::{Access, Allocation, Kind, Violation};
