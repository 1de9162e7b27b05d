//! Programs written for bumpalo's `Bump`, compiled once for each library that `library` stands for.

mod callbacks;
mod layouts;
mod limits;
mod sizes;
mod slices;
mod values;

use super::library;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether a closure panics; what it allocates from stays in use afterwards.
pub fn panics<R>(f: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}
