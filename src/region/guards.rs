//! Placing guards inside a region.
//!
//! Growth goes around guards (`commit`). A thread that places a guard adds it to the list and reads the frontier
//! afterwards; a thread that grows moves the frontier and reads the list afterwards. So one of the two sees the other, and
//! makes the guard inaccessible.

use super::control::ControlBlock;
use super::guard_error::GuardError;
use super::region_type::Region;
use crate::sys;
use crate::sys::evidence::RefusedCall;
use core::ops::Range;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::fence;

impl ControlBlock {
    /// The guard that was placed over a byte. Signal-safe.
    pub(crate) fn guard_over(&self, offset: usize) -> Option<Range<usize>> {
        // Most regions have no guard, and every growth asks.
        if offset < self.first_guard() {
            return None;
        }
        self.guards.iter().find(|guard| guard.contains(&offset))
    }

    /// The guards inside the region.
    pub(crate) fn placed_guards(&self) -> impl Iterator<Item = Range<usize>> {
        self.guards.iter()
    }

    /// Places a guard. Nothing refers to the contents of the range.
    pub(super) fn place_guard(&self, guard: Range<usize>) -> Result<(), GuardError> {
        let page = sys::page_size();
        if guard.is_empty() || !guard.start.is_multiple_of(page) || !guard.end.is_multiple_of(page) {
            return Err(GuardError::NotPages { guard, page });
        }
        if guard.end > self.reserved() {
            return Err(GuardError::Outside { guard, reserved: self.reserved() });
        }
        self.guards.push(&guard)?;
        fence(SeqCst);
        let committed = self.frontier.get().min(guard.end);
        if sys::HAS_PROTECTION && guard.start < committed {
            let bytes = committed - guard.start;
            self.protect(guard.start, committed)
                .map_err(|errno| GuardError::refused(errno, RefusedCall::Commit(bytes)))?;
        }
        Ok(())
    }

    /// Called after the frontier moved over `[from, to)`: protects guards that another thread placed there meanwhile.
    pub(crate) fn protect_late_guards(&self, from: usize, to: usize) {
        fence(SeqCst);
        if to <= self.first_guard() || self.is_checked() {
            return;
        }
        let _ = self.protect_guards(from, to);
    }

    /// Restores the protection of a range that was mapped over and stays accessible.
    pub(super) fn restore_protection(&self, from: usize, to: usize) -> Result<(), sys::Errno> {
        if self.is_checked() { self.protect(from, to) } else { self.protect_guards(from, to) }
    }

    fn protect_guards(&self, from: usize, to: usize) -> Result<(), sys::Errno> {
        let mut from = from;
        while let Some(guard) = self.guards.next_in(from, to) {
            self.protect(guard.start, guard.end)?;
            from = guard.end;
        }
        Ok(())
    }
}

impl Region {
    /// Places a guard over a range of offsets, in bytes from the region's first one, both multiples of the page
    /// size. From now on no access to it is served, and growth and every other commit go around it. What was in it is
    /// lost. It stays for as long as the region does.
    ///
    /// Where memory cannot be protected (`portable` builds) it has no effect beyond what
    /// [`Arena`](crate::Arena)s make of it.
    ///
    /// # Errors
    /// A [`GuardError`] that names the range, if it is not whole pages of this region or the system refuses.
    ///
    /// # Safety
    /// Nothing refers to the contents of the range.
    ///
    /// ```
    /// let mut region = highwater::Region::builder().reserve(1 << 20).build();
    /// // SAFETY: the region has no other user yet.
    /// unsafe { region.guard_at(0x80000..0x90000)? };
    /// region.ensure(1 << 20)?; // everything but the guard
    /// assert_eq!(region.committed_bytes(), 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn guard_at(&mut self, range: Range<usize>) -> Result<(), GuardError> {
        self.control().place_guard(range)
    }
}
