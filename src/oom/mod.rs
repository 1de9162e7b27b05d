//! Running out of memory: who is asked, what the answer was, and why.

pub(crate) mod admit;
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
mod sources;

pub use admit::{committed_bytes, process_limit, set_process_limit};
pub(crate) use available::available;
pub use cause::Cause;
pub(crate) use cause::{Reason, Refusal, explain, explain_call};
pub(crate) use error::RefusedRequest;
pub use error::{AllocErr, AllocOrInitError, OutOfMemory};
pub(crate) use inject::set as set_injection;
pub use inject::{Injection, inject};
pub use response::{Answer, RefusalHook, Response};
pub(crate) use scratch::borrow as scratch;
pub(crate) use sources::{each_cgroup, prepare};

// The public place of what reports: the names that this room takes from the right.
pub use crate::report::{Report, dump_on_signal, report_to_file, report_to_sink, set_report_format};
