//! What stands for the checked side of a cursor in a build without the feature `debug-arena`.
//!
//! Nothing in here runs: a cursor is `WATCHED` in a build with that feature only, and a checked arena does not compile
//! without it.

use super::cursor::Cursor;
use super::source::CallSite;
use crate::admission::{OutOfMemory, Refusal};
use crate::builder::BuildInputs;
use crate::region::{BuildError, GuardError, Region};
use core::ops::Range;

impl<const MIN_ALIGN: usize, const CHECKED: bool> Cursor<MIN_ALIGN, CHECKED> {
    pub(super) fn live_end_watched(&self) -> usize {
        never()
    }

    pub(super) fn guard_at_watched(&self, _: &mut Region, _: Range<usize>) -> Result<(), GuardError> {
        never()
    }

    pub(super) unsafe fn close_watched(&self) {
        never()
    }

    pub(super) fn give_up_ended(&self) {
        never()
    }

    pub(super) fn allocate_watched(&self, _: usize, _: usize, _: CallSite) -> *mut u8 {
        never()
    }

    pub(super) fn try_allocate_watched(
        &self,
        _: usize,
        _: usize,
        _: CallSite,
    ) -> Result<*mut u8, OutOfMemory> {
        never()
    }

    pub(super) fn commit_ahead_watched(&self, _: usize) -> Result<(), Refusal> {
        never()
    }

    pub(super) fn is_last_watched(&self, _: *const u8, _: usize) -> bool {
        never()
    }

    pub(super) fn resize_last_watched(
        &self,
        _: *mut u8,
        _: usize,
        _: usize,
        _: usize,
    ) -> Result<Option<*mut u8>, OutOfMemory> {
        never()
    }

    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(super) fn shrink_watched(&self, _: *const u8, _: usize, _: usize) {
        never()
    }

    #[cfg(any(feature = "allocator-api2", feature = "nightly"))]
    pub(super) fn free_watched(&self, _: *const u8, _: usize) {
        never()
    }
}

pub(super) fn open_watched(_: &Region, _: BuildInputs<'_>) -> Result<(), BuildError> {
    never()
}

fn never() -> ! {
    unreachable!("a checked arena in a build without the feature `debug-arena`")
}
