//! What counts as growth and what as an error.

mod judge;

#[cfg(highwater_fault)]
pub(crate) use judge::{Fault, Verdict, View, judge};
