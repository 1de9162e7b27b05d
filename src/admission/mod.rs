//! Admission: whether a region may grow, and why not. The public path is [`oom`](crate::oom).

mod admit;
mod availability;
mod available;
mod cause;
mod cgroup;
mod error;
mod grants;
mod headroom;
mod inject;
mod patience;
mod pressure;
mod response;
mod scratch;
mod shortage;
mod sources;
mod write_back;

pub(crate) use admit::{GrowthRequest, NotAdmitted, admit};
pub use admit::{committed_bytes, process_limit, set_process_limit};
pub(crate) use available::available;
pub use cause::Cause;
#[cfg(feature = "heap")]
pub(crate) use cause::explain_call;
pub(crate) use cause::{Refusal, RefusalReason, explain};
pub(crate) use error::RefusedRequest;
pub use error::{AllocErr, AllocOrInitError, OutOfMemory};
pub(crate) use inject::set as set_injection;
pub use inject::{Injection, inject};
pub use response::{Answer, RefusalHook, Response};
pub(crate) use scratch::borrow as scratch;
pub(crate) use sources::{each_cgroup, prepare};
pub(crate) use write_back::spill_reads_ahead;
