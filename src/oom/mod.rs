//! Running out of memory: who is asked, what the answer was, and why.

pub(crate) mod admit;
mod cause;
mod error;

pub use cause::Cause;
pub(crate) use cause::{Refusal, explain};
pub(crate) use error::Request;
pub use error::{AllocErr, AllocOrInitError, OutOfMemory};

// The public place of a function that reports: the one name that this room takes from the right.
pub use crate::report::dump_on_signal;
