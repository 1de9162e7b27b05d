//! Plain integers: rounding to pages, bumping a position, sizing a growth step.
//!
//! Nothing here knows of pointers, of the operating system or of a region; nothing here is `unsafe`.
//! The rest of the library is only as right as these few functions, so they are tested, property-tested
//! and fuzzed alone.

#![forbid(unsafe_code)]

pub mod bump;
pub mod page;
pub mod random;
pub mod step;
