//! What a cursor needs that lives elsewhere: the C library's are values of the program that uses it, compiled into
//! that program, and know their region by address alone.

use super::cursor::{check_error, commit, limit_of};
use crate::admission::OutOfMemory;
use crate::grow::{GrowReason, grow};
use crate::region::{ControlBlock, Monitor};
use crate::report;
use core::fmt;

/// The region under such a cursor.
#[derive(Clone, Copy, Debug)]
pub struct CursorRegion {
    control: &'static ControlBlock,
}

impl CursorRegion {
    /// The region that a position is in or at the end of; wait-free.
    ///
    /// # Safety
    /// The region, if there is one, is not dropped while the `CursorRegion` is used.
    pub unsafe fn at(position: *const u8) -> Option<Self> {
        // At the end of a region without a guard another one may begin: its own last byte comes first.
        [position.wrapping_sub(1), position].into_iter().find_map(|address| {
            let control = Monitor::of(address)?.control();
            let offset = position.addr().checked_sub(control.base().addr())?;
            (offset <= control.reserved()).then_some(CursorRegion { control })
        })
    }

    /// The region that an address is in, if it is in one; wait-free.
    ///
    /// # Safety
    /// That of [`at`](CursorRegion::at).
    pub unsafe fn of(address: *const u8) -> Option<Self> {
        // SAFETY: a region at the address lives as long as the result: required by this function's contract.
        unsafe { CursorRegion::at(address.wrapping_add(1)) }.filter(|region| address >= region.base())
    }

    /// Its first byte.
    pub fn base(&self) -> *mut u8 {
        self.control.base()
    }

    /// The limit of a cursor, as things stand.
    pub fn limit(&self) -> *mut u8 {
        limit_of::<false>(self.control)
    }

    /// The bytes that may be used.
    pub fn usable_bytes(&self) -> usize {
        self.control.usable_bytes()
    }

    /// Whether what lies below this address is committed and may be used.
    #[inline]
    pub fn has(&self, end: usize) -> bool {
        end - self.base().addr() <= self.control.frontier.get().min(self.usable_bytes())
    }

    /// Commits a block of `size` bytes that begins `padding` bytes after the position, and returns the cursor's new
    /// limit. `touched` says that it is going to be written at once.
    ///
    /// # Errors
    /// [`OutOfMemory`] beyond the limit, or when the system refuses.
    pub fn extend(
        &self,
        position: *mut u8,
        padding: usize,
        size: usize,
        touched: bool,
    ) -> Result<*mut u8, OutOfMemory> {
        let end = position.addr().saturating_add(padding).saturating_add(size);
        let reason = if touched { GrowReason::Write } else { GrowReason::Request };
        if self.has(end) {
            return Ok(self.limit());
        }
        commit(self.control, position, size, end, reason)
    }

    /// Commits `len` bytes from `start`, exactly, and no more; what lies outside of the region is left alone.
    ///
    /// # Errors
    /// [`OutOfMemory`] beyond the limit, or when the system refuses.
    pub fn ensure(&self, start: *mut u8, len: usize) -> Result<(), OutOfMemory> {
        let offset = start.addr() - self.base().addr();
        let end = offset.saturating_add(len);
        if end > self.usable_bytes() {
            return Err(self.refused(start, 0, len));
        }
        grow(self.control, offset, end, GrowReason::Ahead).map_err(|refusal| {
            let request = crate::admission::RefusedRequest::Allocation { requested: len, effective: len };
            OutOfMemory::new(self.control, request, offset, refusal)
        })
    }

    /// The error of a check that failed.
    pub fn refused(&self, position: *mut u8, padding: usize, size: usize) -> OutOfMemory {
        let end = position.addr().saturating_add(padding).saturating_add(size);
        check_error(self.control, position, size, end)
    }

    /// Writes the report of a refusal that cannot be returned, and ends the process.
    pub fn abort_out_of_memory(error: &OutOfMemory) -> ! {
        report::out_of_memory(error)
    }

    /// Writes a line to where reports go.
    pub fn write_line(text: fmt::Arguments<'_>) {
        report::line(text);
    }

    /// Writes how the process stands to where reports go.
    pub fn dump() {
        report::dump();
    }
}
