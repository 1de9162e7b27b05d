//! Plain integers: rounding to pages, bumping a position, sizing a growth step, random numbers.
//!
//! Nothing here knows of pointers, the operating system or regions, and nothing is `unsafe`. The rest of the library relies
//! on these few functions, so they are tested, property-tested and fuzzed alone.

#![forbid(unsafe_code)]

pub mod bump;
pub mod page;
pub mod random;
pub mod step;
