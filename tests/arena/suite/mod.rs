//! The suite of arenas, compiled once for each type that `kind` stands for: every figure, limit, error
//! and byte is the same, and what only one of them promises stands under `CONTIGUOUS`, in
//! `plain_eq!` and `plain!`, or in the module `plain`.

use super::kind;

/// [`assert_eq!`] for what only a plain arena promises: that blocks lie side by side and grow in place, that a
/// rewind goes back to the same bytes, and what is committed for them.
macro_rules! plain_eq {
    ($($arguments:tt)+) => {
        if kind::CONTIGUOUS {
            assert_eq!($($arguments)+);
        }
    };
}

/// [`assert!`], likewise.
macro_rules! plain {
    ($($arguments:tt)+) => {
        if kind::CONTIGUOUS {
            assert!($($arguments)+);
        }
    };
}

#[cfg(feature = "allocator-api2")]
mod allocator;
#[cfg(feature = "allocator-api2")]
mod allocator_model;
pub mod attacks;
mod errors;
mod iter;
mod limits;
mod model;
#[cfg(feature = "nightly")]
mod nightly;
mod scopes;
mod text;
#[macro_use]
pub mod unwinding;
