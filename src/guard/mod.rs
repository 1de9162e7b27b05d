//! What counts as growth and what as an error.

mod judge;

pub(crate) use judge::{Fault, Verdict, View, judge};
